package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// shelf is a database full of copies beside the plain list of them.
type shelf struct {
	*world
	copies map[fhir.Key]version.Stamp
	rand   *rand.Rand
	ticks  map[string]uint64
}

// rounds bounds the draws of a property by what a database takes for one.
var rounds = map[string]int{"sqlite": 40, "mysql": 6}

var shelfTypes = []string{"Patient", "Encounter", "Observation"}

// nobody is the name of no type that the shelf holds: what is asked for and is not there.
const nobody = "Basic"

func shelfReplica(n int) version.Replica {
	return version.Replica(fmt.Sprintf("%08x-0000-4000-8000-0000000000ff", n))
}

// newShelf writes versions of keys in an order of its own: nodes learn of them in no order at all.
func newShelf(t *testing.T, driver, dsn string, writes int) *shelf {
	s := &shelf{world: newWorld(t, driver, dsn), copies: map[fhir.Key]version.Stamp{}, rand: rand.New(rand.NewPCG(7, 7)), ticks: map[string]uint64{}}
	s.do(func(tx *store.Tx) error {
		for range writes {
			if err := s.write(tx); err != nil {
				return err
			}
		}
		return nil
	})
	return s
}

func (s *shelf) write(tx *store.Tx) error {
	k := key(shelfTypes[s.rand.IntN(3)], fmt.Sprintf("k%d", s.rand.IntN(15)))
	r := shelfReplica(s.rand.IntN(4))
	seen := s.copies[k].Vector
	s.ticks[k.Type+string(r)]++
	v := version.Version{Replica: r, Tick: s.ticks[k.Type+string(r)]}
	for range s.rand.IntN(4) {
		seen = seen.With(version.Version{Replica: shelfReplica(s.rand.IntN(6)), Tick: 1 + s.rand.Uint64N(9)})
	}
	seen = slices.DeleteFunc(slices.Clone(seen), func(o version.Version) bool { return o.Replica == r }).With(v)
	st := version.Stamp{Version: v, Vector: seen, Author: r, Origin: v, Hash: version.Hash{1}}
	c := store.Change{Key: k, Action: feed.Updated, Stamp: st, Unit: "u", UnitSize: 2, Source: "north"}
	if s.rand.IntN(4) == 0 {
		c.Stamp.Deleted, c.Stamp.Hash, c.Action = true, version.Hash{}, feed.Deleted
	} else {
		c.Content = s.Pack([]byte(v.String()), nil)
	}
	s.copies[k] = c.Stamp
	_, err := tx.Put(c)
	return err
}

// missing is the rule itself: a copy is listed where not all that it has seen is contained.
func (s *shelf) missing(known feed.Knowledge, types []string) (out []string) {
	for k, st := range s.copies {
		if types != nil && !slices.Contains(types, k.Type) {
			continue
		}
		has := known[k.Type].Vector
		for _, l := range known[k.Type].Lacks {
			if l.ID == k.ID {
				has = l.Seen
			}
		}
		if !has.ContainsAll(st.Vector) {
			out = append(out, k.String()+" "+st.Version.String())
		}
	}
	slices.Sort(out)
	return out
}

// list reads a list from a place to its end in pages.
func (s *shelf) list(t failer, known feed.Knowledge, types []string, at store.Place, limit int, between func()) (got []string, places []store.Place) {
	for done := false; !done; {
		before := at
		var looked int
		err := s.Read(t.Context(), func(r *store.Reader) (err error) {
			looked = 0
			at, done, err = r.Missing(known, types, at, limit, func(row store.Row, p store.Place) error {
				looked++
				if row.Seq != 0 || row.Unit != "" || row.UnitSize != 0 {
					t.Fatalf("%s stands as row %d of the log, in unit %q", row.Key, row.Seq, row.Unit)
				}
				if want := row.Stamp.Version.String(); row.Stamp.Deleted != (row.Content == nil) || row.Content != nil && string(row.Content) != want {
					t.Fatalf("%s has the content %s, want %s", row.Key, row.Content, want)
				}
				got, places = append(got, row.Key.String()+" "+row.Stamp.Version.String()), append(places, p)
				return nil
			})
			return err
		})
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if looked > limit || !done && at == before {
			t.Fatalf("a page of %d of %d, from %s to %s", looked, limit, before, at)
		}
		if err := at.Follows(before); err != nil {
			t.Fatalf("%v", err)
		}
		if again, err := store.ParsePlace(at.String()); err != nil || again != at {
			t.Fatalf("the place %s is read as %s, %v", at, again, err)
		}
		for i := range places[:max(0, len(places)-1)] {
			if err := places[i+1].Follows(places[i]); err != nil {
				t.Fatalf("%v", err)
			}
		}
		if between != nil {
			between()
		}
	}
	return got, places
}

// TestConformanceMissing holds the list of a catch-up against its rule.
func TestConformanceMissing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		s := newShelf(t, driver, dsn, 70)
		head, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		rapid.Check(t, func(t *rapid.T) {
			if n++; n > rounds[driver] {
				return
			}
			known := rapid.Custom(s.knowledge).Draw(t, "known")
			types := rapid.SampledFrom([][]string{nil, shelfTypes, {"Encounter"}, {"Patient", nobody, "Observation"}, {nobody}, {}}).Draw(t, "types")
			limit := rapid.SampledFrom([]int{1, 2, 3, 7, 200}).Draw(t, "limit")
			got, places := s.list(t, known, types, store.Place{Head: head.Seq}, limit, nil)
			sameKeys(t, "list", slices.Sorted(slices.Values(got)), s.missing(known, types))
			if len(got) > 0 {
				i := rapid.IntRange(0, len(got)-1).Draw(t, "resumed behind")
				at, err := store.ParsePlace(places[i].String())
				if err != nil {
					t.Fatal(err)
				}
				rest, _ := s.list(t, known, types, at, rapid.SampledFrom([]int{1, 5, 200}).Draw(t, "other limit"), nil)
				sameKeys(t, "the rest", rest, got[i+1:])
			}
		})
	})
}

// failer is what both kinds of tests can do.
type failer interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

func sameKeys(t failer, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// knowledge draws what an asker may know of the shelf.
func (s *shelf) knowledge(t *rapid.T) feed.Knowledge {
	out := feed.Knowledge{}
	for _, typ := range shelfTypes {
		if rapid.Bool().Draw(t, "nothing of "+typ) {
			continue
		}
		k := feed.Known{Type: typ}
		for r := range 6 {
			if tick := rapid.Uint64Range(0, 12).Draw(t, "tick"); tick > 0 {
				k.Vector = k.Vector.With(version.Version{Replica: shelfReplica(r), Tick: tick})
			}
		}
		for _, id := range rapid.SliceOfNDistinct(rapid.IntRange(0, 16), 0, 3, rapid.ID[int]).Draw(t, "excepted") {
			l := feed.Lack{ID: fmt.Sprintf("k%d", id), Version: version.Version{Replica: shelfReplica(0), Tick: 3}}
			if rapid.Bool().Draw(t, "seen") {
				l.Seen = s.copies[key(typ, l.ID)].Vector
			}
			k.Lacks = append(k.Lacks, l) // in the order of nobody: what a peer sends is not to be trusted with it
		}
		out[typ] = k
	}
	return out
}

// What is written while a list is read stands behind its head, and comes by the log: a copy that changes leaves the list, and nothing
// else does.
func TestConformanceMissingIsFrozen(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		s := newShelf(t, driver, dsn, 60)
		head, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		known := feed.Knowledge{}
		for i, typ := range shelfTypes { // versions of one type are known, and all of another, so that each part of the list is read
			k := feed.Known{Type: typ}
			for r := range 6 {
				k.Vector = k.Vector.With(version.Version{Replica: shelfReplica(r), Tick: []uint64{99 * uint64((5-r)/2), 0, 99}[i]})
			}
			for n := range 15 {
				k.Lacks = append(k.Lacks, feed.Lack{ID: fmt.Sprintf("k%d", n), Version: version.Version{Replica: far, Tick: 1}})
			}
			if known[typ] = k; i == 0 {
				k.Lacks = nil
				known[typ] = k
			}
		}
		before := s.missing(known, nil)
		got, _ := s.list(t, known, nil, store.Place{Head: head.Seq}, 3, func() { s.do(s.write) })
		after := s.missing(known, nil)
		if slices.Equal(before, after) {
			t.Fatal("nothing was written")
		}
		listed := map[string]bool{}
		for _, g := range got {
			if listed[g] {
				t.Errorf("%s was listed twice", g)
			}
			if listed[g] = true; !slices.Contains(before, g) {
				t.Errorf("%s was written later than the list was frozen", g)
			}
		}
		s.look(func(r *store.Reader) error {
			_, _, _, err := r.Changes(head.Seq, nil, 1000, func(row store.Row) error {
				listed[row.Key.String()+" "+row.Stamp.Version.String()] = true
				return nil
			})
			return err
		})
		for _, a := range after {
			if !listed[a] {
				t.Errorf("%s stands neither in the list nor behind it", a)
			}
		}
	})
}

// An exception may come to be while a list is read: another pass, or another peer, could not take something. What stands in the list
// behind the part of the excepted keys must not leave it by that.
func TestConformanceMissingWithALateException(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		s := newShelf(t, driver, dsn, 60)
		head, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := s.missing(nil, nil)
		known := feed.Knowledge{}
		pages := 0
		got, _ := s.list(t, known, nil, store.Place{Head: head.Seq}, 2, func() {
			if pages++; pages != 2 {
				return
			}
			for _, typ := range shelfTypes {
				k := feed.Known{Type: typ}
				for n := range 15 {
					k.Lacks = append(k.Lacks, feed.Lack{ID: fmt.Sprintf("k%d", n), Version: version.Version{Replica: far, Tick: 1}})
				}
				known[typ] = k
			}
		})
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("listed %d copies, want %d", len(got), len(want))
		}
	})
}

// Two keys with one version are the work of a broken node; a catch-up of others brings both all the same.
func TestConformanceMissingOfOneVersionTwice(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		s := newShelf(t, driver, dsn, 0)
		s.do(func(tx *store.Tx) error {
			for n := range 5 {
				v := version.Version{Replica: far, Tick: 1 + uint64(n)/3}
				st := stampBy(v)
				k := key("Patient", fmt.Sprintf("k%d", n))
				s.copies[k] = st
				if _, err := tx.Put(store.Change{Key: k, Action: feed.Created, Stamp: st, Content: s.Pack([]byte(v.String()), nil)}); err != nil {
					return err
				}
			}
			return nil
		})
		for limit := 1; limit < 7; limit++ {
			got, _ := s.list(t, nil, nil, store.Place{Head: 5}, limit, nil)
			sameKeys(t, fmt.Sprint("in pages of ", limit), slices.Sorted(slices.Values(got)), s.missing(nil, nil))
		}
	})
}

// Replicas of which everything is known cost a look each: a page is bounded in these, too, so that its reader hears of it in time.
func TestConformanceMissingOfManyReplicas(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		s := newShelf(t, driver, dsn, 0)
		known := feed.Known{Type: "Patient"}
		s.do(func(tx *store.Tx) error {
			for n := range 20 {
				st := stampBy(version.Version{Replica: shelfReplica(n), Tick: 1})
				known.Vector = known.Vector.Union(st.Vector)
				s.copies[key("Patient", fmt.Sprint("k", n))] = st
				if _, err := tx.Put(store.Change{Key: key("Patient", fmt.Sprint("k", n)), Action: feed.Created, Stamp: st, Content: s.Pack([]byte(st.Version.String()), nil)}); err != nil {
					return err
				}
			}
			return nil
		})
		for limit, least := range map[int]int{1: 20, 5: 4, 100: 1} {
			pages := 0
			got, _ := s.list(t, feed.Knowledge{"Patient": known}, nil, store.Place{Head: 20}, limit, func() { pages++ })
			if len(got) != 0 || pages < least || limit == 100 && pages > 1 {
				t.Errorf("in pages of %d: %d copies in %d pages", limit, len(got), pages)
			}
			whole, _ := s.list(t, nil, nil, store.Place{Head: 20}, limit, nil)
			sameKeys(t, "all", slices.Sorted(slices.Values(whole)), s.missing(nil, nil))
		}
	})
}

// A place follows those before it in the order of the list: types, then in each the excepted keys by id, then by replica first the versions, then
// the vectors, each by tick and id. The same place may come again; one of a list that was frozen elsewhere may not.
func TestPlacesFollow(t *testing.T) {
	const other = version.Replica("00000000-0000-4000-8000-000000000001")
	order := []string{
		store.Place{Head: 9}.String(), "9/Basic/0//0/", "9/Basic/0//0/a", "9/Basic/0//0/b", "9/Basic/1//0/", "9/Basic/1/" + string(other) + "/2/", "9/Basic/1/" + string(other) + "/2/a",
		"9/Basic/1/" + string(other) + "/10/a", "9/Basic/2/" + string(other) + "/1/a", "9/Basic/1/" + string(far) + "/1/a", "9/Patient/0//0/a",
	}
	for i, x := range order {
		for j, y := range order {
			before, err1 := store.ParsePlace(x)
			now, err2 := store.ParsePlace(y)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if err := now.Follows(before); (err == nil) != (j >= i) {
				t.Errorf("%s after %s: %v", y, x, err)
			}
			if now.Head++; now.Follows(before) == nil {
				t.Errorf("%s after %s of another list", now, x)
			}
		}
	}
}

// FuzzParsePlace: what is read is written the same, and both databases can look for it.
func FuzzParsePlace(f *testing.F) {
	f.Add("7/Patient/1/" + string(far) + "/3/k1")
	for _, bad := range []string{
		"", "/////", "7", "7/Patient/3//0/", "7/Nobody/0//0/", "7/Patient/0/x/0/", "-1/Patient/0//0/", "7/Patient/1//9223372036854775808/", "9223372036854775808/////",
		"7/Patient/0//0/a'b", "7/Patient/0//0/\xff", "7/Patient/0//0/~", "+7/Patient/0//0/k", "7/Patient/0//0/k/k", "7/Patient/01//0/k", "07/Patient/0//0/k",
	} {
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := store.ParsePlace(text)
		if err != nil {
			if syncerr.KindOf(err) != syncerr.Invalid {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if p.String() != text {
			t.Fatalf("%q was read as %q", text, p)
		}
		if p.ID != "" && (fhir.Key{Type: "Patient", ID: p.ID}).Validate() != nil {
			t.Fatalf("%q names no key", text)
		}
	})
}
