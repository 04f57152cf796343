package capture_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/capture"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// emr is a server of ours that knows no stamps: documents with a counter as their tag, and a feed of keys in the order of the changes.
type emr struct {
	docs      map[fhir.Key]resourcemanager.Copy
	feed      []fhir.Key
	last      int
	normalise func(string) string
	lose      int // answers of writes that are lost after they were carried out
	before    func(fhir.Key)
	refuse    string
	untagged  bool
	huge      string
	quiet     bool // its answers do not say what it made of a document
	writes    int
}

func (s *emr) put(k fhir.Key, content string) resourcemanager.Copy {
	s.last++
	c := resourcemanager.Copy{Key: k, State: resourcemanager.Present, Tag: strconv.Itoa(s.last), Content: []byte(content), Modified: time.Unix(1e9, 0)}
	if content == "" {
		c.State, c.Content = resourcemanager.Gone, nil
	}
	if s.untagged {
		c.Tag = ""
	}
	s.docs[k] = c
	s.feed = append(s.feed, k)
	return c
}

func (s *emr) Changes(_ context.Context, after string, take func(feedreader.Item) error) (string, bool, error) {
	from, _ := strconv.Atoi(after)
	to := min(from+3, len(s.feed))
	for _, k := range s.feed[from:to] {
		c := s.docs[k]
		if err := take(feedreader.Item{Key: k, Tag: c.Tag, Deleted: c.State == resourcemanager.Gone}); err != nil {
			return after, false, err
		}
	}
	return strconv.Itoa(to), to < len(s.feed), nil
}

func (s *emr) Read(_ context.Context, wants []resourcemanager.Want) ([]resourcemanager.Copy, error) {
	out := make([]resourcemanager.Copy, len(wants))
	for i, w := range wants {
		if w.Key.ID == s.huge {
			return nil, syncerr.New(syncerr.TooLarge, "read "+w.Key.String(), "it is too large")
		}
		out[i] = s.docs[w.Key]
		out[i].Key = w.Key
	}
	return out, nil
}

func (s *emr) Traffic() (in, out int64) { return 0, 0 }

func (s *emr) Write(_ context.Context, edits []resourcemanager.Edit) ([]resourcemanager.Answer, error) {
	var out []resourcemanager.Answer
	for _, e := range edits {
		if s.before != nil {
			s.before(e.Key)
		}
		now := s.docs[e.Key]
		switch {
		case s.refuse != "":
			out = append(out, resourcemanager.Answer{Fate: resourcemanager.Refused, Reason: s.refuse, Status: 422})
			continue
		case e.Create && now.State != resourcemanager.Absent, !e.Create && e.Base != now.Tag:
			out = append(out, resourcemanager.Answer{Fate: resourcemanager.Stale, Status: 412})
			continue
		}
		s.writes++
		content := string(e.Content)
		if s.normalise != nil && content != "" {
			content = s.normalise(content)
		}
		c := s.put(e.Key, content)
		if s.lose > 0 {
			s.lose--
			return out, syncerr.New(syncerr.Transient, "test", "the answer was lost")
		}
		if s.quiet {
			c.Content = nil
		}
		out = append(out, resourcemanager.Answer{Fate: resourcemanager.Done, Copy: c, Status: 200})
	}
	return out, nil
}

// world is a node with an EMR beside it.
type world struct {
	*testing.T
	eng  *engine.Engine
	emr  *emr
	link *capture.Link
	now  time.Time
}

func newWorld(t *testing.T, policy reconcile.Policy) *world {
	t.Helper()
	w := &world{T: t, emr: &emr{docs: map[fhir.Key]resourcemanager.Copy{}}, now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	clock := func() time.Time { w.now = w.now.Add(time.Second); return w.now }
	st, err := store.Create(t.Context(), store.Options{
		Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "n.db"), Clock: clock, Volatile: true,
	}, "clinic", 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	w.eng = engine.New(st, engine.Config{URL: "http://clinic", Policies: reconcile.Policies{Default: policy, Priority: map[string]int{"emr": 1, "clinic": 2}}})
	w.link = capture.New(w.eng, capture.Server{
		Source: w.emr, Remote: func(string) (resourcemanager.Remote, error) { return w.emr, nil }, Traffic: w.emr.Traffic,
	}, capture.Config{
		Name: "emr", URL: "http://emr", Pulls: []string{"Patient"}, Pushes: []string{"Patient"}, Batch: 2,
		Client: func(string) string { return "fhir" }, Clock: clock,
	})
	return w
}

func patient(id string) fhir.Key { return fhir.Key{Type: "Patient", ID: id} }

func doc(id, name string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":%q}]}`, id, name)
}

// edit writes at the node; an empty name deletes.
func (w *world) edit(id, name string) {
	w.Helper()
	write := engine.Write{Op: engine.Delete, Key: patient(id)}
	if name != "" {
		r, err := fhir.Parse([]byte(doc(id, name)), 0)
		if err != nil {
			w.Fatal(err)
		}
		write = engine.Write{Op: engine.Update, Key: patient(id), Body: r}
	}
	if _, err := w.eng.Author(w.Context(), "test", []engine.Write{write}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) pull() audit.Run {
	w.Helper()
	r, err := w.link.Pull(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) push() audit.Run {
	w.Helper()
	r, err := w.link.Push(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// here returns the family name at the node, "" where it is deleted or never was.
func (w *world) here(id string) string {
	w.Helper()
	c, ok, err := w.eng.Store().Get(w.Context(), patient(id))
	if err != nil {
		w.Fatal(err)
	}
	if !ok || c.Stamp.Deleted {
		return ""
	}
	return family(string(c.Body))
}

func (w *world) there(id string) string { return family(string(w.emr.docs[patient(id)].Content)) }

func family(body string) string {
	_, rest, ok := strings.Cut(body, `"family":"`)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// same fails where node and EMR differ.
func (w *world) same(id, want string) {
	w.Helper()
	if w.here(id) != want || w.there(id) != want {
		w.Errorf("%s: here %q, at the server %q, want %q", id, w.here(id), w.there(id), want)
	}
}

// still fails where passes go on moving something.
func (w *world) still() {
	w.Helper()
	head, _ := w.eng.Store().Head(w.Context())
	writes := w.emr.writes
	for range 3 {
		w.pull()
		w.push()
	}
	if now, _ := w.eng.Store().Head(w.Context()); now != head || w.emr.writes != writes {
		w.Errorf("idle passes write: log %s -> %s, server %d -> %d writes", head, now, writes, w.emr.writes)
	}
	if runs, err := w.eng.Store().Runs(w.Context(), "", 1000); err != nil || slices.ContainsFunc(runs, func(r audit.Run) bool { return r.Outcome == "running" }) {
		w.Errorf("a run is open: %+v %v", runs, err)
	}
}

func TestBothWays(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	w.emr.put(patient("a"), doc("a", "Achieng"))
	w.emr.put(patient("b"), doc("b", "Baraka"))
	w.edit("c", "Chebet")
	w.edit("d", "Duma")
	w.edit("e", "Eshe")
	w.pull()
	w.push()
	for id, name := range map[string]string{"a": "Achieng", "b": "Baraka", "c": "Chebet", "d": "Duma", "e": "Eshe"} {
		w.same(id, name)
	}
	w.still()
	w.emr.put(patient("c"), doc("c", "Cherono"))
	w.edit("a", "Akinyi")
	w.emr.put(patient("b"), "")
	w.edit("d", "")
	w.pull()
	w.push()
	for id, name := range map[string]string{"a": "Akinyi", "b": "", "c": "Cherono", "d": ""} {
		w.same(id, name)
	}
	w.edit("b", "Baraka again") // what was deleted at the server is written again here
	w.push()
	w.same("b", "Baraka again")
	w.still()
}

// What the server wrote is authored by it: policies go by its name.
func TestAuthoredByTheServer(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	w.emr.put(patient("a"), doc("a", "Achieng"))
	w.pull()
	c, _, err := w.eng.Store().Get(t.Context(), patient("a"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := w.eng.Store().Names(t.Context(), []version.Replica{c.Stamp.Author})
	if err != nil {
		t.Fatal(err)
	}
	found := len(names) == 1 && names[0].Node == "emr"
	own := w.eng.Store().Identity().Replica
	if !found || c.Stamp.Version.Replica != c.Stamp.Author || c.Stamp.Author == own || c.Stamp.Authored != 1e12 {
		t.Errorf("stamp %+v, names %+v, found %v", c.Stamp, names, found)
	}
}

// Both changed it: this side decides, nothing is overwritten unseen, and both end with one copy; the loser is kept.
func TestConflict(t *testing.T) {
	for _, c := range []struct {
		policy reconcile.Policy
		want   string
	}{{reconcile.SourceWins, "at the server"}, {reconcile.DestinationWins, "here"}, {reconcile.ReplicaPriority, "at the server"}} {
		for _, first := range []string{"pull", "push"} {
			t.Run(string(c.policy)+" "+first, func(t *testing.T) {
				w := newWorld(t, c.policy)
				w.edit("a", "common")
				w.push()
				w.edit("a", "here")
				w.emr.put(patient("a"), doc("a", "at the server"))
				if first == "pull" {
					w.pull()
				}
				w.push()
				w.pull()
				w.push()
				w.same("a", c.want)
				w.still()
				rows, err := w.eng.Store().Conflicts(t.Context(), store.ConflictFilter{Limit: 10})
				if err != nil || len(rows) != 1 {
					t.Errorf("conflicts: %+v %v", rows, err)
				}
			})
		}
	}
}

// A conflict that waits for a person stops nothing and overwrites nothing.
func TestDeferred(t *testing.T) {
	w := newWorld(t, reconcile.Defer)
	w.edit("a", "common")
	w.push()
	w.edit("a", "here")
	w.emr.put(patient("a"), doc("a", "at the server"))
	w.pull()
	w.edit("b", "goes on")
	w.push()
	if w.here("a") != "here" || w.there("a") != "at the server" {
		t.Errorf("here %q, there %q", w.here("a"), w.there("a"))
	}
	w.same("b", "goes on")
	w.emr.put(patient("a"), doc("a", "and again"))
	w.pull()
	if parked, err := w.eng.Store().Parked(t.Context(), store.ParkedFilter{Peer: "emr"}); err != nil || len(parked) != 1 {
		t.Errorf("parked: %+v %v", parked, err)
	}
	w.still()
}

// An answer is lost after the server took the document: it is no change of the server's, also when the node has gone on.
func TestLostAnswer(t *testing.T) {
	for _, further := range []bool{false, true} {
		t.Run(fmt.Sprint(further), func(t *testing.T) {
			w := newWorld(t, reconcile.SourceWins)
			w.edit("a", "one")
			w.push()
			w.edit("a", "two")
			w.emr.lose = 1
			if _, err := w.link.Push(t.Context()); syncerr.KindOf(err) != syncerr.Transient {
				t.Fatal(err)
			}
			want := "two"
			if further {
				want = "three"
				w.edit("a", want)
			}
			w.pull()
			w.push()
			w.same("a", want)
			rows, err := w.eng.Store().Conflicts(t.Context(), store.ConflictFilter{Limit: 10})
			if err != nil || len(rows) != 0 {
				t.Errorf("conflicts: %+v %v", rows, err)
			}
			w.still()
		})
	}
}

// Somebody at the server goes back to an older content: that is a change.
func TestWentBack(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	w.edit("a", "one")
	w.push()
	w.edit("a", "two")
	w.push()
	w.emr.put(patient("a"), doc("a", "one"))
	w.pull()
	w.push()
	w.same("a", "one")
	w.still()
}

// A server that stores what it is given in its own way has not changed it: the node keeps the whole document.
func TestNormalising(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		t.Run(fmt.Sprint(quiet), func(t *testing.T) {
			w := newWorld(t, reconcile.SourceWins)
			w.emr.quiet = quiet
			w.emr.normalise = func(s string) string { return strings.Replace(s, "Achieng", "ACHIENG", 1) }
			w.edit("a", "Achieng")
			w.push()
			w.pull()
			w.push()
			if w.here("a") != "Achieng" || w.there("a") != "ACHIENG" {
				t.Errorf("here %q, there %q", w.here("a"), w.there("a"))
			}
			w.still()
			w.emr.put(patient("a"), doc("a", "Atieno"))
			w.pull()
			if w.here("a") != "Atieno" {
				t.Errorf("here %q", w.here("a"))
			}
		})
	}
}

// The server refuses one document: that one waits with its reason, the others go on, and it goes when the server takes it.
func TestRefused(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	w.edit("a", "one")
	w.emr.refuse = "a is required"
	w.push()
	parked, err := w.eng.Store().Parked(t.Context(), store.ParkedFilter{Direction: "push", Peer: "emr"})
	if err != nil || len(parked) != 1 || parked[0].Reason != "a is required" {
		t.Fatalf("%+v %v", parked, err)
	}
	w.emr.refuse = ""
	w.edit("b", "two")
	w.push()
	w.same("b", "two")
	w.now = w.now.Add(time.Hour)
	w.push()
	w.same("a", "one")
	if parked, err := w.eng.Store().Parked(t.Context(), store.ParkedFilter{Peer: "emr"}); err != nil || len(parked) != 0 {
		t.Errorf("%+v %v", parked, err)
	}
	w.still()
}

// What the server shows and cannot be taken waits, and is read again.
func TestUnreadable(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	w.emr.put(patient("a"), `{"resourceType":"Patient","id":"other"}`)
	w.emr.put(patient("b"), doc("b", "two"))
	w.pull()
	if w.here("b") != "two" {
		t.Errorf("b: %q", w.here("b"))
	}
	parked, err := w.eng.Store().Parked(t.Context(), store.ParkedFilter{Direction: "pull", Peer: "emr"})
	if err != nil || len(parked) != 1 || !strings.Contains(parked[0].Reason, "Patient/other") {
		t.Fatalf("%+v %v", parked, err)
	}
	w.emr.docs[patient("a")] = resourcemanager.Copy{Key: patient("a"), State: resourcemanager.Present, Tag: "99", Content: []byte(doc("a", "mended"))}
	w.now = w.now.Add(time.Hour)
	w.pull()
	if w.here("a") != "mended" {
		t.Errorf("a: %q", w.here("a"))
	}
	if parked, err := w.eng.Store().Parked(t.Context(), store.ParkedFilter{Peer: "emr"}); err != nil || len(parked) != 0 {
		t.Errorf("%+v %v", parked, err)
	}
}

// A document that cannot be read keeps no other one.
func TestTooLarge(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	w.emr.huge = "b"
	for _, id := range []string{"a", "b", "c"} {
		w.emr.put(patient(id), doc(id, "one"))
	}
	w.pull()
	if w.here("a") != "one" || w.here("c") != "one" {
		t.Errorf("a %q, c %q", w.here("a"), w.here("c"))
	}
	parked, err := w.eng.Store().Parked(t.Context(), store.ParkedFilter{Direction: "pull", Peer: "emr"})
	if err != nil || len(parked) != 1 || !strings.Contains(parked[0].Reason, "too large") || parked[0].Key != patient("b") {
		t.Fatalf("%+v %v", parked, err)
	}
	w.emr.huge = ""
	w.now = w.now.Add(time.Hour)
	w.pull()
	if w.here("b") != "one" {
		t.Errorf("b %q", w.here("b"))
	}
	w.still()
}

// A server that changes a document before each write is not fought with: the document waits.
func TestMovingTarget(t *testing.T) {
	w := newWorld(t, reconcile.DestinationWins)
	w.edit("a", "one")
	w.push()
	w.edit("a", "two")
	n := 0
	w.emr.before = func(k fhir.Key) { n++; w.emr.put(k, doc(k.ID, fmt.Sprint("moved ", n))) }
	w.push()
	parked, err := w.eng.Store().Parked(t.Context(), store.ParkedFilter{Direction: "push", Peer: "emr"})
	if err != nil || len(parked) != 1 {
		t.Fatalf("%+v %v", parked, err)
	}
	w.emr.before = nil
	w.now = w.now.Add(time.Hour)
	w.push()
	w.pull()
	w.push()
	w.same("a", "two")
	w.still()
}

// Without tags a server's changes are found by their contents.
func TestUntagged(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	w.emr.untagged = true
	w.edit("a", "one")
	w.push()
	w.emr.put(patient("a"), doc("a", "two"))
	w.pull()
	w.same("a", "two")
	w.edit("a", "three")
	w.push()
	w.same("a", "three")
	w.still()
}

// After a restore the log is another one; nothing is given twice that the server has.
func TestAnotherLog(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	w.edit("a", "one")
	w.push()
	if err := w.eng.Restored(t.Context(), "test", nil); err != nil {
		t.Fatal(err)
	}
	w.edit("b", "two")
	before := w.emr.writes
	w.push()
	w.same("b", "two")
	if w.emr.writes != before+1 {
		t.Errorf("%d writes", w.emr.writes-before)
	}
	w.still()
}

// A deletion is not forgotten before the server was told of it.
func TestCollectionWaits(t *testing.T) {
	w := newWorld(t, reconcile.SourceWins)
	w.edit("a", "one")
	w.push()
	w.edit("a", "")
	collect := func() bool {
		_, err := w.eng.Collect(t.Context(), engine.Collecting{
			Keep: time.Millisecond, Servers: map[string]func(string) bool{"emr": func(string) bool { return true }},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, ok, err := w.eng.Store().Get(t.Context(), patient("a"))
		if err != nil {
			t.Fatal(err)
		}
		return !ok
	}
	if collect() {
		t.Fatal("the tombstone went before the server was told")
	}
	w.push()
	w.same("a", "")
	if !collect() {
		t.Error("the tombstone stays for ever")
	}
	w.still()
}
