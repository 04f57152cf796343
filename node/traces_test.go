package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// The traces of the core review, rules 6 to 10, that need whole nodes and real exchanges. The others: rules 1 to 5 in
// engine/holds_test.go, what two engines can play of 6, 9 and 10 in engine/traces_test.go, rule 7's parked events of another log in
// engine/references_test.go (TestReferencesOfAnotherLog), rule 8's "rows with the own old replica id are ordinary rows" and its nonce in
// TestRestoredDatabase, "a clone must stay refused" in TestClonedMachine, rule 9's pages at every limit in store/conformance_feed_test.go,
// rule 10's full comparison in both directions, over two hops and with excepted keys in TestAwayForLongerThanTombstonesStay and
// TestParentLostWhatWasDeletedAndCollected.

// wire is the way of a node's requests. before is asked about each; an error is what a lost link is.
type wire struct{ before func(r *http.Request) error }

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := w.before(r); err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(r)
}

var errLost = errors.New("the link is lost")

// over starts the node again with its requests going over a wire.
func (s *still) over(before func(r *http.Request) error) {
	s.t.Helper()
	s.close()
	deps := s.cal.deps()
	deps.Transport = &wire{before}
	n, err := node.New(context.Background(), s.cfg, deps)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Node = n
}

// moveTo gives the node another parent.
func (s *still) moveTo(parent *still) {
	s.t.Helper()
	s.close()
	s.admittedBy(parent)
	s.open()
}

func (s *still) nonce() string {
	return filepath.Join(filepath.Dir(s.cfg.Node.DataDir), "."+filepath.Base(s.cfg.Node.DataDir)+".nonce")
}

// backUp copies the stopped machine and returns what puts the copy back: the database alone, or the whole machine with the nonce.
func (s *still) backUp() (restore func(whole bool)) {
	s.t.Helper()
	s.close()
	copied, err := os.ReadFile(s.cfg.Store.DSN)
	if err != nil {
		s.t.Fatal(err)
	}
	nonce, err := os.ReadFile(s.nonce())
	if err != nil {
		s.t.Fatal(err)
	}
	s.open()
	return func(whole bool) {
		s.t.Helper()
		s.close()
		for _, suffix := range []string{"-wal", "-shm"} {
			if err := os.Remove(s.cfg.Store.DSN + suffix); err != nil && !os.IsNotExist(err) {
				s.t.Fatal(err)
			}
		}
		err := os.WriteFile(s.cfg.Store.DSN, copied, 0o600)
		if whole {
			err = errors.Join(err, os.WriteFile(s.nonce(), nonce, 0o600))
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.open()
	}
}

// meet runs passes of a node until two go well; one that finds that the node was restored ends so.
func (s *still) meet() {
	s.t.Helper()
	for good, i := 0, 0; good < 2; i++ {
		_, err := s.Sync(context.Background(), "both")
		if err == nil {
			good++
		} else if i > 3 || syncerr.KindOf(err) != syncerr.EpochChanged {
			s.t.Fatal(err)
		}
	}
}

func (s *still) identity() store.Identity { return s.Engine().Store().Identity() }

// known returns what the node knows of Patients.
func (s *still) known() feed.Known {
	s.t.Helper()
	parts, err := s.Engine().Store().Knowledge(context.Background(), []string{"Patient"})
	if err != nil {
		s.t.Fatal(err)
	}
	return feed.KnowledgeOf(parts)["Patient"]
}

// count returns how many Patients with ids made from a format are here.
func (s *still) count(format string, n int) (have int) {
	s.t.Helper()
	for i := range n {
		if _, ok := s.copyOf(fmt.Sprintf(format, i)); ok {
			have++
		}
	}
	return have
}

func newCalendar() *calendar { return &calendar{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

// Rule 4, trace b: "the cursor passed B1 while the type was not pushed; switched on again, a row of the parent overwrites B1." What is held is not
// judged by what the cursor of the push has passed.
func TestRule4PushedAgain(t *testing.T) {
	cal := newCalendar()
	district := newStill(t, cal, "district", nil)
	clinic := newStill(t, cal, "clinic", district)
	exchange(t, clinic)
	pushes := func(types ...config.TypeRule) {
		t.Helper()
		clinic.close()
		clinic.cfg.Push.Types = types
		clinic.open()
	}
	all := clinic.cfg.Push.Types
	pushes(config.TypeRule{Type: "Basic"})
	clinic.put("p", "by the clinic")
	own, _ := clinic.copyOf("p")
	exchange(t, clinic) // passes it
	district.put("p", "by the district, later")
	theirs, _ := district.copyOf("p")
	pushes(all...)
	if _, err := clinic.Sync(t.Context(), "pull"); err != nil {
		t.Fatal(err)
	}
	clinic.want("before it is pushed", map[string]string{"p": "by the clinic"})
	exchange(t, clinic, clinic)
	for _, s := range []*still{clinic, district} {
		c, _ := s.copyOf("p")
		if !c.Stamp.Vector.Contains(own.Stamp.Version) || !c.Stamp.Vector.Contains(theirs.Stamp.Version) {
			t.Errorf("%s has %v", s.cfg.Node.Name, c.Stamp)
		}
	}
	if c, err := district.Engine().Store().Conflicts(t.Context(), store.ConflictFilter{Limit: 10}); err != nil || len(c) != 1 {
		t.Errorf("%d conflicts at the district, %v", len(c), err)
	}
}

// Rule 6: "an interrupted pass's rows are behind the cursor when the pass that completes computes its delta": what is known is told with the
// page that completes a pass, and all of it that changed since the last complete one; before that nothing is claimed.
func TestRule6InterruptedPass(t *testing.T) {
	cal := newCalendar()
	district := newStill(t, cal, "district", nil)
	north := newStill(t, cal, "north", district)
	clinic := newStill(t, cal, "clinic", district)
	exchange(t, clinic)
	north.put("n", "by the north")
	exchange(t, north) // its versions stand in the first page only
	const n = 30
	for i := range n {
		district.put(fmt.Sprintf("p%d", i), "x")
	}
	pages, most := 0, 1
	clinic.cfg.Pull.Page = 1
	clinic.over(func(r *http.Request) error {
		if r.URL.Path == "/sync/changes" && r.Method == http.MethodGet {
			if pages++; pages > most {
				return errLost
			}
		}
		return nil
	})
	if _, err := clinic.Sync(t.Context(), "pull"); err == nil {
		t.Fatal("the pass was not interrupted")
	}
	have := clinic.count("p%d", n)
	if _, ok := clinic.copyOf("n"); !ok || have == 0 || have == n {
		t.Fatalf("%d of %d came before the link was lost", have, n)
	}
	if got := clinic.known().Vector.Tick(district.identity().Replica); got > uint64(have) {
		t.Errorf("it claims %d changes of the district and has %d", got, have)
	}
	most = 1000
	exchange(t, clinic)
	if x, y := clinic.known(), district.known(); clinic.count("p%d", n) != n || !x.Vector.Equal(y.Vector) || len(x.Lacks)+len(y.Lacks) != 0 {
		t.Errorf("the clinic knows %+v, the district %+v", x, y)
	}
}

// Rule 6: "its sibling D pulls from A and learns 'B up to 1' with no exception; when D next asks by knowledge (new parent) B1 is not listed."
func TestRule6PoisonAndNewParent(t *testing.T) {
	cal := newCalendar()
	district := newStill(t, cal, "district", nil)
	district.close()
	district.cfg.Limits.Resource = 1024
	district.open()
	north := newStill(t, cal, "north", district)
	clinic := newStill(t, cal, "clinic", district)
	exchange(t, north, clinic)
	north.put("big", strings.Repeat("x", 2000))
	north.put("small", "x")
	exchange(t, north, north, clinic, clinic)
	clinic.want("from the district", map[string]string{"big": "", "small": "x"})
	if k := clinic.known(); k.Vector.Tick(north.identity().Replica) != 2 {
		t.Fatalf("it was not told of the north: %+v", k)
	}
	clinic.moveTo(north)
	exchange(t, clinic, clinic)
	clinic.want("from the north", map[string]string{"big": "xxx", "small": "x"})
}

// Rule 7: "A is restored; B's push cursor is beyond what A lost; B never sends it again." And case (h): "what A lost after its backup and only
// its child C had received comes back because C sees A's new epoch and pushes by A's (old) knowledge."
func TestRule7ParentIsRestored(t *testing.T) {
	cal := newCalendar()
	nation := newStill(t, cal, "nation", nil)
	district := newStill(t, cal, "district", nation)
	clinic := newStill(t, cal, "clinic", district)
	clinic.put("before", "x")
	exchange(t, clinic, district)
	restore := district.backUp()
	clinic.put("pushed", "by the clinic")
	clinic.put("before", "edited since")
	district.put("received", "by the district")
	exchange(t, clinic, clinic)
	restore(false)
	district.want("restored", map[string]string{"before": "x", "pushed": "", "received": ""})
	exchange(t, clinic, clinic, district)
	all := map[string]string{"before": "edited since", "pushed": "by the clinic", "received": "by the district"}
	for _, s := range []*still{clinic, district, nation} {
		s.want("at the end", all)
	}
}

// Rule 7: "with re-parenting 12/300 (missing 9)": the pusher too begins with a catch-up; it "sends every current copy (and every held copy)
// not contained, whoever wrote it".
func TestRule7NewParent(t *testing.T) {
	cal := newCalendar()
	first, other := newStill(t, cal, "first", nil), newStill(t, cal, "other", nil)
	clinic := newStill(t, cal, "clinic", first)
	exchange(t, clinic)
	clinic.put("pushed", "by the clinic")
	first.put("theirs", "by the first")
	exchange(t, clinic, clinic)
	clinic.put("rival", "by the clinic")
	first.put("rival", "by the first")
	rival, _ := first.copyOf("rival")
	if _, err := clinic.Sync(t.Context(), "pull"); err != nil {
		t.Fatal(err)
	}
	if held, err := clinic.Engine().Store().Held(t.Context(), 0); err != nil || len(held) != 1 {
		t.Fatalf("%d held, %v", len(held), err)
	}
	clinic.moveTo(other)
	exchange(t, clinic, clinic)
	other.want("at the new parent", map[string]string{"pushed": "by the clinic", "theirs": "by the first"})
	if c, ok := other.copyOf("rival"); !ok || !c.Stamp.Vector.Contains(rival.Stamp.Version) {
		t.Errorf("what was held did not come to the new parent: %v", c.Stamp)
	}
	if held, err := clinic.Engine().Store().Held(t.Context(), 0); err != nil || len(held) != 0 {
		t.Errorf("%d are held for ever, %v", len(held), err)
	}
}

// Rule 8: "backup at B0; B1 pushed; restored; offline B writes another record as B1 (a busy clinic needs minutes for that). Now B's tick is
// not below A's knowledge: nothing is noticed, A drops or never asks for the new B1, two records bear one version." The whole machine was
// put back, so only what A remembers of B's log can tell.
func TestRule8SameTickAgain(t *testing.T) {
	cal := newCalendar()
	district := newStill(t, cal, "district", nil)
	clinic := newStill(t, cal, "clinic", district)
	exchange(t, clinic)
	restore := clinic.backUp()
	clinic.put("pushed", "before the loss")
	exchange(t, clinic)
	lost, _ := district.copyOf("pushed")
	was := clinic.identity()
	restore(true)
	clinic.put("offline", "after the loss")
	if c, _ := clinic.copyOf("offline"); clinic.identity() != was || c.Stamp.Version != lost.Stamp.Version {
		t.Fatalf("no two records bear one version: %v and %v", c.Stamp.Version, lost.Stamp.Version)
	}
	clinic.meet()
	for _, s := range []*still{clinic, district} {
		s.want("at the end", map[string]string{"pushed": "before the loss", "offline": "after the loss"})
	}
	if c, _ := district.copyOf("offline"); c.Stamp.Version == lost.Stamp.Version || clinic.identity().Replica == was.Replica {
		t.Errorf("two records bear %v", c.Stamp.Version)
	}
}

// Rule 8: "Checking the acknowledged cursor: 197/300, because batches of an unfinished catch-up acknowledge nothing": the head of the log is
// remembered with the first thing that is taken.
func TestRule8UnfinishedCatchUp(t *testing.T) {
	cal := newCalendar()
	district := newStill(t, cal, "district", nil)
	clinic := newStill(t, cal, "clinic", district)
	restore := clinic.backUp()
	const n = 210 // more than a batch
	for i := range n {
		clinic.put(fmt.Sprintf("p%d", i), "before the loss")
	}
	sent := 0
	clinic.over(func(r *http.Request) error {
		if r.Method == http.MethodPost && r.URL.Path == "/sync/changes" {
			if sent++; sent > 1 {
				return errLost
			}
		}
		return nil
	})
	if _, err := clinic.Sync(t.Context(), "push"); err == nil {
		t.Fatal("the catch-up was not cut")
	}
	have := district.count("p%d", n)
	if have == 0 || have == n {
		t.Fatalf("%d of %d were taken", have, n)
	}
	restore(true)
	for i := range n + 5 {
		clinic.put(fmt.Sprintf("q%d", i), "after the loss")
	}
	clinic.meet()
	for _, s := range []*still{clinic, district} {
		if got := s.count("p%d", n); got != have {
			t.Errorf("%s has %d of the %d that the district had taken", s.cfg.Node.Name, got, have)
		}
		if got := s.count("q%d", n+5); got != n+5 {
			t.Errorf("%s has %d of the %d that were written afterwards", s.cfg.Node.Name, got, n+5)
		}
	}
}

// Rule 8: "a peer that remembers nothing may be the first to be met": the nonce tells before the first write.
func TestRule8FirstMetRemembersNothing(t *testing.T) {
	cal := newCalendar()
	nation := newStill(t, cal, "nation", nil)
	district := newStill(t, cal, "district", nil)
	clinic := newStill(t, cal, "clinic", district)
	exchange(t, clinic)
	restore := clinic.backUp()
	clinic.put("pushed", "before the loss")
	exchange(t, clinic)
	restore(false)
	clinic.put("offline", "after the loss")
	clinic.moveTo(nation)
	exchange(t, clinic, clinic)
	district.moveTo(nation)
	exchange(t, district, clinic, district, clinic)
	seen := map[string]string{}
	for _, s := range []*still{clinic, district, nation} {
		s.want("at the end", map[string]string{"pushed": "before the loss", "offline": "after the loss"})
		for _, id := range []string{"pushed", "offline"} {
			c, _ := s.copyOf(id)
			if v := c.Stamp.Version.String(); seen[v] != "" && seen[v] != id {
				t.Errorf("%s and %s bear %s", id, seen[v], v)
			} else {
				seen[v] = id
			}
		}
	}
}

// Rule 8: "Do not write again what the peer confirms: it makes the old content rival to its own successors (deletes undone, old content
// winning)." What stood in the backup and went up after it was made, and was deleted there, stays deleted.
func TestRule8ConfirmedIsNotWrittenAgain(t *testing.T) {
	cal := newCalendar()
	district := newStill(t, cal, "district", nil)
	clinic := newStill(t, cal, "clinic", district)
	exchange(t, clinic)
	clinic.put("deleted", "x")
	clinic.put("edited", "x")
	restore := clinic.backUp()
	clinic.put("since", "x")
	exchange(t, clinic)
	district.put("deleted", "")
	district.put("edited", "by the district")
	restore(true)
	clinic.put("offline", "after the loss")
	clinic.meet()
	for _, s := range []*still{clinic, district} {
		s.want("at the end", map[string]string{"deleted": "", "edited": "by the district", "since": "x", "offline": "after the loss"})
	}
	if c, err := district.Engine().Store().Conflicts(t.Context(), store.ConflictFilter{}); err != nil || len(c) != 0 {
		t.Errorf("%d conflicts with what the district had, %v", len(c), err)
	}
}

// Rule 9: "Sending the latest copy in place of a unit's row tears units; dropping a row because a later one exists; splitting pages." A
// transaction that stands at the end of a batch and of which a member is written again goes up and down whole, as it was written.
func TestRule9TransactionsAreWhole(t *testing.T) {
	cal := newCalendar()
	district := newStill(t, cal, "district", nil)
	clinic := newStill(t, cal, "clinic", district)
	sibling := newStill(t, cal, "sibling", district)
	exchange(t, clinic, sibling, clinic, sibling)
	for i := range 199 { // a batch of a push has 200
		clinic.put(fmt.Sprintf("p%d", i), "x")
	}
	var writes []engine.Write
	for _, id := range []string{"u0", "u1", "u2"} {
		r, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"`+id+`","text":{"status":"generated","div":"together"}}`), 0)
		if err != nil {
			t.Fatal(err)
		}
		writes = append(writes, engine.Write{Op: engine.Update, Key: r.Key, Body: r})
	}
	if _, err := clinic.Engine().Author(t.Context(), "test", writes); err != nil {
		t.Fatal(err)
	}
	clinic.put("u1", "alone")
	whole := func(s *still) {
		t.Helper()
		if n := s.count("u%d", 3); n != 0 && n != 3 {
			t.Errorf("%s has %d of 3 members", s.cfg.Node.Name, n)
		}
	}
	exchanges := 0
	looked := func(s *still) func(*http.Request) error {
		return func(*http.Request) error {
			exchanges++
			whole(s)
			return nil
		}
	}
	clinic.over(looked(district))
	sibling.cfg.Pull.Page = 1
	sibling.over(looked(sibling))
	exchange(t, clinic, sibling)
	for _, s := range []*still{district, sibling} {
		s.want("at the end", map[string]string{"u0": "together", "u1": "alone", "u2": "together"})
		var rows []store.Row
		err := s.Engine().Store().Read(t.Context(), func(r *store.Reader) error {
			var err error
			rows, err = r.Log()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		members := 0
		for _, row := range rows {
			if row.Unit != "" {
				members++
				if row.UnitSize != 3 || !strings.Contains(string(row.Content), "together") {
					t.Errorf("%s has in the transaction %s as %s", s.cfg.Node.Name, row.Key, row.Content)
				}
			}
		}
		if members != 3 {
			t.Errorf("%s has a transaction of %d changes", s.cfg.Node.Name, members)
		}
	}
	if exchanges < 5 {
		t.Errorf("only %d exchanges were looked at", exchanges)
	}
}

// Rule 10: a full comparison "never removes a key that is outside the listing side's scope": a type that is not pulled any more is left as it
// is, however much of it the parent has deleted and forgotten meanwhile.
func TestRule10OutsideTheScope(t *testing.T) {
	cal := newCalendar()
	district := newStill(t, cal, "district", nil)
	clinic := newStill(t, cal, "clinic", district)
	basic := fhir.Key{Type: "Basic", ID: "b"}
	author := func(w engine.Write) {
		t.Helper()
		if _, err := district.Engine().Author(t.Context(), "test", []engine.Write{w}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"Basic","id":"b"}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	author(engine.Write{Op: engine.Update, Key: basic, Body: r})
	district.put("p", "x")
	exchange(t, clinic, clinic)
	if err := district.Control().RemoveChild(t.Context(), "clinic"); err != nil {
		t.Fatal(err)
	}
	author(engine.Write{Op: engine.Delete, Key: basic})
	district.put("p", "")
	district.collect("p")
	clinic.cfg.Pull.Types = []config.TypeRule{{Type: "Patient"}}
	clinic.moveTo(district)
	exchange(t, clinic, clinic)
	clinic.want("what is pulled", map[string]string{"p": ""})
	if c, ok, err := clinic.Engine().Store().Get(t.Context(), basic); err != nil || !ok || c.Stamp.Deleted {
		t.Errorf("what is not pulled was removed: %v %v", c.Stamp, err)
	}
}
