package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/support"
	"github.com/tributary-sync/tributary/syncerr"
)

func (a *app) supportCommand() *cobra.Command {
	return a.listing(&cobra.Command{
		Use: "support-bundle [FILE]", Short: "Write one archive for people who help from afar, without patient data", Args: takes(0, 1, "a new file, or nothing"),
		Long: "Support-bundle writes a .tar.gz with versions, settings, status, what doctor finds, the last passes and audit rows, sizes, the schema, metrics, the last\n" +
			"lines of the log and what the program is doing. It works while the node runs, while it is stopped, and where its configuration or database is broken.\n\n" +
			"It holds no patient data: no content, no name, no id of a resource, no search, no credential, and no text that a person or another system wrote. Ids and\n" +
			"texts are replaced by tokens whose key is thrown away. README.txt in the archive says more; look into it before you send it.",
		Example: "  tributary support-bundle\n  tributary support-bundle /tmp/clinic-a.tar.gz",
		RunE: func(c *cobra.Command, args []string) error {
			path := "tributary-support-" + a.clock().UTC().Format("20060102T150405Z") + ".tar.gz"
			if len(args) > 0 {
				path = args[0]
			}
			path, err := filepath.Abs(path)
			if err != nil {
				return syncerr.Wrap(syncerr.Usage, "make support bundle", err)
			}
			files, err := a.support(c.Context())
			if err != nil {
				return err
			}
			if err := writeArchive(path, files, a.clock()); err != nil {
				return err
			}
			if a.json {
				names := make([]string, len(files))
				for i, f := range files {
					names[i] = f.Name
				}
				return a.printJSON(map[string]any{"path": path, "files": names})
			}
			a.say("The bundle is %s, with %s.\nLook into it before you send it; README.txt in it says what it tells and what not.", path, counted(len(files), "file", "files"))
			return nil
		},
	})
}

// support collects the files from the node, or without it where it cannot be reached or opened.
func (a *app) support(ctx context.Context) (files []control.File, err error) {
	cfg, err := a.configuration()
	if err == nil {
		var l link
		if l, err = a.connect(ctx, cfg); err == nil {
			files, err = l.Support(ctx)
			if !l.running {
				// What this program is doing tells nothing of a node that does not run.
				files = slices.DeleteFunc(files, func(f control.File) bool { return f.Name == "goroutines.txt" })
			}
			err = errors.Join(err, l.close())
		}
	}
	if err == nil || ctx.Err() != nil {
		return files, err
	}
	a.note("The node cannot tell anything: %v\nThe bundle has what can be found without it.", err)
	return support.Bundle(ctx, support.Source{
		Config: cfg, Version: a.version, Problem: err, Random: func(b []byte) error { _, err := rand.Read(b); return err },
	})
}

// writeArchive writes a new .tar.gz for its owner only. What is half written is taken away.
func writeArchive(path string, files []control.File, now time.Time) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return syncerr.New(syncerr.Conflict, "make support bundle", "there is a file %s already", path).WithHint("Name a new file")
	case err != nil:
		return syncerr.New(syncerr.Usage, "make support bundle", "%w", err).WithHint("Name a file in a folder that you may write to")
	}
	defer func() {
		if err = syncerr.Wrap(syncerr.StorageFull, "make support bundle", errors.Join(err, f.Close())); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	z := gzip.NewWriter(f)
	t := tar.NewWriter(z)
	for _, file := range files {
		if err := t.WriteHeader(&tar.Header{Name: "tributary-support/" + file.Name, Mode: 0o600, Size: int64(len(file.Text)), ModTime: now}); err != nil {
			return err
		}
		if _, err := io.WriteString(t, file.Text); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}
