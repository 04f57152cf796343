package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

func (w *world) digest(q feed.DigestQuery) []feed.Part {
	w.t.Helper()
	parts, err := w.Digest(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return parts
}

// take puts copies that others wrote.
func (w *world) take(keys []fhir.Key, stamp func(fhir.Key) version.Stamp) {
	w.t.Helper()
	w.do(func(tx *store.Tx) error {
		for _, k := range keys {
			s := stamp(k)
			c := store.Change{Key: k, Action: feed.Updated, Stamp: s}
			if s.Deleted {
				c.Action = feed.Deleted
			} else {
				c.Content = w.Pack([]byte(`{}`), nil)
			}
			if _, err := tx.Put(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// A digest is of what is there, not of the way it came: any order, any history, any database; and it tells every single change.
func TestConformanceDigests(t *testing.T) {
	var keys []fhir.Key
	ticks := map[fhir.Key]uint64{}
	for i := range 500 {
		k := key("Patient", fmt.Sprintf("%c%c-%d", "aAzZ09.-"[i%8], "-.09AZaz"[i/8%8], i))
		keys, ticks[k] = append(keys, k), uint64(i+1)
	}
	plain := func(k fhir.Key) version.Stamp {
		s := stampBy(version.Version{Replica: far, Tick: ticks[k]})
		if ticks[k]%10 == 0 {
			s.Deleted, s.Hash = true, version.Hash{}
		}
		return s
	}
	whole := feed.DigestQuery{Type: "Patient", Ranges: []feed.Range{{}}}
	var first []feed.Part
	for name, open := range map[string]func(testing.TB) string{"sqlite": testdb.SQLite, "mysql": testdb.MySQL} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, name, open(t))
			rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
			w.take(keys[:100], func(k fhir.Key) version.Stamp { // an older copy of some, which is replaced
				return stampBy(version.Version{Replica: further, Tick: ticks[k]})
			})
			w.take(keys, plain)
			w.take([]fhir.Key{key("Basic", "b")}, func(fhir.Key) version.Stamp { return stampBy(version.Version{Replica: far, Tick: 1}) })
			parts := w.digest(feed.DigestQuery{})
			if len(parts) != 2 || parts[0].Type != "Basic" || parts[0].Count != 1 || parts[1].Type != "Patient" || parts[1].Count != 500 || parts[1].Sum == (feed.Sum{}) {
				t.Fatalf("got %+v", parts)
			}
			if first == nil {
				first = parts
			}
			same(t, "the digests of both databases", parts, first)
			same(t, "one type", w.digest(feed.DigestQuery{Types: []string{"Observation", "Patient"}}), parts[1:])
			same(t, "its only range", w.digest(whole)[0].Sum, parts[1].Sum)

			k := keys[slices.IndexFunc(keys, func(k fhir.Key) bool { return ticks[k] == 7 })]
			seen := map[feed.Sum]string{parts[1].Sum: "the sum before"}
			for _, c := range []struct {
				what   string
				change func(*version.Stamp)
			}{
				{"another tick", func(s *version.Stamp) { s.Version.Tick += 1000 }},
				{"another replica", func(s *version.Stamp) { s.Version.Replica = further }},
				{"another content", func(s *version.Stamp) { s.Hash[31]++ }},
				{"deleted", func(s *version.Stamp) { s.Deleted, s.Hash = true, version.Hash{} }},
			} {
				w.take([]fhir.Key{k}, func(k fhir.Key) version.Stamp {
					s := plain(k)
					c.change(&s)
					s.Vector, s.Origin = s.Vector.With(s.Version), s.Version
					return s
				})
				sum := w.digest(whole)[0].Sum
				if before, known := seen[sum]; known {
					t.Errorf("%s has the digest of %s", c.what, before)
				}
				seen[sum] = c.what
			}
			w.take([]fhir.Key{k}, func(k fhir.Key) version.Stamp {
				s := plain(k)
				s.Vector = s.Vector.With(version.Version{Replica: further, Tick: 7})
				return s
			})
			same(t, "a copy that has only seen more", w.digest(whole)[0].Sum, parts[1].Sum)
		})
	}
}

// The parts of a range fill it without a gap, are about the same size, and say the same as their ranges asked for one by one.
func TestConformanceDigestRanges(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		var keys []fhir.Key
		for i := range 1_000 {
			keys = append(keys, key("Patient", fmt.Sprintf("%04d", i)))
		}
		w.take(keys, func(k fhir.Key) version.Stamp { return stampBy(version.Version{Replica: far, Tick: uint64(len(k.ID))}) })
		for _, parts := range []int{0, 1, 2, 7, 64} {
			q := feed.DigestQuery{Type: "Patient", Ranges: []feed.Range{{To: "0100"}, {From: "0100", To: "0900"}, {From: "0950"}}, Parts: parts, List: 64}
			out := w.digest(q)
			i := 0
			for _, r := range q.Ranges {
				n := 0
				for from := r.From; ; i++ {
					p := out[i]
					if n++; p.From != from || p.Count == 0 || n > max(parts, 1) {
						t.Fatalf("%d parts: part %d of %+v is %+v", parts, n, r, p)
					}
					one := w.digest(feed.DigestQuery{Type: "Patient", Ranges: []feed.Range{p.Range}})
					if len(one) != 1 || one[0].Sum != p.Sum || one[0].Count != p.Count || one[0].Listed {
						t.Fatalf("%+v is %+v alone", p, one)
					}
					if from = p.To; from == r.To {
						i++
						break
					}
				}
				if parts > 1 && r.From != "0950" && n < parts/2 && n < 5 {
					t.Errorf("%d parts: %+v in %d", parts, r, n)
				}
			}
			if last := out[len(out)-1]; i != len(out) || !last.Listed || len(last.Copies) != 50 || last.Copies[49].ID != "0999" {
				t.Errorf("%d parts: %d of %d, the last is %+v", parts, i, len(out), last)
			}
		}
		for list, listed := range map[int]bool{49: false, 50: true} {
			if p := w.digest(feed.DigestQuery{Type: "Patient", Ranges: []feed.Range{{From: "0950"}}, List: list})[0]; p.Listed != listed || p.Count != 50 {
				t.Errorf("50 copies, %d may be listed: %+v", list, p)
			}
		}
		empty := w.digest(feed.DigestQuery{Type: "Basic", Ranges: []feed.Range{{}}, Parts: 64, List: 64})
		same(t, "nothing", empty, []feed.Part{{Listed: true}})

		ids := w.digest(feed.DigestQuery{Type: "Patient", IDs: []string{"0007", "none"}})
		cur := w.get(key("Patient", "0007"))
		same(t, "one id of two", ids, []feed.Part{{Type: "Patient", Count: 1, Listed: true, Copies: []feed.Copy{
			{ID: "0007", Version: cur.Stamp.Version, Hash: cur.Stamp.Hash, Vector: cur.Stamp.Vector, Seq: cur.Seq},
		}}})
		some, more, err := w.Copies(t.Context(), "Patient", feed.Range{From: "0990"}, 9)
		if err != nil || !more || len(some) != 9 || some[0].ID != "0990" {
			t.Errorf("got %+v, %v, %v", some, more, err)
		}
		some, more, err = w.Copies(t.Context(), "Patient", feed.Range{From: some[8].ID + "-", To: "1"}, 9)
		if err != nil || more || len(some) != 1 || some[0].ID != "0999" {
			t.Errorf("behind it: got %+v, %v, %v", some, more, err)
		}
	})
}

// A question beyond the bounds is refused before anything is read.
func TestDigestQueryBounds(t *testing.T) {
	w := newWorld(t, "sqlite", testdb.SQLite(t))
	ids := make([]string, feed.MaxIDs+1)
	ranges := make([]feed.Range, feed.MaxRanges+1)
	for i := range ids {
		ids[i] = fmt.Sprintf("%04d", i)
	}
	for i := range ranges {
		ranges[i] = feed.Range{From: fmt.Sprintf("%04d", i), To: fmt.Sprintf("%04d", i+1)}
	}
	good := []feed.DigestQuery{
		{Type: "Patient", IDs: ids[1:]},
		{Type: "Patient", Ranges: ranges[1:], Parts: feed.MaxParts, List: feed.MaxListed},
		{Types: []string{}},
	}
	for _, q := range good {
		if _, err := w.Digest(t.Context(), q); err != nil {
			t.Errorf("%+v: %v", q, err)
		}
	}
	for name, q := range map[string]feed.DigestQuery{
		"many ids":        {Type: "Patient", IDs: ids},
		"many ranges":     {Type: "Patient", Ranges: ranges},
		"many parts":      {Type: "Patient", Ranges: ranges[:1], Parts: feed.MaxParts + 1},
		"a long list":     {Type: "Patient", Ranges: ranges[:1], List: feed.MaxListed + 1},
		"less than none":  {Type: "Patient", Ranges: ranges[:1], Parts: -1},
		"no such type":    {Type: "Patent", Ranges: ranges[:1]},
		"none of these":   {Types: []string{"Patient", "Patent"}},
		"no type":         {Ranges: ranges[:1]},
		"ids without one": {IDs: ids[:1]},
		"nothing":         {Type: "Patient"},
		"both":            {Type: "Patient", Ranges: ranges[:1], IDs: ids[:1]},
		"no id":           {Type: "Patient", IDs: []string{"a b"}},
		"no range":        {Type: "Patient", Ranges: []feed.Range{{From: "b", To: "a"}}},
		"an empty range":  {Type: "Patient", Ranges: []feed.Range{{From: "a", To: "a"}}},
		"not of ids":      {Type: "Patient", Ranges: []feed.Range{{From: "ä"}}},
		"overlapping":     {Type: "Patient", Ranges: []feed.Range{{From: "a", To: "c"}, {From: "b", To: "d"}}},
		"behind the end":  {Type: "Patient", Ranges: []feed.Range{{From: "a"}, {From: "b"}}},
	} {
		if out, err := w.Digest(t.Context(), q); syncerr.KindOf(err) != syncerr.Invalid {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}
