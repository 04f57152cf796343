package store_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
)

// TestConformanceLacking holds the counts against the copies, and wants of a sample that each is one of those counted, with its content.
func TestConformanceLacking(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		s := newShelf(t, driver, dsn, 90)
		n := 0
		rapid.Check(t, func(t *rapid.T) {
			if n++; n > rounds[driver] {
				return
			}
			known := rapid.Custom(s.knowledge).Draw(t, "known")
			types := rapid.SampledFrom([][]string{nil, shelfTypes, {"Encounter"}, {nobody}, {}}).Draw(t, "types")
			most := rapid.SampledFrom([]int{4, 12, 400}).Draw(t, "sample")
			want := map[string][2]int64{}
			for k, st := range s.copies {
				if (types == nil || slices.Contains(types, k.Type)) && st.Version.Tick > known[k.Type].Vector.Tick(st.Version.Replica) {
					c := want[k.Type]
					if c[0]++; st.Deleted {
						c[1]++
					}
					want[k.Type] = c
				}
			}
			var got []store.Lacking
			err := s.Read(t.Context(), func(r *store.Reader) (err error) {
				got, err = r.Lacking(known, types, most)
				return err
			})
			if err != nil || len(got) != len(want) {
				t.Fatalf("got %+v, %v, want %v", got, err, want)
			}
			for _, l := range got {
				if c := want[l.Type]; l.Copies != c[0] || l.Deleted != c[1] {
					t.Fatalf("%s: %d copies, %d deleted, want %v", l.Type, l.Copies, l.Deleted, c)
				}
				if len(l.Sample) == 0 || len(l.Sample) > most || most == 400 && int64(len(l.Sample)) != l.Copies {
					t.Fatalf("%s: %d of %d are a sample of at most %d", l.Type, len(l.Sample), l.Copies, most)
				}
				for _, row := range l.Sample {
					st := s.copies[row.Key]
					if row.Key.Type != l.Type || row.Stamp.Version != st.Version || st.Version.Tick <= known[l.Type].Vector.Tick(st.Version.Replica) ||
						st.Deleted != (row.Content == nil) || row.Content != nil && string(row.Content) != st.Version.String() || row.Seq != 0 {
						t.Fatalf("%s is in the sample: %+v", row.Key, row)
					}
				}
			}
		})
	})
}

// TestConformanceUnsent counts what stands behind a place and was not delivered by the peer itself, once for each key.
func TestConformanceUnsent(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		s := newShelf(t, driver, dsn, 90)
		for after := range uint64(91) {
			want, last := map[string]int64{}, map[string]uint64{}
			for _, row := range s.log() {
				last[row.Key.String()] = row.Seq
			}
			for name, seq := range last {
				if seq > after {
					want[strings.Split(name, "/")[0]]++
				}
			}
			var got map[string]int64
			err := s.Read(t.Context(), func(r *store.Reader) (err error) {
				got, err = r.Unsent([]string{"Patient", "Encounter"}, after, "somewhere")
				return err
			})
			delete(want, "Observation")
			if err != nil || len(got) != len(want) || got["Patient"] != want["Patient"] || got["Encounter"] != want["Encounter"] {
				t.Fatalf("behind %d: %v, %v, want %v", after, got, err, want)
			}
		}
	})
}
