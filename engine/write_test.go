package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// site is a node without a network: tests carry its events to other sites by hand.
type site struct {
	*engine.Engine
	t    *testing.T
	ctx  context.Context
	hook func(point string) error
}

func newSite(t *testing.T, name string, cfg engine.Config) *site {
	t.Helper()
	s := &site{t: t, ctx: context.Background()}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	st, err := store.Create(s.ctx, store.Options{
		Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "n.db"), Volatile: true,
		Clock: func() time.Time { now = now.Add(time.Millisecond); return now },
		Hook: func(point string) error {
			if s.hook == nil {
				return nil
			}
			return s.hook(point)
		},
	}, name, 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s.Engine = engine.New(st, cfg)
	return s
}

func put(t *testing.T, id, family string) engine.Write {
	t.Helper()
	r := patient(t, id, family)
	return engine.Write{Op: engine.Update, Key: r.Key, Body: r}
}

func remove(id string) engine.Write {
	return engine.Write{Op: engine.Delete, Key: fhir.Key{Type: "Patient", ID: id}}
}

// edit carries out writes that must succeed.
func (s *site) edit(writes ...engine.Write) []engine.Written {
	s.t.Helper()
	out, err := s.Author(s.ctx, "tester", writes)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// log returns all rows as they were written.
func (s *site) log() []store.Row {
	s.t.Helper()
	var rows []store.Row
	err := s.Store().Read(s.ctx, func(r *store.Reader) error {
		var err error
		rows, err = r.Log()
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// copyOf returns the current copy of a patient, which must be there.
func (s *site) copyOf(id string) store.Copy {
	s.t.Helper()
	k := fhir.Key{Type: "Patient", ID: id}
	c, ok, err := s.Store().Get(s.ctx, k)
	if err != nil || !ok {
		s.t.Fatalf("Patient/%s: %v %v", id, ok, err)
	}
	cur, err := s.Store().Currents(s.ctx, []fhir.Key{k})
	if err != nil {
		s.t.Fatal(err)
	}
	c.Delivered = cur[k].Delivered // Get does not read it
	return c
}

func (s *site) family(id string) string {
	s.t.Helper()
	c := s.copyOf(id)
	if c.Stamp.Deleted {
		return "(deleted)"
	}
	_, after, _ := strings.Cut(string(c.Body), `"family":"`)
	name, _, ok := strings.Cut(after, `"`)
	if !ok {
		s.t.Fatalf("no family in %s", c.Body)
	}
	return name
}

func (s *site) replica() version.Replica { return s.Store().Identity().Replica }

func wantKind(t *testing.T, err error, kind syncerr.Kind) {
	t.Helper()
	if err == nil || syncerr.KindOf(err) != kind {
		t.Errorf("error %v is %s, want %s", err, syncerr.KindOf(err), kind)
	}
}

func TestEngineAuthorLife(t *testing.T) {
	s := newSite(t, "clinic", engine.Config{})
	fresh, err := fhir.Parse([]byte(`{"resourceType":"Patient","active":true}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	made := s.edit(engine.Write{Op: engine.Create, Body: fresh})[0]
	if made.Key.Type != "Patient" || made.Key.ID == "" || !made.Created || made.Unchanged || !strings.Contains(string(made.Body.Body), made.Key.ID) {
		t.Errorf("create: %+v %s", made, made.Body.Body)
	}
	if c := s.copyOf(made.Key.ID); string(c.Body) != string(made.Body.Body) || c.Committed != made.Committed || made.Committed == 0 {
		t.Errorf("stored %s at %d, answered %s at %d", c.Body, c.Committed, made.Body.Body, made.Committed)
	}
	steps := []struct {
		name               string
		write              engine.Write
		action             feed.Action
		tick               uint64
		created, unchanged bool
	}{
		{"update as create", put(t, "p", "A"), feed.Created, 2, true, false},
		{"update", put(t, "p", "B"), feed.Updated, 3, false, false},
		{"the same content", put(t, "p", "B"), "", 3, false, true},
		{"delete", remove("p"), feed.Deleted, 4, false, false},
		{"delete again", remove("p"), "", 4, false, true},
		{"revive with the same content", put(t, "p", "B"), feed.Created, 5, true, false},
	}
	for _, st := range steps {
		before := len(s.log())
		w := s.edit(st.write)[0]
		v := version.Version{Replica: s.replica(), Tick: st.tick}
		if w.Created != st.created || w.Unchanged != st.unchanged || w.Stamp.Version != v || w.Stamp.Origin != v || !w.Stamp.Vector.Equal(version.Vector{v}) {
			t.Errorf("%s: %+v", st.name, w)
		}
		rows := s.log()[before:]
		if st.unchanged {
			if len(rows) != 0 {
				t.Errorf("%s wrote %v", st.name, rows)
			}
			continue
		}
		if len(rows) != 1 || rows[0].Action != st.action || rows[0].Unit != "" || rows[0].Stamp.Validate() != nil {
			t.Errorf("%s wrote %+v", st.name, rows)
		}
	}
	if w := s.edit(remove("never"))[0]; !w.Unchanged || !w.Stamp.IsZero() {
		t.Errorf("delete of nothing: %+v", w)
	}
	if _, ok, err := s.Store().Get(s.ctx, fhir.Key{Type: "Patient", ID: "never"}); ok || err != nil {
		t.Errorf("the delete of nothing left a copy: %v", err)
	}
	rows, err := s.Store().AuditRecords(s.ctx, audit.Query{Operation: audit.Local})
	if err != nil || len(rows) != 5 || rows[0].Peer != "tester" || rows[0].Outcome != audit.Applied {
		t.Errorf("audit: %+v %v", rows, err)
	}
}

func TestEngineAuthorConditions(t *testing.T) {
	s := newSite(t, "clinic", engine.Config{Limit: 200})
	now := s.edit(put(t, "live", "A"), put(t, "dead", "A"))
	gone := s.edit(remove("dead"))[0]
	was, is := now[0].Stamp.Version.String(), gone.Stamp.Version.String()
	with := func(w engine.Write, f func(*engine.Write)) engine.Write { f(&w); return w }
	match := func(v string) func(*engine.Write) { return func(w *engine.Write) { w.IfMatch = v } }
	none := func(w *engine.Write) { w.IfNone = true }
	create := func(w *engine.Write) { w.Op = engine.Create }
	for _, c := range []struct {
		name  string
		write engine.Write
		kind  syncerr.Kind
	}{
		{"stale version", with(put(t, "live", "B"), match(is)), syncerr.Precondition},
		{"stale delete", with(remove("live"), match(is)), syncerr.Precondition},
		{"version of nothing", with(put(t, "never", "B"), match(was)), syncerr.Precondition},
		{"only where there is none", with(put(t, "live", "B"), none), syncerr.Precondition},
		{"the same content only where there is none", with(put(t, "live", "A"), none), syncerr.Precondition},
		{"create over a live one", with(put(t, "live", "B"), create), syncerr.Conflict},
		{"too large", put(t, "live", strings.Repeat("B", 200)), syncerr.TooLarge},
		{"bad id", with(remove("live"), func(w *engine.Write) { w.Key.ID = "a b" }), syncerr.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(s.log())
			_, err := s.Author(s.ctx, "t", []engine.Write{put(t, "other", c.name), c.write})
			wantKind(t, err, c.kind)
			if n := len(s.log()); n != before {
				t.Errorf("%d rows were written", n-before)
			}
		})
	}
	_, err := s.Author(s.ctx, "t", []engine.Write{put(t, "twice", "A"), remove("twice")})
	wantKind(t, err, syncerr.Invalid)
	s.edit(with(put(t, "live", "B"), match(was)))
	s.edit(with(put(t, "dead", "B"), none))
	s.edit(remove("dead"))
	s.edit(with(put(t, "dead", "C"), create))
}

func TestEngineAuthorUnit(t *testing.T) {
	s := newSite(t, "clinic", engine.Config{})
	s.edit(put(t, "same", "A"), put(t, "d", "A"))
	from := len(s.log())
	s.edit(put(t, "n1", "A"), put(t, "same", "A"), remove("d"), put(t, "n2", "A"))
	rows := s.log()[from:]
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, id := range []string{"n1", "d", "n2"} {
		if r := rows[i]; r.Key.ID != id || r.Unit == "" || r.Unit != rows[0].Unit || r.UnitSize != 3 {
			t.Errorf("row %d: %s unit %q of %d", i, r.Key, r.Unit, r.UnitSize)
		}
	}
	s.edit(put(t, "n1", "A"), put(t, "same", "B"))
	if r := s.log()[from+3]; r.Unit != "" || r.UnitSize != 0 {
		t.Errorf("one change is no unit: %q of %d", r.Unit, r.UnitSize)
	}
}

// A transaction that stops at any statement, or at its commit, leaves nothing; the ticks that it minted are given again.
func TestEngineAuthorAllOrNothing(t *testing.T) {
	s := newSite(t, "clinic", engine.Config{})
	s.edit(put(t, "a", "A"))
	stop := errors.New("the power went")
	writes := []engine.Write{put(t, "a", "B"), put(t, "b", "B"), remove("c")}
	points := 0
	for at := 1; ; at++ {
		n, last := 0, ""
		s.hook = func(point string) error {
			if n++; n == at {
				last = point
				return stop
			}
			return nil
		}
		_, err := s.Author(s.ctx, "t", writes)
		s.hook = nil
		if err == nil {
			break
		}
		points++
		rows := s.log()
		if last == "committed" {
			if len(rows) != 3 {
				t.Fatalf("stopped after its commit: %d rows", len(rows))
			}
			break
		}
		recs, aerr := s.Store().AuditRecords(s.ctx, audit.Query{})
		if aerr != nil || len(rows) != 1 || len(recs) != 1 || s.family("a") != "A" {
			t.Fatalf("stopped at %s: %d rows, %d audit rows, %v", last, len(rows), len(recs), aerr)
		}
	}
	if points < 5 {
		t.Errorf("only %d points were tried", points)
	}
	if rows := s.log(); rows[2].Stamp.Version.Tick != 3 {
		t.Errorf("ticks have a hole: %v", rows[2].Stamp.Version)
	}
}

func TestEngineAuthorEach(t *testing.T) {
	s := newSite(t, "clinic", engine.Config{})
	s.edit(put(t, "live", "A"))
	create := put(t, "live", "X")
	create.Op = engine.Create
	bad := remove("a b")
	twice := put(t, "n", "B")
	out, errs, err := s.AuthorEach(s.ctx, "t", []engine.Write{create, put(t, "n", "A"), bad, twice, put(t, "live", "B")})
	if err != nil || len(out) != 5 || len(errs) != 5 {
		t.Fatalf("%v %v %v", out, errs, err)
	}
	wantKind(t, errs[0], syncerr.Conflict)
	wantKind(t, errs[2], syncerr.Invalid)
	if errs[1] != nil || errs[3] != nil || errs[4] != nil || !out[1].Created || out[3].Created || s.family("n") != "B" || s.family("live") != "B" {
		t.Errorf("%v: %+v", errs, out)
	}
	for i, r := range s.log() {
		if r.Unit != "" || r.Stamp.Version.Tick != uint64(i+1) {
			t.Errorf("row %d: %q %s", i, r.Unit, r.Stamp.Version)
		}
	}
	s.hook = func(point string) error {
		if point == "commit" {
			return errors.New("the disk went")
		}
		return nil
	}
	if _, _, err := s.AuthorEach(s.ctx, "t", []engine.Write{put(t, "n", "C")}); err == nil {
		t.Error("a transaction that failed was reported as done")
	}
	s.hook = nil
	if s.family("n") != "B" {
		t.Error("it was written nevertheless")
	}
}
