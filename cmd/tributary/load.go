package main

import (
	"context"
	"net/http"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/cmd/tributary/load"
)

func (a *app) loadCommand() *cobra.Command {
	var asIs, dry bool
	var paths []string
	run := a.operator(func(ctx context.Context, l link, _ []string) error {
		report, err := a.loadFiles(ctx, paths, load.Options{Base: l.base + "/fhir/R4", Client: &http.Client{Transport: l.http}, AsIs: asIs, DryRun: dry, Clock: a.clock})
		if a.json {
			if perr := a.printJSON(report); err == nil {
				err = perr
			}
		} else if err == nil || len(report.Types) > 0 {
			a.printReport(report, dry)
		}
		if err == nil && report.Refused > 0 {
			return quietly{exitAttention}
		}
		return err
	})
	c := a.listing(&cobra.Command{
		Use: "load PATH...", Short: "Load FHIR files or folders into the node", Args: takes(1, -1, "files or folders"),
		Long: "Load reads bundles (transactions, batches and collections are executed), NDJSON files, single resources, and folders with all that is in them.\n" +
			"References by urn:uuid: and by identifier are resolved across all files. Loading the same files again changes nothing.\n" +
			"Exit code 3 says that it is done and something was refused.",
		Example: "  tributary load export/\n  tributary load --dry-run Patient.ndjson Observation.ndjson",
		RunE: func(c *cobra.Command, args []string) error {
			paths = args
			return run(c, args)
		},
	})
	c.Flags().BoolVar(&asIs, "as-is", false, "store bundles as documents instead of executing them")
	c.Flags().BoolVar(&dry, "dry-run", false, "read and check everything, write nothing")
	return c
}

// loadFiles loads with a progress bar on standard error.
func (a *app) loadFiles(ctx context.Context, paths []string, o load.Options) (load.Report, error) {
	b := a.newBars(a.errors, "bytes", "loading")
	o.Progress = func(p load.Progress) { b.set(0, p.Bytes, p.Total) }
	defer b.stop()
	return load.Run(ctx, paths, o)
}

// maxShown bounds the refusals and references that are printed; --json has more.
const maxShown = 20

func (a *app) printReport(r load.Report, dry bool) {
	loaded := "Loaded"
	if dry {
		loaded = "To be loaded"
	}
	rows := make([]table.Row, 0, len(r.Types)+1)
	for _, c := range append(r.Types, r.Total()) {
		rows = append(rows, table.Row{c.Type, number(c.Loaded), number(c.Unchanged), number(c.Refused)})
	}
	a.table(table.Row{"Type", loaded, "Unchanged", "Refused"}, rows, "")
	a.say("%s read, %s pointed at what was loaded.", counted(r.Files, "file", "files"), counted(r.Rewrote, "reference", "references"))
	if r.Skipped > 0 {
		a.say("%s passed over: they ask for something and write nothing.", counted(r.Skipped, "entry was", "entries were"))
	}
	if r.Outside > 0 {
		a.say("%s to resources that are not in these files.", counted(r.Outside, "reference leads", "references lead"))
	}
	if r.Unsolved > 0 {
		a.say("\n%s could not be resolved and was kept as it is:", counted(r.Unsolved, "reference", "references"))
		for _, k := range r.Kept[:min(len(r.Kept), maxShown)] {
			a.say("  %s: %s -> %s: %s", k.File, k.From, short(k.To, 100), k.Why)
		}
		a.more(r.Unsolved)
	}
	if r.Refused > 0 {
		a.say("\n%s refused:", counted(r.Refused, "entry was", "entries were"))
		for _, f := range r.Refusals[:min(len(r.Refusals), maxShown)] {
			a.say("  %s: %s", where(f), f.Reason)
		}
		a.more(r.Refused)
	}
}

func (a *app) more(n int) {
	if n > maxShown {
		a.say("  and %s more; --json lists them", number(n-maxShown))
	}
}

func where(f load.Refusal) string {
	s := f.File
	for _, part := range []string{f.Place, f.What} {
		if part != "" {
			s += ", " + part
		}
	}
	return s
}
