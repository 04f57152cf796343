package pull_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/pull"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
)

// duo is a parent that serves its children, and a child that pulls from it; both have databases.
type duo struct {
	t       *testing.T
	top     *engine.Engine
	low     *engine.Engine
	p       *pull.Puller
	fetched int // exchanges in which contents were asked for
	twist   func(asked string) string
	now     time.Time
}

func newDuo(t *testing.T, cfg pull.Config, refs engine.References) *duo {
	t.Helper()
	ctx := context.Background()
	x := &duo{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return x.now }
	open := func(name string, refs engine.References) *engine.Engine {
		st, err := store.Create(ctx, store.Options{DSN: filepath.Join(t.TempDir(), "n.db"), Volatile: true, Clock: clock}, name, 10)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
		return engine.New(st, engine.Config{References: refs})
	}
	x.top, x.low = open("top", engine.References{}), open("low", refs)
	ctl := control.New(x.top, config.Config{}, nil, control.Deps{})
	child, err := ctl.AddChild(ctx, "low", "")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	api.New(api.Deps{Engine: x.top, Control: ctl, Clock: clock}).Register(mux)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sync/fetch" {
			x.fetched++
			if x.twist != nil {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				r.Body = io.NopCloser(strings.NewReader(x.twist(string(b))))
			}
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	self := clients.Self{Node: "low", Replica: func() string { return string(x.low.Store().Identity().Replica) }}
	c := clients.NewNode(srv.URL, func() (string, error) { return child.Credential, nil }, self, srv.Client().Transport)
	m := resourcemanager.New(func(string) string { return "node" }, map[string]resourcemanager.Client{"node": c})
	cfg.ParentURL, cfg.Clock = srv.URL, clock
	x.p = pull.New(x.low, pull.Parent{Source: c, Lister: c, Manager: m, Hello: c.Hello, Traffic: c.Traffic}, cfg)
	return x
}

// write makes a resource at a node that refers to others.
func (x *duo) write(at *engine.Engine, key string, to ...string) {
	x.t.Helper()
	typ, id, _ := strings.Cut(key, "/")
	var ext []string
	for _, ref := range to {
		ext = append(ext, fmt.Sprintf(`{"url":"http://x.example/e","valueReference":{"reference":%q}}`, ref))
	}
	r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"extension":[%s]}`, typ, id, strings.Join(ext, ",")), 0)
	if err != nil {
		x.t.Fatal(err)
	}
	if _, err := at.Author(context.Background(), "test", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}}); err != nil {
		x.t.Fatal(err)
	}
}

func (x *duo) pass() {
	x.t.Helper()
	if _, err := x.p.Pass(context.Background(), 0); err != nil {
		x.t.Fatal(err)
	}
}

// log returns the keys of the child's log, and how many copies it has parked.
func (x *duo) log() (string, int) {
	x.t.Helper()
	ctx := context.Background()
	var out []string
	err := x.low.Store().Read(ctx, func(r *store.Reader) error {
		_, _, _, err := r.Changes(0, nil, 1000, func(row store.Row) error {
			out = append(out, row.Key.String())
			return nil
		})
		return err
	})
	parked, perr := x.low.Store().Parked(ctx, store.ParkedFilter{})
	if err != nil || perr != nil {
		x.t.Fatal(err, perr)
	}
	return strings.Join(out, " "), len(parked)
}

func (x *duo) want(log string, parked int) {
	x.t.Helper()
	if got, n := x.log(); got != log || n != parked {
		x.t.Errorf("log %q and %d parked, want %q and %d", got, n, log, parked)
	}
}

// Each mode on a feed of one change a batch, in which everything comes before what it refers to; two that refer to each other are among them.
func TestReferenceModes(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    pull.Config
		refs   engine.References
		log    string
		parked int
	}{
		{"accept", pull.Config{}, engine.References{}, "Observation/o Encounter/e Patient/p Basic/a Basic/b Basic/lost", 0},
		{"hold", pull.Config{}, engine.References{Hold: true}, "Patient/p Encounter/e Observation/o Basic/b Basic/a", 1},
		{"fetch", pull.Config{Fetch: true}, engine.References{}, "Patient/p Encounter/e Observation/o Basic/b Basic/a Basic/lost", 0},
		{
			"fetch, some types",
			pull.Config{Fetch: true, Types: []string{"Observation", "Patient"}},
			engine.References{},
			"Patient/p Observation/o", 0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Batch = 1
			x := newDuo(t, c.cfg, c.refs)
			x.write(x.low, "Device/d") // the child has a log of its own
			x.pass()                   // the catch-up of a new child is over
			x.write(x.top, "Observation/o", "Encounter/e", "Patient/p")
			x.write(x.top, "Encounter/e", "Patient/p")
			x.write(x.top, "Patient/p")
			x.write(x.top, "Basic/a", "Basic/b")
			x.write(x.top, "Basic/b", "Basic/a")
			x.write(x.top, "Basic/lost", "Basic/nowhere")
			x.pass()
			x.want("Device/d "+c.log, c.parked)
			x.pass()
			x.want("Device/d "+c.log, c.parked)
			if got := x.fetched > 0; got != c.cfg.Fetch {
				t.Errorf("contents were asked for %d times", x.fetched)
			}
		})
	}
}

// The catch-up of a new child goes by types, so that what is referred to comes last.
func TestReferencesInACatchUp(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  pull.Config
		refs engine.References
	}{
		{"hold", pull.Config{}, engine.References{Hold: true}},
		{"fetch", pull.Config{Fetch: true}, engine.References{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Batch = 20
			x := newDuo(t, c.cfg, c.refs)
			knows(t, x.low, []string{"Patient"})
			x.write(x.top, "Patient/p")
			for i := range 250 {
				x.write(x.top, fmt.Sprintf("Encounter/%d", i), "Patient/p")
			}
			run, err := x.p.Pass(context.Background(), 0)
			log, parked := x.log()
			if err != nil || parked != 0 || strings.Count(log, "Encounter/") != 250 || strings.HasPrefix(log, "Patient/p ") != c.cfg.Fetch || run.Parked > 0 == c.cfg.Fetch {
				t.Errorf("%d parked, %+v, %v: %.200s", parked, run, err, log)
			}
		})
	}
}

// The depth and the number of what is fetched ahead are bounded; the rest is taken as it comes.
func TestFetchedReferencesAreBounded(t *testing.T) {
	x := newDuo(t, pull.Config{Fetch: true, Batch: 1}, engine.References{})
	x.pass()
	for i := range 6 {
		x.write(x.top, fmt.Sprintf("Basic/%d", i), fmt.Sprintf("Basic/%d", i+1))
	}
	x.pass()
	x.want("Basic/3 Basic/2 Basic/1 Basic/0 Basic/5 Basic/4", 0) // with Basic/4 what it refers to was asked for
	x = newDuo(t, pull.Config{Fetch: true, Batch: 1}, engine.References{})
	x.pass()
	var many []string
	for i := range 230 {
		many = append(many, fmt.Sprintf("Patient/%03d", i))
	}
	x.write(x.top, "Group/g", many...)
	for _, key := range many {
		x.write(x.top, key)
	}
	x.pass()
	log, _ := x.log()
	if before, _, _ := strings.Cut(log, "Group/g"); strings.Count(before, "Patient/") != 200 || strings.Count(log, "Patient/") != 230 {
		t.Errorf("%d were fetched ahead, %d are here", strings.Count(before, "Patient/"), strings.Count(log, "Patient/"))
	}
}

// What a copy waits for may come by another way than the pull: the next pull takes it, without waiting until it is due.
func TestHeldReferenceIsWrittenHere(t *testing.T) {
	x := newDuo(t, pull.Config{}, engine.References{Hold: true})
	x.pass()
	x.write(x.top, "Basic/b", "Patient/p")
	x.pass()
	x.want("", 1)
	x.pass()
	x.want("", 1)
	x.write(x.low, "Patient/p")
	x.pass()
	x.want("Patient/p Basic/b", 0)
}

// A parent that answers with something else than it was asked for is not believed.
func TestFetchedReferenceNobodyAskedFor(t *testing.T) {
	x := newDuo(t, pull.Config{Fetch: true, Batch: 1}, engine.References{})
	x.pass()
	x.write(x.top, "Basic/a", "Patient/p")
	x.write(x.top, "Patient/p")
	x.write(x.top, "Patient/q")
	x.twist = func(asked string) string { return strings.Replace(asked, "Patient/p", "Patient/q", 1) }
	x.pass()
	x.want("Basic/a Patient/p Patient/q", 0)
	if x.fetched != 1 {
		t.Errorf("it was asked %d times", x.fetched)
	}
}
