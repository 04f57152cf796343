package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// far and further are replicas of other nodes.
const (
	far     = version.Replica("00000000-0000-4000-8000-00000000000a")
	further = version.Replica("00000000-0000-4000-8000-00000000000b")
)

// world is a store with a clock that the test moves.
type world struct {
	*store.Store
	t      *testing.T
	driver string
	dsn    string
	millis atomic.Int64
}

// newWorld makes a database for node "clinic" with Atom pages of 4 events.
func newWorld(t *testing.T, driver, dsn string) *world {
	t.Helper()
	w := &world{t: t, driver: driver, dsn: dsn}
	w.millis.Store(time.Date(2024, 5, 1, 8, 0, 0, 0, time.UTC).UnixMilli())
	st, err := store.Create(t.Context(), w.options(), "clinic", 4)
	if err != nil {
		t.Fatal(err)
	}
	w.Store = st
	t.Cleanup(func() { closed(t, st) })
	return w
}

func (w *world) options() store.Options {
	clock := func() time.Time { return time.UnixMilli(w.millis.Load()) }
	return store.Options{Driver: w.driver, DSN: w.dsn, Clock: clock, Volatile: true}
}

// again opens another handle on the same database.
func (w *world) again() *store.Store {
	w.t.Helper()
	st, err := store.Open(w.t.Context(), w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { closed(w.t, st) })
	return st
}

func closed(t *testing.T, st *store.Store) {
	t.Helper()
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// do runs one write transaction that must succeed.
func (w *world) do(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := w.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// look runs one snapshot read that must succeed.
func (w *world) look(fn func(*store.Reader) error) {
	w.t.Helper()
	if err := w.Read(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(k fhir.Key) store.Copy {
	w.t.Helper()
	c, ok, err := w.Get(w.t.Context(), k)
	if err != nil || !ok {
		w.t.Fatalf("get %s: %v, %v", k, ok, err)
	}
	return c
}

func (w *world) log() []store.Row {
	w.t.Helper()
	var out []store.Row
	w.look(func(r *store.Reader) (err error) {
		out, err = r.Log()
		return err
	})
	return out
}

// author puts a new version of a key as this node writes it; a nil body deletes.
func author(st *store.Store, tx *store.Tx, k fhir.Key, body []byte, unit string) (version.Stamp, error) {
	v, err := tx.NextTick(k.Type)
	if err != nil {
		return version.Stamp{}, err
	}
	before, existed, err := tx.Current(k)
	if err != nil {
		return version.Stamp{}, err
	}
	s := version.Stamp{Version: v, Vector: before.Stamp.Vector.With(v), Author: v.Replica, Authored: tx.Now(), Origin: v}
	c := store.Change{Key: k, Action: feed.Created, Unit: unit}
	if existed {
		c.Action = feed.Updated
	}
	if body == nil {
		s.Deleted, c.Action = true, feed.Deleted
	} else {
		s.Hash = version.Hash{1, byte(v.Tick)}
		c.Content = st.Pack(body, nil)
	}
	c.Stamp = s
	_, err = tx.Put(c)
	return s, err
}

// put authors one version in a transaction of its own.
func (w *world) put(k fhir.Key, body string) (s version.Stamp) {
	w.t.Helper()
	var b []byte
	if body != "" {
		b = []byte(body)
	}
	w.do(func(tx *store.Tx) (err error) {
		s, err = author(w.Store, tx, k, b, "")
		return err
	})
	return s
}

func key(resourceType, id string) fhir.Key { return fhir.Key{Type: resourceType, ID: id} }

// stampBy is a stamp of another node that has seen nothing but what is named.
func stampBy(v version.Version, seen ...version.Version) version.Stamp {
	s := version.Stamp{Version: v, Vector: version.Vector{v}, Author: v.Replica, Authored: 1_700_000_000_000, Origin: v, Hash: version.Hash{7, byte(v.Tick)}}
	for _, o := range seen {
		s.Vector = s.Vector.With(o)
	}
	return s
}

func wantKind(t *testing.T, what string, err error, kind syncerr.Kind, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s: no error, want %s", what, kind)
	}
	if got := syncerr.KindOf(err); got != kind || !strings.Contains(syncerr.HintOf(err), hint) {
		t.Errorf("%s: %s error %v with hint %q, want %s and %q in the hint", what, got, err, syncerr.HintOf(err), kind, hint)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err1 := json.Marshal(got)
	w, err2 := json.Marshal(want)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(g, w) {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func TestConformanceCreateAndOpen(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		id := w.Identity()
		if !id.Replica.Valid() || !version.Replica(id.Epoch).Valid() || id.Name != "clinic" || id.PageSize != 4 {
			t.Fatalf("identity %+v", id)
		}
		_, err := store.Create(t.Context(), w.options(), "other", 10)
		wantKind(t, "create twice", err, syncerr.Conflict, "tributary serve")
		same(t, "identity after a refused create", w.again().Identity(), id)
		if err := w.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if d, server := w.Driver(t.Context()); d != driver || server == "" || server == "unknown" {
			t.Errorf("driver %q, server %q", d, server)
		}
		if w.Limit() < 8<<20 {
			t.Errorf("limit %d", w.Limit())
		}
	})
}

func TestConformanceOpenNeedsInit(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "card", "tributary.db")
	_, err := store.Open(t.Context(), store.Options{Driver: "sqlite", DSN: missing})
	wantKind(t, "no file", err, syncerr.NotFound, "tributary init")
	_, err = store.Open(t.Context(), store.Options{Driver: "mysql", DSN: testdb.MySQL(t)})
	wantKind(t, "empty database", err, syncerr.NotFound, "tributary init")
	_, err = store.Open(t.Context(), store.Options{Driver: "oracle", DSN: missing})
	wantKind(t, "unknown driver", err, syncerr.Usage, "sqlite or mysql")
}

// A copy goes through its whole life: made, changed, its vector grown without new content, deleted, revived.
func TestConformanceLifeOfACopy(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		k := key("Patient", "p1")
		if _, ok, err := w.Get(t.Context(), k); ok || err != nil {
			t.Fatalf("before the first put: %v, %v", ok, err)
		}
		s1 := w.put(k, `{"a":1}`)
		s2 := w.put(k, `{"a":2}`)
		grown := s2
		grown.Vector = s2.Vector.With(version.Version{Replica: far, Tick: 9})
		w.do(func(tx *store.Tx) error {
			_, err := tx.Put(store.Change{Key: k, Action: feed.Updated, Stamp: grown, Source: "north", Delivered: w.Identity().Epoch})
			return err
		})
		c := w.get(k)
		if string(c.Body) != `{"a":2}` || c.ContentSeq != 2 || c.Seq != 3 {
			t.Errorf("after a stamp alone: %s, content of %d, row %d", c.Body, c.ContentSeq, c.Seq)
		}
		same(t, "stamp", c.Stamp, grown)
		s4 := w.put(k, "")
		if c := w.get(k); c.Body != nil || !c.Stamp.Deleted || c.ContentSeq != 0 || c.Action != feed.Deleted {
			t.Errorf("tombstone: %+v", c)
		}
		s5 := w.put(k, `{"a":5}`)
		if c := w.get(k); string(c.Body) != `{"a":5}` || c.Stamp.Deleted || c.Stamp.Version != s5.Version {
			t.Errorf("revived: %+v", c)
		}
		w.look(func(r *store.Reader) error {
			for _, want := range []struct {
				s    version.Stamp
				body string
			}{{s1, `{"a":1}`}, {grown, `{"a":2}`}, {s4, ""}, {s5, `{"a":5}`}} {
				c, ok, err := r.Version(k, want.s.Version)
				if err != nil || !ok || string(c.Body) != want.body {
					t.Errorf("version %s: %s, %v, %v", want.s.Version, c.Body, ok, err)
				}
				same(t, "its stamp", c.Stamp, want.s)
			}
			if _, ok, err := r.Version(k, version.Version{Replica: far, Tick: 9}); ok || err != nil {
				t.Errorf("a version that was only seen: %v, %v", ok, err)
			}
			all, err := r.History(k, 0, 10)
			if err != nil || len(all) != 4 || all[0].Seq != 5 || all[1].Seq != 4 || all[2].Seq != 3 || all[3].Seq != 1 {
				t.Errorf("history: %+v, %v", all, err)
			}
			older, err := r.History(k, 4, 1)
			if err != nil || len(older) != 1 || older[0].Seq != 3 || string(older[0].Body) != `{"a":2}` {
				t.Errorf("page of history: %+v, %v", older, err)
			}
			return nil
		})
		got, err := w.Currents(t.Context(), []fhir.Key{k, key("Patient", "nobody")})
		if err != nil || len(got) != 1 || got[k].Seq != 5 {
			t.Errorf("currents: %+v, %v", got, err)
		}
	})
}

func TestConformanceContentsComeBackAsTheyWere(t *testing.T) {
	noise := make([]byte, 300_000)
	source := rand.NewChaCha8([32]byte{1})
	if _, err := source.Read(noise); err != nil {
		t.Fatal(err)
	}
	contents := map[string][]byte{
		"one": []byte("x"), "under": bytes.Repeat([]byte("a"), 255), "at": bytes.Repeat([]byte("a"), 256),
		"large": bytes.Repeat([]byte(`{"name":"Žofia 日本😀"},`), 1<<20/28), "noise": noise, "zero": make([]byte, 1000),
	}
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		w.do(func(tx *store.Tx) error {
			for id, body := range contents {
				if _, err := author(w.Store, tx, key("Binary", id), body, ""); err != nil {
					return err
				}
			}
			return nil
		})
		other := w.again()
		for id, body := range contents {
			c, ok, err := other.Get(t.Context(), key("Binary", id))
			if err != nil || !ok || c.Body == nil || !bytes.Equal(c.Body, body) {
				t.Errorf("%s: %d bytes (nil %v), %v, %v, want %d bytes", id, len(c.Body), c.Body == nil, ok, err, len(body))
			}
		}
		for _, row := range w.log() {
			if row.Size != len(contents[row.Key.ID]) {
				t.Errorf("%s: size %d in the log", row.Key, row.Size)
			}
		}
	})
}

// FHIR ids are case-sensitive (R4, datatypes, id): collation must not fold them.
func TestConformanceIdsThatDifferInCase(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		w.put(key("Patient", "abc"), "lower")
		w.put(key("Patient", "ABC"), "upper")
		w.put(key("Patient", "abc"), "lower 2")
		if a, b := w.get(key("Patient", "abc")), w.get(key("Patient", "ABC")); string(a.Body) != "lower 2" || string(b.Body) != "upper" {
			t.Errorf("%s and %s", a.Body, b.Body)
		}
		if _, ok, err := w.Get(t.Context(), key("Patient", "Abc")); ok || err != nil {
			t.Errorf("a third case: %v, %v", ok, err)
		}
	})
}

// Blanks at the end of a search value do not count: to one of the databases two values that differ only in them are one key.
func TestConformanceSearchValuesThatEndInBlanks(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		values := search.Values(key("Encounter", "e"), []byte(`{"identifier":[{"system":"urn:s","value":"V"},{"system":"urn:s","value":"v"}]}`))
		for _, v := range values {
			for _, blanks := range []string{" ", "   "} {
				values = append(values, search.Value{Param: v.Param, Value: v.Value + blanks, Space: v.Space})
			}
		}
		w.do(func(tx *store.Tx) error {
			_, err := tx.Put(store.Change{
				Key: key("Encounter", "e"), Action: feed.Created, Stamp: stampBy(version.Version{Replica: far, Tick: 1}), Content: w.Pack([]byte("{}"), values),
			})
			return err
		})
		for _, c := range []struct {
			value string
			want  int
		}{{"v", 1}, {"V", 1}, {"w", 0}} {
			if found, err := w.Search(t.Context(), parse(t, "Encounter", "identifier=urn:s|"+c.value)); err != nil || len(found.Copies) != c.want {
				t.Errorf("%s: %d found, %v", c.value, len(found.Copies), err)
			}
		}
	})
}

// A caller that went away gets its own error, and nothing of it stays.
func TestConformanceCancelledWriter(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := w.Write(ctx, func(*store.Tx) error {
			t.Error("it ran")
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		w.put(key("Patient", "next"), "x")
	})
}
