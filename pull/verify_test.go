package pull_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/pull"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

const (
	clinic   = version.Replica("00000000-0000-4000-8000-00000000000a")
	district = version.Replica("00000000-0000-4000-8000-00000000000b")
)

func shelf(t *testing.T, name string) *store.Store {
	t.Helper()
	clock := func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }
	st, err := store.Create(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), name+".db"), Volatile: true, Clock: clock}, name, 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// copyOf is a copy of a version that has seen others; hash 0 stands for a deleted one.
func copyOf(hash byte, v version.Version, seen ...version.Version) version.Stamp {
	s := version.Stamp{Version: v, Vector: version.Vector{v}, Author: v.Replica, Authored: 1_700_000_000_000, Origin: v, Deleted: hash == 0}
	if hash != 0 {
		s.Hash = version.Hash{hash}
	}
	for _, o := range seen {
		s.Vector = s.Vector.With(o)
	}
	return s
}

func put(t *testing.T, st *store.Store, stamps map[fhir.Key]version.Stamp) {
	t.Helper()
	err := st.Write(t.Context(), func(tx *store.Tx) error {
		for k, s := range stamps {
			c := store.Change{Key: k, Action: feed.Updated, Stamp: s}
			if s.Deleted {
				c.Action = feed.Deleted
			} else {
				c.Content = st.Pack([]byte(`{}`), nil)
			}
			if _, err := tx.Put(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func always(string) bool { return true }

func never(string) bool { return false }

// pair holds two stores against each other and counts the questions to the parent.
type pair struct {
	own, parent *store.Store
	asked       int
	before      func(feed.DigestQuery) // called before the parent answers
}

func (p *pair) verify() pull.Verify {
	return pull.Verify{
		Own: p.own, Pulls: always, Pushes: always, Epoch: p.parent.Identity().Epoch,
		Parent: func(ctx context.Context, q feed.DigestQuery) ([]feed.Part, error) {
			p.asked++
			if p.before != nil {
				p.before(q)
			}
			return p.parent.Digest(ctx, q)
		},
	}
}

func (p *pair) compare(t *testing.T, v pull.Verify) pull.Comparison {
	t.Helper()
	out, err := v.Compare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Each finding, what a repair of it does, and in which direction it matters at all.
func TestVerifyFindings(t *testing.T) {
	old, newer, rival := version.Version{Replica: clinic, Tick: 1}, version.Version{Replica: clinic, Tick: 2}, version.Version{Replica: district, Tick: 1}
	none := version.Stamp{}
	cases := []struct {
		name        string
		here, there version.Stamp
		finding     pull.Finding
		fetch, send bool
	}{
		{"the same", copyOf(1, old), copyOf(1, old), "", false, false},
		{"another vector alone", copyOf(1, old, rival), copyOf(1, old), "", false, false},
		{"lost here", none, copyOf(1, old), pull.NotHere, true, false},
		{"lost there", copyOf(1, old), none, pull.NotThere, false, true},
		{"an old copy here", copyOf(1, old), copyOf(2, newer, old), pull.OlderHere, true, false},
		{"an old copy there", copyOf(2, newer, old), copyOf(1, old), pull.OlderThere, false, true},
		{"deleted here since", copyOf(0, newer, old), copyOf(1, old), pull.DeletedHere, false, true},
		{"deleted there since", copyOf(1, old), copyOf(0, newer, old), pull.DeletedThere, true, false},
		{"written again here since", copyOf(1, newer, old), copyOf(0, old), pull.DeletedThere, false, true},
		{"neither has seen the other", copyOf(1, old), copyOf(2, rival), pull.RivalCopies, true, true},
		{"rivals, one of them deleted", copyOf(0, old), copyOf(2, rival), pull.RivalCopies, true, true},
		{"both have seen the other", copyOf(1, old, rival), copyOf(2, rival, old), pull.RivalCopies, true, false},
		{"one version, two contents", copyOf(1, old), copyOf(2, old), pull.OtherContent, false, false},
		{"one version, deleted and not", copyOf(1, old), copyOf(0, old), pull.OtherContent, false, false},
	}
	p := pair{own: shelf(t, "clinic"), parent: shelf(t, "district")}
	keyOf := func(i int) fhir.Key { return fhir.Key{Type: "Patient", ID: fmt.Sprint(i)} }
	for i, c := range cases {
		for st, s := range map[*store.Store]version.Stamp{p.own: c.here, p.parent: c.there} {
			if !s.IsZero() {
				put(t, st, map[fhir.Key]version.Stamp{keyOf(i): s})
			}
		}
	}
	for _, way := range []struct{ pulled, pushed bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		v := p.verify()
		v.Pulls, v.Pushes = func(string) bool { return way.pulled }, func(string) bool { return way.pushed }
		found := map[fhir.Key]pull.Difference{}
		for _, d := range p.compare(t, v).Differences {
			found[d.Key] = d
		}
		for i, c := range cases {
			fetch, send := c.fetch && way.pulled, c.send && way.pushed
			if c.name == "both have seen the other" {
				send = way.pushed && !way.pulled
			}
			d, listed := found[keyOf(i)]
			if want := fetch || send || c.finding == pull.OtherContent && (way.pulled || way.pushed); listed != want {
				t.Errorf("%s, %+v: listed %v", c.name, way, listed)
			}
			if !listed {
				continue
			}
			if d.Finding != c.finding || d.Fetch != fetch || d.Send != send {
				t.Errorf("%s, %+v: %+v", c.name, way, d)
			}
			if !stands(d.Here, c.here) || !stands(d.There, c.there) {
				t.Errorf("%s: %+v and %+v", c.name, d.Here, d.There)
			}
		}
	}
}

func stands(c *feed.Copy, s version.Stamp) bool {
	if c == nil {
		return s.IsZero()
	}
	return c.Version == s.Version && c.Hash == s.Hash && c.Deleted == s.Deleted
}

// many fills a store with n copies whose ids are spread like random ones.
func many(t *testing.T, n int, stores ...*store.Store) {
	t.Helper()
	stamps := map[fhir.Key]version.Stamp{}
	for i := range n {
		v := version.Version{Replica: district, Tick: uint64(i + 1)}
		stamps[fhir.Key{Type: "Observation", ID: fmt.Sprintf("%06x-%d", i*7919%999_983, i)}] = copyOf(byte(i%200+1), v)
	}
	for _, st := range stores {
		put(t, st, stamps)
	}
}

// In many copies a few differences are found by few questions, wherever they stand, and nothing else is.
func TestVerifyDescends(t *testing.T) {
	p := pair{own: shelf(t, "clinic"), parent: shelf(t, "district")}
	many(t, 5_000, p.own, p.parent)
	if out := p.compare(t, p.verify()); len(out.Differences) > 0 || !out.Types[0].Equal || p.asked != 1 {
		t.Fatalf("equal stores: %+v in %d questions", out, p.asked)
	}
	ids := []string{"-", "000000-0-", "7", "8.x", "zzz"}
	for i, id := range ids {
		put(t, p.own, map[fhir.Key]version.Stamp{{Type: "Observation", ID: id}: copyOf(9, version.Version{Replica: clinic, Tick: uint64(i + 1)})})
	}
	p.asked = 0
	out := p.compare(t, p.verify())
	if len(out.Differences) != len(ids) || p.asked > 6 {
		t.Fatalf("%d differences in %d questions", len(out.Differences), p.asked)
	}
	for i, d := range out.Differences {
		if d.Key.ID != ids[i] || d.Finding != pull.NotThere || d.There != nil {
			t.Errorf("%d: %+v", i, d)
		}
	}
}

// One side empty: everything is found, or as much as the limit allows, and it says so.
func TestVerifyOneSideEmpty(t *testing.T) {
	for name, mine := range map[string]bool{"all here": true, "all there": false} {
		t.Run(name, func(t *testing.T) {
			p := pair{own: shelf(t, "clinic"), parent: shelf(t, "district")}
			want := pull.NotHere
			if mine {
				want = pull.NotThere
				many(t, 2_500, p.own)
			} else {
				many(t, 2_500, p.parent)
			}
			for limit, found := range map[int]int{0: 2_500, 2_500: 2_500, 2_499: 2_499, 70: 70} {
				v := p.verify()
				v.Limit = limit
				out := p.compare(t, v)
				if len(out.Differences) != found || out.Cut != (found < 2_500) {
					t.Errorf("limit %d: %d found, cut %v", limit, len(out.Differences), out.Cut)
				}
				for i, d := range out.Differences {
					if d.Finding != want || i > 0 && out.Differences[i-1].Key.Compare(d.Key) >= 0 {
						t.Fatalf("%d: %+v", i, d)
					}
				}
			}
		})
	}
}

// Own copies are read a thousand at a time: nothing is lost where one read ends and the next begins.
func TestVerifyReadsOn(t *testing.T) {
	for first, shift := range map[string]string{"": "the next is of the other kind", "-": "the next begins with the last"} {
		p := pair{own: shelf(t, "clinic"), parent: shelf(t, "district")}
		mine := map[fhir.Key]version.Stamp{}
		add := func(id string) {
			mine[fhir.Key{Type: "Patient", ID: id}] = copyOf(1, version.Version{Replica: clinic, Tick: uint64(len(mine) + 1)})
		}
		if first != "" {
			add(first)
		}
		for i := range 1_100 {
			add(fmt.Sprintf("%04d", i))
			add(fmt.Sprintf("%04d-", i))
		}
		put(t, p.own, mine)
		if out := p.compare(t, p.verify()); len(out.Differences) != len(mine) {
			t.Errorf("%s: %d of %d found", shift, len(out.Differences), len(mine))
		}
	}
}

// A node that only pushes does not ask for what other nodes have, beyond what it takes to find its own.
func TestVerifyPushOnly(t *testing.T) {
	p := pair{own: shelf(t, "clinic"), parent: shelf(t, "district")}
	many(t, 6_000, p.parent)
	mine := map[fhir.Key]version.Stamp{}
	for i := range 30 {
		mine[fhir.Key{Type: "Observation", ID: fmt.Sprintf("%x-mine", i)}] = copyOf(1, version.Version{Replica: clinic, Tick: uint64(i + 1)})
	}
	put(t, p.own, mine)
	delete(mine, fhir.Key{Type: "Observation", ID: "a-mine"})
	put(t, p.parent, mine)
	v := p.verify()
	v.Pulls = never
	out := p.compare(t, v)
	if len(out.Differences) != 1 || out.Differences[0].Key.ID != "a-mine" || out.Types[0].There != 6_029 || out.Types[0].Equal {
		t.Errorf("%+v", out)
	}
	if p.asked > 4 { // types, the whole range, the own ids, and the last look
		t.Errorf("%d questions", p.asked)
	}
	p.asked = 0
	v.Pulls, v.Pushes, v.Own, p.parent = always, never, p.parent, p.own // the other way round: only what the few lack here matters
	if out = p.compare(t, v); len(out.Differences) != 1 || out.Differences[0].Finding != pull.NotHere || p.asked > 3 {
		t.Errorf("%+v in %d questions", out, p.asked)
	}
}

// What arrives while it is compared is no difference.
func TestVerifyLooksAgain(t *testing.T) {
	p := pair{own: shelf(t, "clinic"), parent: shelf(t, "district")}
	k := fhir.Key{Type: "Patient", ID: "late"}
	late := map[fhir.Key]version.Stamp{k: copyOf(1, version.Version{Replica: district, Tick: 1})}
	put(t, p.parent, late)
	p.before = func(q feed.DigestQuery) {
		if len(q.IDs) > 0 {
			put(t, p.own, late)
			p.before = nil
		}
	}
	if out := p.compare(t, p.verify()); len(out.Differences) > 0 || len(out.Types) != 1 || out.Types[0].Equal {
		t.Errorf("%+v", out)
	}
}

// The reasons come from this node's own tables.
func TestVerifySaysWhy(t *testing.T) {
	p := pair{own: shelf(t, "clinic"), parent: shelf(t, "district")}
	mine, theirs := copyOf(1, version.Version{Replica: clinic, Tick: 1}), copyOf(2, version.Version{Replica: district, Tick: 1})
	keys := map[string]fhir.Key{}
	for _, id := range []string{"held", "refused", "open", "parked", "behind"} {
		k := fhir.Key{Type: "Patient", ID: id}
		keys[id] = k
		put(t, p.own, map[fhir.Key]version.Stamp{k: mine})
		put(t, p.parent, map[fhir.Key]version.Stamp{k: theirs})
	}
	head, err := p.own.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there, err := p.parent.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head.Seq--
	there.Seq--
	var uuid string
	err = p.own.Write(t.Context(), func(tx *store.Tx) error {
		for _, id := range []string{"held", "refused"} {
			if err := tx.Hold(store.Held{Key: keys[id], Peer: "district", Action: feed.Updated, Stamp: theirs}); err != nil {
				return err
			}
		}
		if err := tx.NoteRefusal(keys["refused"], "too large"); err != nil {
			return err
		}
		if err := tx.Park(store.Parked{Key: keys["parked"], Direction: "push", Peer: "district", Action: feed.Updated, Stamp: mine, Reason: "no room"}); err != nil {
			return err
		}
		if uuid, err = tx.PutConflict(store.Conflict{Key: keys["open"], Status: store.ConflictOpen, Peer: "district", Local: mine, Incoming: theirs}); err != nil {
			return err
		}
		if err := tx.SetPosition("parent", "push", store.Position{Cursor: head}); err != nil {
			return err
		}
		return tx.SetPosition("parent", "pull", store.Position{Cursor: there})
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"held": "held until the parent decides", "refused": "held until the parent decides; it refused the copy of this node: too large",
		"open": "conflict " + uuid + " is open here", "parked": "parked in the push: no room", "behind": "not pulled yet; not pushed yet",
	}
	out := p.compare(t, p.verify())
	if len(out.Differences) != len(want) {
		t.Fatalf("%+v", out.Differences)
	}
	for _, d := range out.Differences {
		if got := strings.Join(d.Why, "; "); got != want[d.Key.ID] {
			t.Errorf("%s: %q, want %q", d.Key, got, want[d.Key.ID])
		}
	}
}

// A parent that answers with the very range that was asked for would be asked for ever.
func TestVerifyEnds(t *testing.T) {
	p := pair{own: shelf(t, "clinic"), parent: shelf(t, "district")}
	many(t, 100, p.own)
	v := p.verify()
	v.Parent = func(_ context.Context, q feed.DigestQuery) ([]feed.Part, error) {
		if q.Type == "" {
			return []feed.Part{{Type: "Observation", Count: 1}}, nil
		}
		return []feed.Part{{Range: q.Ranges[0], Count: 1}}, nil
	}
	if out, err := v.Compare(t.Context()); err == nil || !strings.Contains(err.Error(), "did not cut") {
		t.Errorf("%+v %v", out, err)
	}
}
