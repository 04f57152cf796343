package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/samples"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// listening notes the statements that run on a pool.
type listening struct {
	gorm.ConnPool
	heard *[]statement
}

type statement struct {
	text string
	args []any
}

func (l listening) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	*l.heard = append(*l.heard, statement{query, args})
	return l.ConnPool.QueryContext(ctx, query, args...)
}

// fillSamples writes generated resources.
func fillSamples(t *testing.T, st *Store, count int) {
	t.Helper()
	next := map[string]uint64{}
	var batch []fhir.Resource
	flush := func() {
		err := st.Write(t.Context(), func(tx *Tx) error {
			for _, r := range batch {
				v, err := tx.NextTick(r.Key.Type)
				if err != nil {
					return err
				}
				next[r.Key.Type]++
				s := version.Stamp{Version: v, Vector: version.Vector{}.With(v), Author: v.Replica, Origin: v, Hash: version.Hash{1}}
				if _, err := tx.Put(Change{Key: r.Key, Action: feed.Created, Stamp: s, Content: st.Pack(r.Body, search.Values(r.Key, r.Body))}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		batch = batch[:0]
	}
	for s := range samples.All(samples.Config{Seed: 3}, count) {
		r, err := fhir.Parse(s.JSON, 0)
		if err != nil {
			t.Fatal(err)
		}
		if batch = append(batch, r); len(batch) == 500 {
			flush()
		}
	}
	flush()
}

// searchesOf returns searches of a type: each parameter and each order; if all, each parameter in every form and what reads other
// resources.
func searchesOf(resourceType string, all bool) []string {
	out := []string{"", "_id=a,b", "_lastUpdated=ge2020", "_lastUpdated=ge2020&_lastUpdated=lt2030", "_lastUpdated=2020,2021", "_id=a&_lastUpdated=ne2020"}
	for _, p := range search.Parameters(resourceType) {
		values := map[string][]string{
			"token": {"=a", "=urn:s%7Ca", "=urn:s%7C", "=%7Ca", "=a,urn:s%7Cb,c", ":not=a"}, "string": {"=ann", ":exact=Ann", ":contains=nn", "=" + strings.Repeat("a", 60)},
			"date": {"=2020", "=gt2020", "=le2020", "=ne2020", "=ap2020", "=eb2020-01-01"}, "quantity": {"=5.4", "=gt5", "=ne5%7C%7Cmg"}, "uri": {"=http://h"},
			"reference": {"=a", "=a,urn:uuid:1", ":identifier=urn:s%7Ca", ":identifier=urn:s%7C"},
		}[p.Type]
		if strings.HasPrefix(p.Name, "_") {
			continue
		}
		if !all {
			out = append(out, p.Name+values[0])
			continue
		}
		for _, v := range append(values, ":missing=true", ":missing=false") {
			out = append(out, p.Name+v)
		}
	}
	for _, s := range search.Sorts(resourceType) {
		out = append(out, "_sort="+s, "_sort=-"+s, "identifier=urn:s%7Ca&_sort="+s)
	}
	if !all {
		return out
	}
	include, revInclude := search.Includes(resourceType)
	for _, i := range include {
		out = append(out, "_include="+i, strings.TrimPrefix(i, resourceType+":")+"._lastUpdated=ge2020", strings.TrimPrefix(i, resourceType+":")+"._id=a")
	}
	for _, i := range revInclude {
		out = append(out, "_revinclude="+i, "_has:"+i+":_id=a", "_has:"+i+":_lastUpdated=gt2020")
	}
	return append(out, map[string][]string{
		"Patient": {
			"organization.name=a", "organization.name:contains=a", "organization.name:missing=true", "_has:Observation:patient:code=a", "_has:Observation:patient:date=gt2020&_sort=name",
			"_has:Observation:patient:code:not=a", "name=a&gender=male&birthdate=lt2000&_sort=-_lastUpdated",
		},
		"Observation": {
			"patient.identifier=urn:s%7Ca", "patient.identifier=urn:s%7C", "patient.name=a&code=b", "subject.name=a", "patient.birthdate=gt2000", "patient.gender:not=male", "encounter.status=finished&_sort=-date",
			"patient=a&code=b&date=gt2020&_sort=-date", "status=final&category=laboratory&_sort=date", "patient.name=a,b,c&_sort=date",
		},
	}[resourceType]...)
}

// whole finds what reads a table, or a whole index of it, from one end to the other; what was derived is read whole, of course.
var whole = map[string]*regexp.Regexp{
	"sqlite": regexp.MustCompile(`SCAN [rpfieskl]\b|SCAN resource|SCAN change_log|AUTOMATIC`),
	"mysql":  regexp.MustCompile(`(?m)^\d+ [A-Z ]+ (?:[rpfieskl]|resource\w*) (?:\S* )?(?:ALL|index) `),
}

// No search reads a table, or the index, from one end to the other where an index leads to what it looks for, whatever is searched for: every
// parameter of every type, each order and each form, with many rows of the term and with few.
func TestSearchPlans(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		st, err := Create(t.Context(), Options{Driver: driver, DSN: dsn, Clock: time.Now, Volatile: true}, "clinic", 10)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		fillSamples(t, st, 3000)
		if driver == "mysql" {
			for _, table := range []string{"resource", "resource_index", "change_log"} {
				q := st.direct(t.Context())
				if err := q.each("ANALYZE TABLE "+table, nil, func(*sql.Rows) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
		}
		seen := map[string]bool{}
		check := func(what string, heard []statement) {
			for _, s := range heard {
				// Searches of one form differ in their arguments only.
				if seen[s.text] {
					continue
				}
				seen[s.text] = true
				err := st.Read(t.Context(), func(r *Reader) error {
					plan, err := r.plan(driver, s.text, s.args)
					if strings.Count(plan, "\n") < 1 || whole[driver].MatchString(plan) {
						t.Errorf("%s:\n%s\n%v\n%s", what, s.text, s.args, plan)
					}
					return err
				})
				if err != nil {
					t.Fatalf("%s: %s: %v", what, s.text, err)
				}
			}
		}
		most := []string{"Patient", "Observation", "Encounter"}
		types := fhir.Types()
		if driver == "mysql" {
			types = most
		}
		page := search.Page{ID: "b", Millis: 5, Num: 7, Key: "k"}
		for _, rt := range types {
			for _, text := range searchesOf(rt, slices.Contains(most, rt)) {
				values, err := url.ParseQuery(text)
				if err != nil {
					t.Fatal(err)
				}
				for _, few := range []int{fewRows, 1} {
					q, err := search.Parse(rt, values, true)
					if err != nil {
						if strings.HasPrefix(text, "identifier=") {
							break // of a type without
						}
						t.Fatalf("%s?%s: %v", rt, text, err)
					}
					var heard []statement
					err = st.Read(t.Context(), func(r *Reader) error {
						r.pool, r.limits.few = listening{r.pool, &heard}, few
						for _, after := range []search.Page{{}, page, {None: true, ID: "b"}} {
							w := r.searcher(q)
							if _, err := w.hits(after, 3); err != nil {
								return err
							}
							if _, _, err := w.count(); err != nil {
								return err
							}
						}
						out := SearchResult{Copies: []Copy{{Key: fhir.Key{Type: rt, ID: "a"}, Body: []byte(`{}`)}}}
						return r.searcher(q).include(&out)
					})
					if err != nil {
						t.Fatalf("%s?%s: %v", rt, text, err)
					}
					check(rt+"?"+text, heard)
				}
			}
		}
		for _, e := range []Everything{{Patient: "a", Count: 3}, {Patient: "a", Count: 3, Types: []string{"Observation", "Patient"}, Since: 5, After: 7}} {
			var heard []statement
			err := st.Read(t.Context(), func(r *Reader) error {
				r.pool = listening{r.pool, &heard}
				_, _, err := r.compartment(e)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			check(fmt.Sprintf("%+v", e), heard)
		}
		if len(seen) < 100 {
			t.Errorf("only %d statements were looked at", len(seen))
		}
		t.Logf("%d statements", len(seen))
	})
}

// A search that takes too long ends with an error that says so, on whatever statement it is; the next one is answered.
func TestSearchEndsInTime(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		st, err := Create(t.Context(), Options{Driver: driver, DSN: dsn, Clock: time.Now, Volatile: true}, "clinic", 10)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		fillSamples(t, st, 2000)
		slow, err := search.Parse("Observation", url.Values{"code:not": {"a"}, "status:not": {"b"}, "patient.gender:not": {"d"}, "_total": {"accurate"}}, false)
		if err != nil {
			t.Fatal(err)
		}
		tooLong := func(err error) {
			t.Helper()
			if syncerr.KindOf(err) != syncerr.Unprocessable || !strings.Contains(err.Error(), "longer") {
				t.Errorf("got %v", err)
			}
		}
		whole, err := st.Search(t.Context(), slow)
		if err != nil || !whole.Counted {
			t.Fatalf("%v %v", whole.Counted, err)
		}
		for _, limit := range []time.Duration{1, 200 * time.Microsecond, time.Millisecond} {
			st.SetSearchTime(limit)
			_, err := st.Search(t.Context(), slow)
			tooLong(err)
			_, _, err = st.Everything(t.Context(), Everything{Patient: "a", Count: 10})
			if limit == 1 {
				tooLong(err)
			}
			err = st.Read(t.Context(), func(r *Reader) error {
				_, err := r.Find(slow, 1<<20)
				return err
			})
			tooLong(err)
		}
		st.SetSearchTime(time.Minute)
		if again, err := st.Search(t.Context(), slow); err != nil || again.Total != whole.Total {
			t.Errorf("%d, before %d, %v", again.Total, whole.Total, err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := st.Search(gone, slow); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that went away gets %v", err)
		}
	})
}
