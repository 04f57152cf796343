package store_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// TestConformanceDelta holds the list of an SData pass against its rules: for a node it is the list of a catch-up; for others it has the
// versions between what they know and what may be said, and its ticks ascend.
func TestConformanceDelta(t *testing.T) {
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
			typ := rapid.SampledFrom(append([]string{nobody}, shelfTypes...)).Draw(t, "type")
			limit := rapid.SampledFrom([]int{1, 2, 3, 7, 200}).Draw(t, "limit")
			mine := feed.KnowledgeOf(known.Parts())[typ]
			mine.Type = typ
			d := store.Delta{Type: typ, Known: mine}
			var want []string
			if rapid.Bool().Draw(t, "for a node") {
				want = s.missing(known, []string{typ})
			} else {
				d.Known.Lacks, d.Upto = nil, version.Vector{}
				for r := range 4 {
					d.Upto = d.Upto.With(version.Version{Replica: shelfReplica(r), Tick: rapid.Uint64Range(1, 12).Draw(t, "upto")})
				}
				for k, st := range s.copies {
					if k.Type == typ && !d.Known.Vector.Contains(st.Version) && d.Upto.Contains(st.Version) {
						want = append(want, k.String()+" "+st.Version.String())
					}
				}
				slices.Sort(want)
			}
			var got []string
			last := map[version.Replica]uint64{}
			at := store.Place{Head: head.Seq, Type: typ}
			for done := false; !done; {
				before := at
				err := s.Read(t.Context(), func(r *store.Reader) (err error) {
					at, done, err = r.Delta(d, at, limit, func(row store.Row) error {
						v := row.Stamp.Version
						if d.Upto != nil && last[v.Replica] >= v.Tick {
							t.Fatalf("tick %d of %s stands behind %d", v.Tick, v.Replica, last[v.Replica])
						}
						last[v.Replica] = v.Tick
						got = append(got, row.Key.String()+" "+v.String())
						return nil
					})
					return err
				})
				if err != nil || !done && at == before {
					t.Fatalf("from %s to %s: %v", before, at, err)
				}
				if again, err := store.ParsePlace(at.String()); err != nil || again != at {
					t.Fatalf("the place %s is read as %s, %v", at, again, err)
				}
			}
			sameKeys(t, "list", slices.Sorted(slices.Values(got)), want)
		})
	})
}

func TestConformanceSDataJobs(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		job := store.SDataJob{ID: "one", Kind: "source", Type: "Patient", RunName: "r", RunStamp: "s", Created: w.millis.Load(), Status: 200, Body: []byte("body")}
		put := func(j store.SDataJob) (fresh bool) {
			w.do(func(tx *store.Tx) (err error) {
				fresh, err = tx.PutSDataJob(j)
				return err
			})
			return fresh
		}
		get := func(id string) (j store.SDataJob, ok bool) {
			w.look(func(r *store.Reader) (err error) {
				j, ok, err = r.SDataJob(id)
				return err
			})
			return j, ok
		}
		other := job
		other.Body = []byte("another")
		if !put(job) || put(other) {
			t.Error("a job is stored once")
		}
		if j, ok := get("one"); !ok || string(j.Body) != "body" || j.RunStamp != "s" || j.Created != job.Created || j.Status != 200 || j.Deleted {
			t.Errorf("got %+v, %v", j, ok)
		}
		running := store.SDataJob{ID: "two", Kind: "target", Type: "Patient", Created: job.Created, Body: []byte{}}
		put(running)
		for _, body := range []string{"result", "another"} {
			running.Status, running.Body = 200, []byte(body)
			w.do(func(tx *store.Tx) error { return tx.FinishSDataJob(running) })
			if j, ok := get("two"); !ok || j.Status != 200 || string(j.Body) != "result" || j.Deleted {
				t.Errorf("a job is finished once: %+v, %v", j, ok)
			}
		}
		drop := func(id string) error {
			return w.Write(t.Context(), func(tx *store.Tx) error { return tx.DropSDataJob(id) })
		}
		if err := drop("one"); err != nil {
			t.Error(err)
		}
		if j, ok := get("one"); !ok || !j.Deleted || len(j.Body) != 0 {
			t.Errorf("after the deletion %+v, %v", j, ok)
		}
		if err := drop("one"); syncerr.KindOf(err) != syncerr.Gone {
			t.Errorf("the second deletion: %v", err)
		}
		if err := drop("three"); syncerr.KindOf(err) != syncerr.NotFound {
			t.Errorf("the deletion of none: %v", err)
		}
		w.do(func(tx *store.Tx) error { return tx.PruneSDataJobs(job.Created + 1) })
		if _, ok := get("one"); ok {
			t.Error("the job was not forgotten")
		}
		w.do(func(tx *store.Tx) error { return tx.NameEndpoint(far, "http://a.example/x") })
		w.do(func(tx *store.Tx) error { return tx.NameEndpoint(far, "http://a.example/y") })
		w.look(func(r *store.Reader) error {
			urls, err := r.Endpoints()
			if len(urls) != 1 || urls[far] != "http://a.example/y" {
				t.Errorf("endpoints %v", urls)
			}
			return err
		})
	})
}

func TestConformanceWritten(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		s := newShelf(t, driver, dsn, 9)
		var seqs []uint64
		at := uint64(0)
		for range 5 {
			next, err := s.Written(t.Context(), at, 2, func(row store.Row) error {
				seqs = append(seqs, row.Seq)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			at = next
		}
		if !slices.Equal(seqs, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}) || at != 9 {
			t.Errorf("every row, as it was written: %v, up to %d", seqs, at)
		}
		types, err := s.HeldTypes(t.Context())
		if err != nil || !slices.IsSorted(types) || len(types) == 0 {
			t.Errorf("types %v, %v", types, err)
		}
		id, err := s.FindID(t.Context(), types[0], func(id string) bool { return id == "none" })
		if err != nil || id != "" {
			t.Errorf("found %q, %v", id, err)
		}
	})
}
