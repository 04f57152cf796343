package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionOf returns the version that the linker set, else that of the module, else the commit it was built from.
func versionOf(set string) string {
	if set != "" {
		return set
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

func (a *app) versionCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "version", Short: "Print the version", Args: takes(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.printJSON(map[string]string{"version": a.version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			a.say("tributary %s (%s, %s/%s)", a.version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	})
}
