package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-sync/tributary/cmd/tributary/load"
	"github.com/tributary-sync/tributary/internal/samples"
	"github.com/tributary-sync/tributary/syncerr"
)

// showLoad brings patients into the two clinics and shows how they spread.
func (t *tree) showLoad(ctx context.Context, o demoOptions) error {
	paths := map[string][]string{}
	if o.data != "" {
		t.app.say("1. The files of %s are loaded, one half at each clinic, and travel through the district.", o.data)
		paths["clinic-a"], paths["clinic-b"] = []string{o.data}, []string{o.data}
	} else {
		t.app.say("1. %d generated patients with their records are loaded at each clinic and travel through the district.", o.size)
		for clinic, title := range map[string]string{"clinic-a": "Riverside Health Centre", "clinic-b": "Hillside Clinic"} {
			path := filepath.Join(t.dir, clinic, "samples.ndjson")
			if err := writeSamples(path, samples.New(samples.Config{Seed: 1, Clinic: title}), o.size); err != nil {
				return err
			}
			paths[clinic] = []string{path}
		}
	}
	names := make([]string, len(t.nodes))
	for i, n := range t.nodes {
		names[i] = n.name
	}
	b := t.app.newBars(t.app.out, "resources", names...)
	defer b.stop()
	g, loading := errgroup.WithContext(ctx)
	reports := make([]load.Report, 2)
	for i, clinic := range []string{"clinic-a", "clinic-b"} {
		n := t.node(clinic)
		opts := load.Options{Base: n.url() + "/fhir/R4", Client: n.http, Clock: t.app.clock}
		if o.data != "" {
			opts.Take = func(file int) bool { return file%2 == i }
		}
		g.Go(func() (err error) {
			reports[i], err = load.Run(loading, paths[clinic], opts)
			return err
		})
	}
	loaded := make(chan error, 1)
	go func() { loaded <- g.Wait() }()
	ready := false
	err := t.until(ctx, o.limit, "the nodes did not come to hold the same resources", func() (bool, error) {
		select {
		case err := <-loaded:
			if ready = true; err != nil {
				return false, err
			}
		default:
		}
		counts, err := t.counts(ctx)
		if err != nil {
			return false, err
		}
		// Who has most knows best how many there will be; nobody knows before all are loaded.
		most := int64(1)
		for _, c := range counts {
			most = max(most, c.Total)
		}
		for i, c := range counts {
			b.set(i, c.Total, most)
		}
		if !ready {
			return false, nil
		}
		return t.agreed(ctx)
	})
	if !ready {
		<-loaded // nothing may go on writing
	}
	if err != nil {
		return err
	}
	counts, err := t.counts(ctx)
	if err != nil {
		return err
	}
	for i, c := range counts {
		b.set(i, c.Total, counts[0].Total)
	}
	b.stop()
	t.app.say("   %s at every node after %.1f s.", counted(counts[0].Total, "resource", "resources"), t.app.clock().Sub(t.began).Seconds())
	for _, r := range reports {
		if r.Refused > 0 {
			t.app.say("   %s refused, for example %s: %s", counted(r.Refused, "entry was", "entries were"), where(r.Refusals[0]), short(r.Refusals[0].Reason, 120))
		}
	}
	t.app.say("")
	return nil
}

// writeSamples writes a clinic's base records and n patients as NDJSON.
func writeSamples(path string, g *samples.Generator, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return syncerr.Wrap(syncerr.StorageFull, "demo", err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	set := g.Base()
	for i := 0; ; i++ {
		for _, r := range set {
			if _, err = w.Write(append(r.JSON, '\n')); err != nil {
				break
			}
		}
		if err != nil || i == n {
			break
		}
		set = g.Patient()
	}
	if err == nil {
		err = w.Flush()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return syncerr.Wrap(syncerr.StorageFull, "demo", err)
}
