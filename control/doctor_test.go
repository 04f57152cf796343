package control_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// prober answers for a parent.
type prober func(context.Context) (control.Probe, error)

func (p prober) Probe(ctx context.Context) (control.Probe, error) { return p(ctx) }

func (w *world) doctor(p control.Prober) map[string]control.Check {
	w.t.Helper()
	w.cfg.Node.DataDir = filepath.Join(w.t.TempDir(), "data")
	w.must(os.Mkdir(w.cfg.Node.DataDir, 0o700))
	for _, path := range []string{filepath.Join(w.cfg.Node.DataDir, "admin.token"), filepath.Join(w.cfg.Node.DataDir, "node.key"), w.cfg.NoncePath()} {
		w.must(os.WriteFile(path, nil, 0o600))
	}
	c := control.New(w.eng, w.cfg, w.passes, control.Deps{Clock: w.clock.Now, Prober: p})
	checks, err := c.Doctor(context.Background(), false)
	w.must(err)
	out := map[string]control.Check{}
	for _, k := range checks {
		if k.Detail == "" || (k.Level == control.Fail && k.Hint == "") {
			w.t.Errorf("a check says too little: %+v", k)
		}
		if k.Level != control.OK || out[k.Name].Name == "" {
			out[k.Name] = k
		}
	}
	return out
}

func TestDoctorOnAHealthyNode(t *testing.T) {
	w := newWorld(t, "")
	for name, k := range w.doctor(nil) {
		if k.Level != control.OK && name != "disk" {
			t.Errorf("%+v", k)
		}
	}
	w = newWorld(t, "https://district.example")
	w.run(control.Pull, "1", "done", "")
	w.run(control.Push, "2", "done", "")
	w.passes.links = []control.LinkState{{Direction: control.Pull, Enabled: true}, {Direction: control.Push, Enabled: true}}
	got := w.doctor(prober(func(context.Context) (control.Probe, error) {
		return control.Probe{Name: "district", Date: w.Now() + 1500}, nil
	}))
	for _, name := range []string{"configuration", "database", "schema", "disk", "parent", "clock", "pull", "push", "parked", "conflicts", "held"} {
		if k := got[name]; k.Name == "" || k.Level != control.OK && name != "disk" {
			t.Errorf("%s: got %+v", name, k)
		}
	}
	if d := got["parent"].Detail; d != "district answers and accepts this node's credential" {
		t.Errorf("got %q", d)
	}
}

func beside(credential string) map[string]config.Server {
	types := []config.TypeRule{{Type: "Patient"}}
	return map[string]config.Server{"emr": {URL: "http://127.0.0.1:8081/fhir", Changes: config.FromHistory, CredentialFile: credential, Pull: types, Push: types}}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	answer := func(p control.Probe, err error) control.Prober {
		return prober(func(context.Context) (control.Probe, error) { return p, err })
	}
	fine := answer(control.Probe{Name: "district"}, nil)
	tests := []struct {
		name   string
		make   func(w *world)
		prober control.Prober
		check  string
		level  control.Level
		says   string
		hint   string
	}{
		{"a parent that is away", nil, answer(control.Probe{}, syncerr.New(syncerr.Transient, "ask", "no route to host")), "parent", control.Fail, "no route", "Check the network"},
		{"a credential that is refused", nil, answer(control.Probe{}, syncerr.New(syncerr.Denied, "ask", "unknown credential")), "parent", control.Fail, "unknown", "child add clinic-a"},
		{"any other failure", nil, answer(control.Probe{}, errors.New("odd")), "parent", control.Fail, "odd", "network"},
		{"nobody to ask", nil, nil, "parent", control.Warn, "does not run", "serve"},
		{"a clock a day ahead", func(w *world) { w.clock.Add(24 * time.Hour) }, answer(control.Probe{Date: newClock().Now().UnixMilli()}, nil), "clock", control.Fail, "24 h ahead of", "clock"},
		{"a clock ten minutes behind", func(w *world) { w.clock.Add(-10 * time.Minute) }, answer(control.Probe{Date: newClock().Now().UnixMilli()}, nil), "clock", control.Warn, "10 min behind", "clock"},
		{"never a good pull", nil, fine, "pull", control.Warn, "never", "tributary sync"},
		{"an old push", func(w *world) {
			w.run(control.Push, "1", "done", "")
			w.clock.Add(50 * time.Hour)
		}, fine, "push", control.Warn, "2 days ago", "tributary sync"},
		{"a push that fails", func(w *world) {
			w.run(control.Push, "1", "done", "")
			w.passes.links = []control.LinkState{{Direction: control.Push, Enabled: true, LastError: "cut"}}
		}, fine, "push", control.Warn, "the last attempt: cut", "tributary sync"},
		{"a server that is away", func(w *world) {
			w.cfg.Servers = beside("")
			w.passes.links = []control.LinkState{{Direction: control.Pull, Server: "emr", Enabled: true, LastError: "no route to host"}}
		}, fine, "server emr", control.Fail, "no route to host", "takes the credential"},
		{"a server that was never met", func(w *world) { w.cfg.Servers = beside("") }, fine, "server emr", control.Warn, "not met yet", "tributary sync"},
		{"a server's credential", func(w *world) { w.cfg.Servers = beside("/nowhere/emr") }, fine, "server emr", control.Fail, "there is no file", "user:password"},
		{"a server that keeps the log", func(w *world) {
			w.cfg.Servers = beside("")
			edit(w.t, w.eng, "p", "A")
		}, fine, "server emr", control.Warn, "not met yet", "older than history.keep"},
		{"no credential", func(w *world) { w.cfg.Parent.Credential = "" }, fine, "credential", control.Fail, "no file is named", "child add"},
		{"a configuration that warns", func(w *world) { w.cfg.Parent.URL = "http://district.example" }, fine, "configuration", control.Warn, "plain http", ""},
		{"a configuration that is wrong", func(w *world) { w.cfg.Node.Listen = "nowhere" }, fine, "configuration", control.Fail, "node.listen", ""},
		{"a folder that is gone", func(w *world) { w.cfg.Store.DSN = "/no/such/folder/x.db" }, fine, "disk", control.Warn, "cannot be read", ""},
		{"a hold that was refused", func(w *world) {
			parent := open(w.t, w.clock, "district", reconcile.Defer)
			edit(w.t, w.eng, "1", "Banda")
			if r := w.pull(parent, true, edit(w.t, parent, "1", "Phiri")); r[0].Result != feed.Held {
				w.t.Fatalf("got %+v", r)
			}
			w.write(func(tx *store.Tx) error { return tx.NoteRefusal(key("1"), "not allowed") })
		}, fine, "held", control.Warn, "1 copy waits because the parent refused", "explain Patient/1"},
		{"an open conflict", func(w *world) { conflict(w.t, w) }, fine, "conflicts", control.Warn, "1 conflict waits", "conflict list"},
		{"something parked", func(w *world) {
			parent := open(w.t, w.clock, "district", reconcile.Defer)
			ev := edit(w.t, parent, "1", "Banda")
			ev.Content = []byte(`{"resourceType":"Patient","id":"1"}`)
			w.pull(parent, true, ev)
		}, fine, "parked", control.Warn, "1 change could not", "parked list"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "https://district.example")
			if tt.make != nil {
				tt.make(w)
			}
			k := w.doctor(tt.prober)[tt.check]
			if k.Level != tt.level || !strings.Contains(k.Detail, tt.says) || !strings.Contains(k.Hint, tt.hint) {
				t.Errorf("got %+v, want level %s, %q and hint %q", k, tt.level, tt.says, tt.hint)
			}
		})
	}
}

// A child that does not read keeps the log from being collected: it is named, with the command that lets it go.
func TestDoctorNamesWhoKeepsTheHistory(t *testing.T) {
	w, ctx := newWorld(t, ""), context.Background()
	for _, name := range []string{"north", "south", "west"} {
		_, err := w.AddChild(ctx, name, "")
		w.must(err)
	}
	reads := func(name, scope string, seq uint64) {
		t.Helper()
		p, _, err := w.eng.Store().ParticipantBy(ctx, store.KindChild, name, "")
		w.must(err)
		p.LastSeen, p.Scope, p.Seq, p.Epoch = w.Now(), scope, seq, w.eng.Store().Identity().Epoch
		w.write(func(tx *store.Tx) error { return tx.TouchChild(p) })
	}
	edit(t, w.eng, "1", "Banda")
	reads("north", "*", 1)
	w.clock.Add(time.Hour)
	edit(t, w.eng, "1", "Phiri")
	edit(t, w.eng, "2", "Tembo")
	reads("south", "*", 3)
	if k := w.doctor(nil)["history"]; k.Name != "" {
		t.Errorf("nothing is old yet: %+v", k)
	}
	w.clock.Add(100 * 24 * time.Hour)
	warnings := func() (out []control.Check) {
		t.Helper()
		checks, err := w.Doctor(ctx, false)
		w.must(err)
		for _, k := range checks {
			if k.Name == "history" {
				out = append(out, k)
			}
		}
		return out
	}
	got := warnings()
	if len(got) != 2 {
		t.Fatalf("got %+v", got)
	}
	for i, says := range []string{
		"child north has not read what was written since 2026-03-01 09:00:00 UTC (it was last here: 100 days ago); of the log 1 row is kept for it though older than history.keep (90 days)",
		"child west has never read this node's log (it was last here: never); of the log 1 row is kept",
	} {
		name := strings.Fields(says)[1]
		if k := got[i]; k.Level != control.Warn || !strings.Contains(k.Detail, says) || !strings.Contains(k.Hint, "`tributary child remove "+name+"`") {
			t.Errorf("got %+v, want %q", k, says)
		}
	}
	w.must(w.RemoveChild(ctx, "north"))
	reads("west", "Basic", 3)
	if got = warnings(); len(got) != 1 || !strings.Contains(got[0].Detail, "west reads only some resource types") {
		t.Errorf("got %+v", got)
	}
	w.cfg.History.Keep = 0
	if k := w.doctor(nil)["history"]; k.Name != "" {
		t.Errorf("all is kept for ever: %+v", k)
	}
}

func TestDoctorWarnsOfAReadableCredential(t *testing.T) {
	w := newWorld(t, "https://district.example")
	w.cfg.Parent.Credential, w.cfg.Parent.CredentialFile = "", filepath.Join(t.TempDir(), "parent.token")
	w.must(os.WriteFile(w.cfg.Parent.CredentialFile, []byte("trib_x\n"), 0o644))
	if k := w.doctor(nil)["credential"]; k.Level != control.Warn || !strings.Contains(k.Detail, "chmod 600") {
		t.Errorf("got %+v", k)
	}
}

func TestDoctorWhenTheDatabaseIsAway(t *testing.T) {
	clock := newClock()
	st, err := store.Create(context.Background(), store.Options{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "x.db"), Clock: clock.Now, Volatile: true}, "clinic-a", 10)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "")
	w.eng = engineOver(st)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	c := control.New(w.eng, w.cfg, nil, control.Deps{Clock: clock.Now})
	checks, err := c.Doctor(context.Background(), false)
	w.must(err)
	if control.Worst(checks) != control.Fail {
		t.Errorf("got %+v", checks)
	}
	if _, err := c.Status(context.Background()); err == nil {
		t.Error("there is a status without a database")
	}
	if c.Name() != "clinic-a" {
		t.Errorf("got name %q", c.Name())
	}
}

func TestWorst(t *testing.T) {
	level := func(levels ...control.Level) control.Level {
		var checks []control.Check
		for _, l := range levels {
			checks = append(checks, control.Check{Level: l})
		}
		return control.Worst(checks)
	}
	if level() != control.OK || level(control.OK, control.Warn, control.OK) != control.Warn || level(control.Fail, control.Warn) != control.Fail ||
		level(control.Warn, control.Fail) != control.Fail {
		t.Error("the worst of some checks is not the worst")
	}
}

func TestTimesInWords(t *testing.T) {
	const now = 1_800_000_000_000
	for _, tt := range []struct {
		before time.Duration
		want   string
	}{
		{0, "just now"},
		{4 * time.Second, "just now"},
		{5 * time.Second, "5 s ago"},
		{89 * time.Second, "89 s ago"},
		{90 * time.Second, "1 min ago"},
		{89 * time.Minute, "89 min ago"},
		{90 * time.Minute, "1 h ago"},
		{35 * time.Hour, "35 h ago"},
		{36 * time.Hour, "1 day ago"},
		{72 * time.Hour, "3 days ago"},
		{-30 * time.Second, "in 30 s"},
		{-500 * time.Millisecond, "just now"},
	} {
		if got := control.Ago(now, now-tt.before.Milliseconds()); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.before, got, tt.want)
		}
	}
	if got := control.Ago(now, 0); got != "never" {
		t.Errorf("got %q", got)
	}
	if got := control.UTC(now); got != "2027-01-15 08:00:00 UTC" || control.UTC(0) != "" {
		t.Errorf("got %q", got)
	}
}
