package store_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// searchWorld is a store with some resources, and what is in it.
type searchWorld struct {
	t     *testing.T
	st    *store.Store
	now   time.Time
	there map[fhir.Key]searched
}

type searched struct {
	body   []byte
	millis int64
}

func newSearchWorld(t *testing.T, driver, dsn string) *searchWorld {
	t.Helper()
	w := &searchWorld{t: t, now: time.Date(2024, 2, 28, 10, 0, 0, 0, time.UTC), there: map[fhir.Key]searched{}}
	opts := store.Options{Driver: driver, DSN: dsn, Clock: func() time.Time { return w.now }, Volatile: true}
	st, err := store.Create(context.Background(), opts, "clinic", 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	w.st = st
	return w
}

// put writes resources in one transaction, so that they share a time; a body of "" deletes.
func (w *searchWorld) put(bodies map[fhir.Key]string) {
	w.t.Helper()
	err := w.st.Write(w.t.Context(), func(tx *store.Tx) error {
		for _, k := range slices.SortedFunc(func(yield func(fhir.Key) bool) {
			for k := range bodies {
				if !yield(k) {
					return
				}
			}
		}, fhir.Key.Compare) {
			body := []byte(bodies[k])
			v, err := tx.NextTick(k.Type)
			if err != nil {
				return err
			}
			s := version.Stamp{Version: v, Vector: version.Vector{v}, Author: v.Replica, Origin: v, Deleted: len(body) == 0, Hash: version.Hash{1}}
			c := store.Change{Key: k, Action: feed.Updated, Stamp: s}
			if !s.Deleted {
				c.Content = w.st.Pack(body, search.Values(k, body))
			}
			if _, err := tx.Put(c); err != nil {
				return err
			}
			delete(w.there, k)
			if !s.Deleted {
				w.there[k] = searched{body, w.now.UnixMilli()}
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// fill writes 60 encounters over three days, ten at a time.
func (w *searchWorld) fill() {
	for batch := range 6 {
		bodies := map[fhir.Key]string{}
		for i := range 10 {
			n := batch*10 + i
			id := fmt.Sprintf("e%d", (n*37)%60)
			if n%7 == 0 {
				id = strings.ToUpper(id)
			}
			bodies[fhir.Key{Type: "Encounter", ID: id}] = fmt.Sprintf(`{"resourceType":"Encounter","id":%q,"identifier":[{"system":"urn:s%d","value":"v%d"},{"value":"w%d"},`+
				`{"system":"urn:only%d"},{"value":"%s%d"}],"subject":{"reference":"Patient/p%d"}}`, id, n%3, n%5, n%4, n%6, strings.Repeat("long ", 50), n%2, n%9)
		}
		w.put(bodies)
		w.now = w.now.Add(12 * time.Hour)
	}
	w.put(map[fhir.Key]string{{Type: "Patient", ID: "e1"}: `{"resourceType":"Patient","id":"e1","identifier":[{"value":"w1"}]}`})
	w.put(map[fhir.Key]string{{Type: "Encounter", ID: "e2"}: "", {Type: "Encounter", ID: "e4"}: `{"resourceType":"Encounter","id":"e4"}`})
}

// matches says whether a query finds a resource: Match says so, with this world answering about other resources.
func (w *searchWorld) matches(q search.Query, k fhir.Key) bool {
	r := w.there[k]
	return q.MatchRelated(k, r.body, r.millis, func(t search.Term) bool {
		return slices.ContainsFunc(t.Links, func(l search.Link) bool {
			from, of := k, k
			for other, o := range w.there {
				if other.Type != l.Type {
					continue
				}
				if from, of = k, other; l.Reverse {
					from, of = other, k
				}
				refers := search.Include{Source: from.Type, Params: l.Params, Targets: []string{of.Type}}
				if !slices.Contains(refers.References(from, w.there[from].body), of) {
					continue
				}
				where := search.Query{Type: l.Type, Terms: []search.Term{l.Where}}
				if where.Match(other, o.body, o.millis) {
					return true
				}
			}
			return false
		})
	})
}

// matching returns the ids that a query finds, in the order that was asked for; by id where none was.
func (w *searchWorld) matching(q search.Query) []string {
	type place struct {
		id, key string
		millis  int64
	}
	var found []place
	for k, r := range w.there {
		if !w.matches(q, k) {
			continue
		}
		found = append(found, place{k.ID, w.sortKey(q, k), r.millis})
	}
	slices.SortFunc(found, func(a, b place) int {
		c := 0
		switch q.Sort.By {
		case search.SortLastUpdated:
			c = cmp.Or(cmp.Compare(a.millis, b.millis), strings.Compare(a.id, b.id))
		case search.SortDate, search.SortName:
			if (a.key == "") != (b.key == "") {
				return cmp.Compare(b.key, "") - cmp.Compare(a.key, "")
			}
			c = strings.Compare(a.key, b.key)
		default:
			c = strings.Compare(a.id, b.id)
		}
		if q.Sort.Desc {
			c = -c
		}
		return c
	})
	var ids []string
	for _, p := range found {
		ids = append(ids, p.id)
	}
	return ids
}

// sortKey is the value by which a resource is put in order, empty where it has none.
func (w *searchWorld) sortKey(q search.Query, k fhir.Key) (key string) {
	for _, v := range search.Values(k, w.there[k].body) {
		if v.Param == q.Sort.Param && (!q.Sort.Texts || v.Space != 0) && (key == "" || (v.Value < key) != q.Sort.Desc) {
			key = v.Value
		}
	}
	return key
}

func parse(t *testing.T, resourceType, query string) search.Query {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	q, err := search.Parse(resourceType, values, true)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return q
}

// walk reads all pages of a search.
func (w *searchWorld) walk(resourceType, query string) (ids []string, first store.SearchResult) {
	w.t.Helper()
	page := ""
	for n := 0; ; n++ {
		if n > 100 {
			w.t.Fatalf("%s: the pages do not end", query)
		}
		q := parse(w.t, resourceType, query+page)
		out, err := w.st.Search(w.t.Context(), q)
		if err != nil {
			w.t.Fatalf("%s: %v", query, err)
		}
		if n == 0 {
			first = out
		}
		if len(out.Copies) > q.Count || out.Next != "" && len(out.Copies) == 0 {
			w.t.Fatalf("%s: a page of %d, next %q", query, len(out.Copies), out.Next)
		}
		for _, c := range out.Copies {
			have := w.there[c.Key]
			if string(c.Body) != string(have.body) || c.Committed != have.millis {
				w.t.Errorf("%s: %s is %s of %d", query, c.Key, c.Body, c.Committed)
			}
			ids = append(ids, c.Key.ID)
		}
		if out.Next == "" {
			return ids, first
		}
		page = "&_page=" + out.Next
	}
}

func TestSearchAnswersAsMatchDoes(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newSearchWorld(t, driver, dsn)
		w.fill()
		check := func(resourceType, query string) {
			t.Helper()
			q := parse(t, resourceType, query)
			want := w.matching(q)
			got, first := w.walk(resourceType, query)
			if q.Sort.By == search.SortUnset {
				slices.Sort(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s?%s: got %v, want %v", resourceType, query, got, want)
			}
			if !first.Counted || first.Total != int64(len(want)) {
				t.Errorf("%s?%s: total %d (%v), want %d", resourceType, query, first.Total, first.Counted, len(want))
			}
		}
		long := strings.Repeat("long ", 50)
		terms := []string{
			"_id=e1", "_id=e1,e3,E21,nobody", "_id=e2", "_id=E1", "identifier=v1", "identifier=urn:s1|v1", "identifier=urn:s1|v1,w2,|w3", "identifier=|v1",
			"identifier=urn:s2|", "identifier=urn:only3|", "identifier=urn:S2|", "identifier=v1&identifier=w1", "identifier=nothing", "identifier=" + long + "1",
			"identifier=" + long + "7", "patient=p1", "patient=Patient/p2,p3", "patient=https://x.example/fhir/Patient/p4", "patient=p1&identifier=w1",
			"_lastUpdated=2024-02-29", "_lastUpdated=ne2024-02-29", "_lastUpdated=gt2024-02-29", "_lastUpdated=le2024-02-28,ge2024-03-02", "_lastUpdated=2023",
			"_lastUpdated=ge2024-02-28T10:00:00Z&_lastUpdated=lt2024-02-29T10:00:00Z", "_lastUpdated=ge2024-02-29&patient=p2,p5&identifier=w0,w2",
		}
		for _, q := range append(terms, "") {
			for _, shape := range []string{"", "&_count=1", "&_count=7&_sort=_id", "&_count=4&_sort=_lastUpdated", "&_count=4&_sort=-_lastUpdated"} {
				check("Encounter", q+shape)
			}
		}
		check("Patient", "identifier=w1")
		check("Observation", "")
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 40 {
			var some []string
			for range 1 + rnd.IntN(3) {
				some = append(some, terms[rnd.IntN(len(terms))])
			}
			check("Encounter", strings.Join(some, "&")+fmt.Sprintf("&_count=%d", 1+rnd.IntN(9)))
		}
	})
}

func TestSearchShapes(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newSearchWorld(t, driver, dsn)
		w.fill()
		out, err := w.st.Search(t.Context(), parse(t, "Encounter", "_summary=count"))
		if err != nil || out.Total != int64(len(w.there)-1) || len(out.Copies) != 0 || !out.Counted {
			t.Errorf("%+v %v", out, err)
		}
		if out, err = w.st.Search(t.Context(), parse(t, "Encounter", "_total=none")); err != nil || out.Counted {
			t.Errorf("%+v %v", out, err)
		}
		var ids, tokens, dates []string
		for i := range search.MaxValues {
			ids = append(ids, fmt.Sprintf("e%d", i))
			tokens = append(tokens, fmt.Sprintf("urn:s%d|v%d", i%3, i))
			dates = append(dates, fmt.Sprint(1000+i))
		}
		for _, query := range []string{"_id=" + strings.Join(ids, ","), "identifier=" + strings.Join(tokens, ","), "_lastUpdated=" + strings.Join(dates, ",")} {
			q := parse(t, "Encounter", query)
			got, _ := w.walk("Encounter", query)
			slices.Sort(got)
			if want := w.matching(q); !slices.Equal(got, want) {
				t.Errorf("%.40s: got %d, want %d", query, len(got), len(want))
			}
		}
	})
}

// Writes between two pages move nothing over the edge, in any order: what is not written meanwhile comes once, on whatever page.
func TestSearchPagesUnderWrites(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newSearchWorld(t, driver, dsn)
		for _, query := range []string{
			"", "identifier=urn:kept%7C", "identifier=w1,w2", "status:not=planned", "_lastUpdated=ge2020", "_sort=_id", "_sort=-_id", "_sort=_lastUpdated", "_sort=-_lastUpdated",
			"_sort=date", "_sort=-date", "status=finished&_sort=date", "status=finished,planned&_sort=-date",
		} {
			for _, few := range []int{1000, 1} {
				w.st.SetFew(few)
				w.pagesUnderWrites(query)
			}
		}
	})
}

func (w *searchWorld) pagesUnderWrites(query string) {
	t := w.t
	body := func(id string, day int) string {
		return fmt.Sprintf(`{"resourceType":"Encounter","id":%q,"identifier":[{"system":"urn:kept","value":"w%d"}],"status":"finished","period":{"start":"2024-01-%02d"}}`, id, 1+day%2, 1+day)
	}
	bodies := map[fhir.Key]string{}
	for i := range 30 {
		id := fmt.Sprintf("m%02d", (i*7)%30)
		bodies[fhir.Key{Type: "Encounter", ID: id}] = body(id, 5+i%10)
	}
	w.put(bodies)
	w.now = w.now.Add(time.Hour)
	q := parse(t, "Encounter", query+"&_count=4")
	seen, moved := map[string]int{}, map[string]bool{}
	for n := 0; ; n++ {
		out, err := w.st.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range out.Copies {
			seen[c.Key.ID]++
		}
		if out.Next == "" {
			break
		}
		if n > 100 {
			t.Fatalf("%s: the pages do not end", query)
		}
		if n < 6 {
			// New ones before and behind, an edit and a deletion of what was seen, an edit of what may be to come.
			writes := map[fhir.Key]string{}
			for _, id := range []string{fmt.Sprintf("a%d", n), fmt.Sprintf("z%d", n)} {
				writes[fhir.Key{Type: "Encounter", ID: id}] = body(id, []int{0, 28}[n%2])
			}
			first, last, later := out.Copies[0].Key, out.Copies[len(out.Copies)-1].Key, fhir.Key{Type: "Encounter", ID: fmt.Sprintf("m%02d", n*5)}
			writes[first], writes[later] = body(first.ID, 3), body(later.ID, 15)
			writes[last] = ""
			w.now = w.now.Add(time.Minute)
			w.put(writes)
			for k := range writes {
				moved[k.ID] = true
			}
		}
		q = parse(t, "Encounter", query+"&_count=4&_page="+out.Next)
	}
	unmoved := 0
	for k := range bodies {
		if moved[k.ID] {
			continue
		}
		if unmoved++; seen[k.ID] != 1 {
			t.Errorf("%s: %s came %d times", query, k, seen[k.ID])
		}
	}
	if unmoved < 8 {
		t.Errorf("%s: all but %d were written meanwhile: that says little", query, unmoved)
	}
	clean := map[fhir.Key]string{}
	for k := range w.there {
		clean[k] = ""
	}
	w.put(clean)
}

// A page has at most so many bytes of content, and at least one resource.
func TestSearchBoundsBytes(t *testing.T) {
	w := newSearchWorld(t, "sqlite", testdb.SQLite(t))
	text := make([]byte, 5<<20) // not to be compressed away
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range text {
		text[i] = "0123456789abcdef"[rnd.IntN(16)]
	}
	for i := range 8 {
		k := fhir.Key{Type: "Binary", ID: fmt.Sprint(i)}
		w.put(map[fhir.Key]string{k: fmt.Sprintf(`{"resourceType":"Binary","id":%q,"data":"%s"}`, k.ID, text)})
	}
	ids, first := w.walk("Binary", "")
	if strings.Join(ids, "") != "01234567" || len(first.Copies) != 6 {
		t.Errorf("%v, %d on the first page", ids, len(first.Copies))
	}
}

func TestFind(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newSearchWorld(t, driver, dsn)
		w.fill()
		q := parse(t, "Encounter", "identifier=urn:s1|v1")
		want := w.matching(q)
		find := func(limit int) (ids []string) {
			err := w.st.Write(t.Context(), func(tx *store.Tx) error {
				keys, err := tx.Find(q, limit)
				ids = nil
				for _, k := range keys {
					ids = append(ids, k.ID)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return ids
		}
		if got := find(100); !slices.Equal(got, want) || len(want) < 3 {
			t.Errorf("got %v, want %v", got, want)
		}
		if got := find(2); !slices.Equal(got, want[:2]) {
			t.Errorf("got %v, want %v", got, want[:2])
		}
	})
}
