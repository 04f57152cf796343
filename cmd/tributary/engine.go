package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/clients"
	peers "github.com/tributary-sync/tributary/clients/sdata"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/sdata"
	"github.com/tributary-sync/tributary/syncerr"
)

// engineFlags are what `tributary engine` was told.
type engineFlags struct {
	source, target         string
	managers               []string
	types                  []string
	both                   bool
	sourceFile, targetFile string
	managerFile, name      string
}

func (a *app) engineCommand() *cobra.Command {
	var f engineFlags
	c := a.listing(&cobra.Command{
		Use: "engine", Short: "Synchronize two endpoints that speak SData", Args: takes(0, 0, ""),
		Long: "Engine brings what one endpoint has to another, type by type: what is referred to before what refers to it. It needs no node and no configuration,\n" +
			"and keeps nothing: it may be killed at any moment and run again, from here or elsewhere, and goes on where it was. Exit code 3 says that\n" +
			"it is done, and that something was not taken or is in conflict.",
		Example: "  tributary engine --source https://a.example/sdata --target https://b.example/sdata --both \\\n" +
			"    --source-credential-file a.token --target-credential-file b.token --event-manager 'https://hq.example/sdata/$events'",
		RunE: func(c *cobra.Command, _ []string) error { return a.engine(c.Context(), f) },
	})
	fl := c.Flags()
	fl.StringVar(&f.source, "source", "", "address of the source, such as https://node.example/sdata")
	fl.StringVar(&f.target, "target", "", "address of the target")
	fl.StringArrayVar(&f.managers, "event-manager", nil, "address that takes what became of each change; may be given several times")
	fl.StringSliceVar(&f.types, "types", nil, "only these types, in the order given (default: those that the source has)")
	fl.BoolVar(&f.both, "both", false, "then bring back what the target has")
	fl.StringVar(&f.sourceFile, "source-credential-file", "", "a file with a token, or user:password, for the source")
	fl.StringVar(&f.targetFile, "target-credential-file", "", "the same for the target")
	fl.StringVar(&f.managerFile, "event-manager-credential-file", "", "the same for event managers")
	fl.StringVar(&f.name, "run-name", "tributary engine", "the name under which audits have this run")
	return c
}

// engine runs the passes.
func (a *app) engine(ctx context.Context, f engineFlags) error {
	if f.source == "" || f.target == "" {
		return syncerr.New(syncerr.Usage, "engine", "--source and --target are both needed").WithHint("`tributary engine --help` shows an example")
	}
	rt := slowTransport()
	source, err := sdataPeer("--source", f.source, f.sourceFile, rt)
	if err != nil {
		return err
	}
	target, err := sdataPeer("--target", f.target, f.targetFile, rt)
	if err != nil {
		return err
	}
	run := sdata.Run{Name: f.name, Stamp: a.clock().UTC().Format(time.RFC3339Nano)}
	there := sdata.Runner{Source: source, Target: target, Run: run}
	for _, address := range f.managers {
		address = eventsAt(address)
		m, err := sdataPeer("--event-manager", address, f.managerFile, rt)
		if err != nil {
			return err
		}
		there.Managers = append(there.Managers, peers.Events{Client: m, Address: address})
	}
	back := there
	back.Source, back.Target = target, source
	passes := []sdata.Runner{there}
	if f.both {
		passes = append(passes, back)
	}
	kinds, err := a.kinds(ctx, f, source, target)
	if err != nil {
		return err
	}
	var counts []sdata.Count
	var failed []error
	for i, r := range passes {
		direction := []string{"to target", "to source"}[i]
		r.Progress = a.passed(direction)
		got, err := r.All(ctx, kinds)
		for _, n := range got {
			n.Direction = direction
			counts = append(counts, n)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed = append(failed, err)
	}
	return a.engineDone(run, counts, errors.Join(failed...))
}

// kinds returns the types to be synchronized, in their order.
func (a *app) kinds(ctx context.Context, f engineFlags, source, target sdata.Endpoint) ([]string, error) {
	for _, t := range f.types {
		if t == "" || strings.ContainsAny(t, "/?#$ ") {
			return nil, syncerr.New(syncerr.Usage, "engine", "--types %.60q is no resource kind", t).WithHint("Write for example --types Organization,Patient,Observation")
		}
	}
	if len(f.types) > 0 {
		return f.types, nil
	}
	kinds, err := source.Kinds(ctx)
	if f.both && err == nil {
		var more []string
		more, err = target.Kinds(ctx)
		if kinds = append(kinds, more...); len(more) > 0 {
			slices.Sort(kinds)
			kinds = fhir.InOrder(slices.Compact(kinds))
		}
	}
	switch kind := syncerr.KindOf(err); {
	case err == nil:
		return kinds, nil
	case kind == syncerr.NotFound || kind == syncerr.Invalid || kind == syncerr.Unsupported:
		return nil, syncerr.New(syncerr.Usage, "engine", "an endpoint does not tell which types it has: %v", err).
			WithHint("Check the address, or name the types: --types Organization,Patient,Observation")
	}
	return nil, err
}

// passed shows on standard error how a pass goes on: at once and then every few seconds.
func (a *app) passed(direction string) func(sdata.Count) {
	said := a.clock()
	return func(n sdata.Count) {
		if now := a.clock(); now.Sub(said) >= lineEvery || terminal(a.errors) {
			said = now
			end := "\n"
			if terminal(a.errors) {
				end = "\r"
			}
			_, _ = a.errors.Write([]byte("   " + direction + ": " + n.Type + " " + number(int64(n.Entries)) + ", " + bytesText(n.Bytes) + "        " + end))
		}
	}
}

// engineDone shows what came of a run.
func (a *app) engineDone(run sdata.Run, counts []sdata.Count, failed error) error {
	var attention bool
	rows := make([]table.Row, len(counts))
	for i, n := range counts {
		attention = attention || n.Failed > 0 || n.Unreported > 0
		why := n.Error
		if why == "" {
			why = n.Reason
		}
		rows[i] = table.Row{n.Direction, n.Type, number(int64(n.Pages)), number(int64(n.Entries)), number(int64(n.Failed)), bytesText(n.Bytes), number(int64(n.Unreported)), short(why, 60)}
	}
	if a.csv {
		if err := a.printCSV(counts); err != nil {
			return err
		}
	} else if a.json {
		if err := a.printJSON(map[string]any{"run": run.ID(), "runName": run.Name, "runStamp": run.Stamp, "passes": counts}); err != nil {
			return err
		}
	} else {
		a.table(table.Row{"Pass", "Type", "Pages", "Changes", "Not taken", "Bytes", "Unreported", "Why"}, rows, "There is nothing to synchronize.")
		a.say("Run %s (%s, %s): `tributary audit --run %s` at a target or an event manager shows it.", run.ID(), run.Name, run.Stamp, run.ID())
	}
	if failed == nil && attention {
		return quietly{exitAttention}
	}
	return failed
}

// sdataPeer returns a client of the endpoints at an address. One without a path is that of a node.
func sdataPeer(flag, address, credentialFile string, rt http.RoundTripper) (*peers.Client, error) {
	if u, err := url.Parse(address); err == nil && strings.Trim(u.Path, "/") == "" {
		u.Path = "/sdata"
		address = u.String()
	}
	opts := peers.Options{Transport: rt, NewID: uuid.NewString}
	if flag == "--event-manager" {
		opts.Tries = 2 // a pass does not wait for who only listens
	}
	if credentialFile != "" {
		opts.Authorize = clients.Credential(func() (string, error) {
			b, err := os.ReadFile(credentialFile)
			if err != nil {
				return "", syncerr.New(syncerr.Usage, flag+"-credential-file", "%w", err).WithHint("Put a token, or user:password, into this file")
			}
			return strings.TrimSpace(string(b)), nil
		})
	}
	c, err := peers.New(address, opts)
	if err != nil {
		return nil, syncerr.New(syncerr.Usage, flag, "%v", err)
	}
	return c, nil
}

// eventsAt returns where an event manager takes results: one of which only the node is named takes them at /sdata/$events.
func eventsAt(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	switch strings.Trim(u.Path, "/") {
	case "", "sdata":
		u.Path = "/sdata/$events"
	}
	return u.String()
}

// slowTransport carries requests over links that may be slow.
func slowTransport() http.RoundTripper {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 30 * time.Second, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second, DisableCompression: true, ForceAttemptHTTP2: true,
	}
}
