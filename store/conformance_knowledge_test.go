package store_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// knower is a database's knowledge of Patients beside the model: version.Knowledge and the vectors of the copies.
type knower struct {
	*world
	model   version.Knowledge
	copies  map[string]version.Vector
	round   int
	up      map[version.Replica]bool // entries that rose by another word than the parent's since the pusher told
	told    uint64                   // revision up to which the parent was told
	mirror  feed.Known               // what a reader merged
	revised uint64                   // revision of the reader's last complete pass
}

// replica names one of the replicas of a round: each has its own, so that one database serves all.
func (w *knower) replica(n int) version.Replica {
	return version.Replica(fmt.Sprintf("%08x-0000-4000-8000-%012x", n, w.round))
}

func (w *knower) id(n int) string { return fmt.Sprintf("r%d-%d", w.round, n) }

// version draws a version of the round that a node can have minted.
func (w *knower) version(t *rapid.T) version.Version {
	return version.Version{Replica: w.replica(rapid.IntRange(0, 2).Draw(t, "replica")), Tick: uint64(rapid.IntRange(1, 6).Draw(t, "tick"))}
}

func (w *knower) vector(t *rapid.T) (x version.Vector) {
	for _, v := range rapid.SliceOfN(rapid.Custom(w.version), 0, 3).Draw(t, "vector") {
		x = x.With(v)
	}
	return x
}

// SQL states the rules of knowledge a second time; version.Knowledge is the first. It differs in two things on purpose: an entry never
// rises within a pass, and an exception is not taken over for a version that is known here, whatever the copy has seen.
func TestConformanceKnowledgeFollowsTheAlgebra(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		world := newWorld(t, driver, dsn)
		w := &knower{world: world}
		rapid.Check(t, func(t *rapid.T) {
			if w.round++; w.round > 2*rounds[driver] {
				return
			}
			w.model, w.copies, w.up = version.Knowledge{}, map[string]version.Vector{}, map[version.Replica]bool{}
			w.mirror, w.told, w.revised = feed.Known{Type: "Patient"}, 0, 0
			for range rapid.IntRange(1, 6).Draw(t, "steps") {
				w.step(t)
				w.compare(t)
			}
		})
	})
}

func (w *knower) step(t *rapid.T) {
	id := w.id(rapid.IntRange(0, 2).Draw(t, "key"))
	k := fhir.Key{Type: "Patient", ID: id}
	before, err := w.UpRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	quiet := false // nothing that the parent has not told itself
	err = nil
	switch rapid.SampledFrom([]string{"copy", "except", "learn", "learn", "told", "forget"}).Draw(t, "step") {
	case "copy":
		v := w.version(t)
		seen := w.copies[id].Union(w.vector(t)).With(v)
		v.Tick = seen.Tick(v.Replica)
		w.copies[id] = seen
		w.model = w.model.Settle(id, seen)
		quiet = true
		err = w.Write(t.Context(), func(tx *store.Tx) error {
			s := version.Stamp{Version: v, Vector: seen, Author: v.Replica, Origin: v, Deleted: true}
			if _, err := tx.Put(store.Change{Key: k, Action: feed.Deleted, Stamp: s}); err != nil {
				return err
			}
			return tx.Settle(k, seen)
		})
	case "except":
		v := w.version(t)
		if w.copies[id].Contains(v) {
			return // nobody excepts what is there
		}
		w.model = w.model.Merge(version.Delta{Exceptions: []version.Exception{{Key: id, Lacks: []version.Version{v}}}}, nothing)
		err = w.Write(t.Context(), func(tx *store.Tx) error { return tx.Except(k, v) })
	case "learn":
		err = w.learn(t, true)
	case "told":
		quiet = true
		err = w.learn(t, false)
	case "forget":
		v := w.version(t)
		w.model = w.model.Forget(v)
		err = w.Write(t.Context(), func(tx *store.Tx) error { return tx.Forget("Patient", v) })
	}
	if err != nil {
		t.Fatal(err)
	}
	after, err := w.UpRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if quiet && after != before {
		t.Fatalf("the revision for the parent went from %d to %d by what the parent told", before, after)
	}
}

func nothing(string) version.Vector { return nil }

// learn takes over what a peer told.
func (w *knower) learn(t *rapid.T, up bool) error {
	p := feed.Known{Type: "Patient", Vector: w.vector(t), Forgotten: w.vector(t)}
	for n := range rapid.IntRange(0, 2).Draw(t, "lacks") {
		p.Lacks = append(p.Lacks, feed.Lack{ID: w.id(n), Version: w.version(t)})
	}
	var d version.Delta
	for _, v := range p.Vector {
		d.Entries = append(d.Entries, version.Entry{Version: v})
		if up && !w.model.Vector().Contains(v) {
			w.up[v.Replica] = true
		}
	}
	for _, v := range p.Forgotten {
		d.Forgotten = append(d.Forgotten, version.Entry{Version: v})
	}
	for _, l := range p.Lacks {
		if !w.model.Vector().Contains(l.Version) {
			d.Exceptions = append(d.Exceptions, version.Exception{Key: l.ID, Lacks: []version.Version{l.Version}})
		}
	}
	w.model = w.model.Merge(d, func(id string) version.Vector { return w.copies[id] })
	return w.Write(t.Context(), func(tx *store.Tx) error { return tx.Learn([]feed.Known{p}, up) })
}

// compare holds what the database says against the model, and brings the readers of deltas to the same.
func (w *knower) compare(t *rapid.T) {
	parts, err := w.Knowledge(t.Context(), []string{"Patient"})
	if err != nil {
		t.Fatal(err)
	}
	whole := w.own(feed.KnowledgeOf(parts)["Patient"])
	want := feed.Known{Type: whole.Type, Vector: w.model.Vector(), Forgotten: w.model.Forgotten()}
	for _, e := range w.model.Exceptions() {
		for _, v := range e.Lacks {
			want.Lacks = append(want.Lacks, feed.Lack{ID: e.Key, Version: v, Seen: w.copies[e.Key]})
		}
	}
	if got, want := fmt.Sprint(whole), fmt.Sprint(want); got != want {
		t.Fatalf("the database knows\n%s\nthe model\n%s", got, want)
	}
	if rapid.Bool().Draw(t, "pull") {
		w.mirrored(t, whole)
	}
	if rapid.Bool().Draw(t, "push") {
		w.upwards(t, whole)
	}
}

// own leaves what is of this round.
func (w *knower) own(k feed.Known) feed.Known {
	last := w.replica(0)[8:]
	foreign := func(v version.Version) bool { return v.Replica[8:] != last }
	k.Vector, k.Forgotten = slices.DeleteFunc(k.Vector, foreign), slices.DeleteFunc(k.Forgotten, foreign)
	k.Lacks = slices.DeleteFunc(k.Lacks, func(l feed.Lack) bool { return foreign(l.Version) })
	return k
}

func (w *knower) since(t *rapid.T, revision uint64, up bool) (feed.Known, uint64) {
	var parts []feed.Known
	var now uint64
	err := w.Read(t.Context(), func(r *store.Reader) (err error) {
		parts, now, err = r.KnowledgeSince([]string{"Patient", "Group"}, revision, up)
		return err
	})
	if err != nil || len(parts) > 1 || now < revision {
		t.Fatalf("since %d: %d parts, up to %d, %v", revision, len(parts), now, err)
	}
	return w.own(feed.KnowledgeOf(parts)["Patient"]), now
}

// mirrored: what a reader had before and the delta are the whole; of the exceptions those that ended are not told, since their end
// comes with the copy.
func (w *knower) mirrored(t *rapid.T, whole feed.Known) {
	d, now := w.since(t, w.revised, false)
	w.revised = now
	m := feed.Known{Type: "Patient", Vector: w.mirror.Vector.Union(d.Vector), Forgotten: w.mirror.Forgotten.Union(d.Forgotten)}
	all := append(slices.Clone(w.mirror.Lacks), d.Lacks...)
	for _, l := range all {
		if l.Seen = w.copies[l.ID]; !l.Seen.Contains(l.Version) {
			m.Lacks = append(m.Lacks, l)
		}
	}
	if got, want := fmt.Sprint(lacksOf(m), m.Vector, m.Forgotten), fmt.Sprint(lacksOf(whole), whole.Vector, whole.Forgotten); got != want {
		t.Fatalf("the deltas are together\n%s\nand the whole is\n%s", got, want)
	}
	w.mirror = m
	if again, _ := w.since(t, now, false); !again.IsZero() {
		t.Fatalf("behind revision %d, where nothing changed, there is %v", now, again)
	}
}

func lacksOf(k feed.Known) (out []string) {
	for _, l := range k.Lacks {
		out = append(out, l.ID+" "+l.Version.String())
	}
	slices.Sort(out)
	return out
}

// upwards: the parent is told all at first, and then no entry that rose by its own word alone.
func (w *knower) upwards(t *rapid.T, whole feed.Known) {
	d, now := w.since(t, w.told, true)
	var want version.Vector
	for _, v := range whole.Vector {
		if w.told == 0 || w.up[v.Replica] {
			want = want.With(v)
		}
	}
	if !d.Vector.Equal(want) {
		t.Fatalf("since %d the parent is told %s, of %s that rose otherwise than by its word", w.told, d.Vector, slices.Collect(maps.Keys(w.up)))
	}
	w.told = now
	clear(w.up)
}
