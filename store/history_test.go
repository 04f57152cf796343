package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// versions reads a history page by page and writes it as "sequence:id action", pages apart by |.
func (w *world) versions(h store.HistoryQuery) string {
	w.t.Helper()
	var out []string
	for {
		var p store.HistoryPage
		w.look(func(r *store.Reader) (err error) {
			p, err = r.VersionsOf(h)
			return err
		})
		var rows []string
		for _, c := range p.Copies {
			rows = append(rows, fmt.Sprintf("%d:%s %s", c.Seq, c.Key.ID, strings.ToLower(string(c.Action))))
			if c.Stamp.Deleted != (c.Body == nil) {
				w.t.Errorf("%d: deleted %v, content %s", c.Seq, c.Stamp.Deleted, c.Body)
			}
		}
		out = append(out, strings.Join(rows, ", "))
		if h.From, h.AsOf = p.Next, p.AsOf; p.Next == 0 {
			return strings.Join(out, " | ")
		}
	}
}

func TestHistories(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		if got := w.versions(store.HistoryQuery{Count: 5}); got != "" {
			t.Errorf("an empty node has %q", got)
		}
		p, q, o := key("Patient", "p"), key("Patient", "q"), key("Observation", "o")
		w.put(p, `{"v":1}`) // 1
		w.put(o, `{"v":1}`) // 2
		w.put(q, `{"v":1}`) // 3
		w.millis.Add(1000)
		since := w.millis.Load()
		s := w.put(p, `{"v":2}`)        // 4
		w.put(q, "")                    // 5
		w.do(func(tx *store.Tx) error { // 6: the copy of p has seen more, and is the same version
			s.Vector = s.Vector.With(version.Version{Replica: far, Tick: 7})
			_, err := tx.Put(store.Change{Key: p, Action: feed.Updated, Stamp: s})
			return err
		})
		w.put(o, `{"v":2}`) // 7
		for _, tt := range []struct {
			name string
			h    store.HistoryQuery
			want string
		}{
			{"everything", store.HistoryQuery{Count: 10}, "7:o updated, 6:p updated, 5:q deleted, 3:q created, 2:o created, 1:p created"},
			{"everything in pages", store.HistoryQuery{Count: 2}, "7:o updated, 6:p updated | 5:q deleted, 3:q created | 2:o created, 1:p created"},
			{"before the copy had seen more", store.HistoryQuery{Count: 10, AsOf: 5}, "5:q deleted, 4:p updated, 3:q created, 2:o created, 1:p created"},
			{"since", store.HistoryQuery{Count: 10, Since: since}, "7:o updated, 6:p updated, 5:q deleted"},
			{"since in pages", store.HistoryQuery{Count: 1, Since: since}, "7:o updated | 6:p updated | 5:q deleted"},
			{"since the future", store.HistoryQuery{Count: 10, Since: since + 1}, ""},
			{"at a time", store.HistoryQuery{Count: 10, At: store.Period{From: since - 500, To: since - 499}}, "3:q created, 2:o created, 1:p created"},
			{"at a time in pages", store.HistoryQuery{Count: 2, At: store.Period{From: since - 500, To: since - 499}}, "3:q created, 2:o created | 1:p created"},
			{"until the next change", store.HistoryQuery{Count: 10, At: store.Period{From: since - 500, To: since}}, "3:q created, 2:o created, 1:p created"},
			{"in a period", store.HistoryQuery{Count: 10, At: store.Period{From: since - 500, To: since + 1}}, "7:o updated, 6:p updated, 5:q deleted, 3:q created, 2:o created, 1:p created"},
			{"when everything was written", store.HistoryQuery{Count: 10, At: store.Period{From: since, To: since + 1}}, "7:o updated, 6:p updated"},
			{"after everything", store.HistoryQuery{Count: 10, At: store.Period{From: since + 5, To: since + 9}}, "7:o updated, 6:p updated"},
			{"before everything", store.HistoryQuery{Count: 10, At: store.Period{From: 5, To: 9}}, ""},
			{"a type at a time", store.HistoryQuery{Type: "Patient", Count: 10, At: store.Period{From: since - 500, To: since - 499}}, "3:q created, 1:p created"},
			{"a resource at a time", store.HistoryQuery{Type: "Patient", ID: "p", Count: 10, At: store.Period{From: since + 5, To: since + 9}}, "6:p updated"},
			{"a type", store.HistoryQuery{Type: "Patient", Count: 10}, "6:p updated, 5:q deleted, 3:q created, 1:p created"},
			{"a type in pages", store.HistoryQuery{Type: "Patient", Count: 3}, "6:p updated, 5:q deleted, 3:q created | 1:p created"},
			{"a type since", store.HistoryQuery{Type: "Observation", Count: 3, Since: since}, "7:o updated"},
			{"a type that has none", store.HistoryQuery{Type: "Encounter", Count: 3}, ""},
			{"a resource", store.HistoryQuery{Type: "Patient", ID: "p", Count: 10}, "6:p updated, 1:p created"},
			{"a resource in pages", store.HistoryQuery{Type: "Patient", ID: "q", Count: 1}, "5:q deleted | 3:q created"},
		} {
			if got := w.versions(tt.h); got != tt.want {
				t.Errorf("%s: got %s\nwant %s", tt.name, got, tt.want)
			}
		}
		// What is written while somebody turns the pages neither shows up in the later ones nor takes anything out of them.
		var first store.HistoryPage
		w.look(func(r *store.Reader) (err error) {
			first, err = r.VersionsOf(store.HistoryQuery{Count: 4})
			return err
		})
		w.put(o, `{"v":3}`)
		w.do(func(tx *store.Tx) error { // the oldest row's key gets a row again
			cur, _, err := tx.Current(p)
			if err != nil {
				return err
			}
			cur.Stamp.Vector = cur.Stamp.Vector.With(version.Version{Replica: far, Tick: 8})
			_, err = tx.Put(store.Change{Key: p, Action: feed.Updated, Stamp: cur.Stamp})
			return err
		})
		if got := w.versions(store.HistoryQuery{Count: 4, AsOf: first.AsOf, From: first.Next}); got != "2:o created, 1:p created" {
			t.Errorf("the next page is %s", got)
		}
	})
}

// A page ends early where its contents are large, and the next one goes on behind it.
func TestHistoryIsBounded(t *testing.T) {
	w := newWorld(t, "sqlite", t.TempDir()+"/n.db")
	large := `{"v":"` + strings.Repeat("x", 12<<20) + `"}`
	for range 4 {
		w.put(key("Patient", "p"), large)
	}
	if got := w.versions(store.HistoryQuery{Count: 10}); got != "4:p updated, 3:p updated | 2:p updated, 1:p created" {
		t.Errorf("got %s", got)
	}
}
