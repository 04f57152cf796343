package search

import (
	"math"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

func parse(t testing.TB, resourceType, query string, strict bool) (Query, error) {
	t.Helper()
	v, err := url.ParseQuery(query)
	if err != nil {
		t.Fatalf("the test's query %q is malformed: %v", query, err)
	}
	return Parse(resourceType, v, strict)
}

func mustParse(t testing.TB, resourceType, query string) Query {
	t.Helper()
	q, err := parse(t, resourceType, query, true)
	if err != nil {
		t.Fatalf("parse %s?%s: %v", resourceType, query, err)
	}
	return q
}

func TestParseDates(t *testing.T) {
	ms := func(s string) int64 {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return at.UnixMilli()
	}
	const low, high = math.MinInt64, math.MaxInt64
	from, to := ms("2024-02-29T00:00:00Z"), ms("2024-03-01T00:00:00Z")
	for _, c := range []struct {
		text string
		want Span
	}{
		{"2024-02-29", Span{From: from, To: to}},
		{"eq2024-02-29", Span{From: from, To: to}},
		{"ne2024-02-29", Span{From: from, To: to, Not: true}},
		{"gt2024-02-29", Span{From: to, To: high}},
		{"sa2024-02-29", Span{From: to, To: high}},
		{"ge2024-02-29", Span{From: from, To: high}},
		{"lt2024-02-29", Span{From: low, To: from}},
		{"eb2024-02-29", Span{From: low, To: from}},
		{"le2024-02-29", Span{From: low, To: to}},
		{"ap2024-02-29", Span{From: from - (to - from), To: to + (to - from)}},
		{"2024-02", Span{From: ms("2024-02-01T00:00:00Z"), To: to}},
		{"2024", Span{From: ms("2024-01-01T00:00:00Z"), To: ms("2025-01-01T00:00:00Z")}},
		{"2024-02-29T10:11", Span{From: ms("2024-02-29T10:11:00Z"), To: ms("2024-02-29T10:12:00Z")}},
		{"2024-02-29T10:11Z", Span{From: ms("2024-02-29T10:11:00Z"), To: ms("2024-02-29T10:12:00Z")}},
		{"2024-02-29T10:11:12+02:00", Span{From: ms("2024-02-29T08:11:12Z"), To: ms("2024-02-29T08:11:13Z")}},
		{"2024-02-29T10:11:12 02:00", Span{From: ms("2024-02-29T08:11:12Z"), To: ms("2024-02-29T08:11:13Z")}},
		{"2024-02-29T10:11:12-05:30", Span{From: ms("2024-02-29T15:41:12Z"), To: ms("2024-02-29T15:41:13Z")}},
		{"gt2024-02-29T10:11:12.5Z", Span{From: ms("2024-02-29T10:11:12.501Z"), To: high}},
		{"2024-02-29T10:11:12.123456Z", Span{From: ms("2024-02-29T10:11:12.123Z"), To: ms("2024-02-29T10:11:12.124Z")}},
	} {
		t.Run(c.text, func(t *testing.T) {
			q := mustParse(t, "Patient", "_lastUpdated="+url.QueryEscape(c.text))
			if want := []Term{{Name: LastUpdated, Kind: TermLastUpdated, Spans: []Span{c.want}}}; !reflect.DeepEqual(q.Terms, want) {
				t.Errorf("got %+v, want %+v", q.Terms, want)
			}
		})
	}
}

func TestParseControls(t *testing.T) {
	for _, c := range []struct {
		query string
		want  Query
	}{
		{"", Query{Count: 50}},
		{"_count=1", Query{Count: 1}},
		{"_count=1000", Query{Count: 1000}},
		{"_count=5000", Query{Count: 1000}},
		{"_count=0", Query{TotalOnly: true}},
		{"_count=7&_summary=count", Query{TotalOnly: true}},
		{"_summary=false", Query{Count: 50}},
		{"_sort=_id", Query{Count: 50, Sort: Sort{By: SortID}}},
		{"_elements=name,Patient.gender", Query{Count: 50, Elements: []string{"name", "gender"}}},
		{"_sort=_lastUpdated", Query{Count: 50, Sort: Sort{By: SortLastUpdated}}},
		{"_sort=-_lastUpdated", Query{Count: 50, Sort: Sort{By: SortLastUpdated, Desc: true}}},
		{"_total=accurate", Query{Count: 50, Total: TotalAccurate}},
		{"_pretty=true", Query{Count: 50, Pretty: true}},
		{"_format=application/fhir%2Bjson%3Bcharset=utf-8", Query{Count: 50}},
		{"_format=application/fhir+json", Query{Count: 50}},
	} {
		t.Run(c.query, func(t *testing.T) {
			q := mustParse(t, "Patient", c.query)
			if got := q.Applied.Encode(); got != mustValues(t, c.query).Encode() {
				t.Errorf("applied %q", got)
			}
			c.want.Type, q.Applied = "Patient", nil
			if !reflect.DeepEqual(q, c.want) {
				t.Errorf("got %+v, want %+v", q, c.want)
			}
		})
	}
}

func mustValues(t testing.TB, query string) url.Values {
	t.Helper()
	v, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ resourceType, query, says string }{
		{"Nothing", "", "not a resource type"},
		{"Patient", "_id=a_b", "not a FHIR id"},
		{"Patient", "_id=", "empty"},
		{"Patient", "_id=a,", "empty"},
		{"Patient", "identifier=|", "neither system nor value"},
		{"Patient", "identifier=a|b|c", "more than one |"},
		{"Patient", "identifier=%ff", "not UTF-8"},
		{"Patient", "identifier:text=1", "takes no modifier"},
		{"Patient", "identifier:missing=yes", "true or false"},
		{"Patient", "birthdate:not=2000", "takes no modifier"},
		{"Patient", "name:not=a", ":contains"},
		{"Patient", "name=...", "no letter"},
		{"Patient", "name:contains=" + strings.Repeat("a", 30), "shorten"},
		{"Patient", "_id:not=1", "takes no modifier"},
		{"Patient", "_has:Observation:code=1", "Type:reference:parameter"},
		{"Patient", "_has:Unicorn:patient:code=1", "Type:reference:parameter"},
		{"Patient", "_has:Observation:code:code=1", "no reference to a Patient"},
		{"Group", "_has:Observation:patient:code=1", "no reference to a Group"},
		{"Patient", "_has:Observation:patient:colour=1", "no parameter of Observation"},
		{"Patient", "_has:Observation:patient:encounter.status=1", "within _has"},
		{"Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent=1", "within _has"},
		{"Encounter", "patient:Group=1", "takes no modifier"},
		{"Encounter", "patient:Unicorn.name=1", "does not refer"},
		{"Encounter", "patient.organization.name=1", "one level"},
		{"Encounter", "patient.colour=1", "no parameter of Patient"},
		{"Encounter", "status.name=1", "no reference"},
		{"Encounter", "patient.name=" + strings.Repeat("a", 60), "shorten"},
		{"Encounter", "date=2024,", "empty"},
		{"Encounter", "date=zz2024", "prefix"},
		{"Encounter", "date=24", "no date"},
		{"Observation", "value-quantity=a", "no number"},
		{"Observation", "value-quantity=1|mg", "number||code"},
		{"Observation", "value-quantity=1|urn:s|", "no code"},
		{"Observation", "value-quantity=zz1", "prefix"},
		{"Observation", "value-quantity=1e999", "no number"},
		{"Observation", "value-quantity=0x1p4", "no number"},
		{"Observation", "_include=subject", "Observation:subject:Patient"},
		{"Observation", "_include=Observation:code", "no reference"},
		{"Observation", "_include=Observation:subject:Encounter", "does not refer"},
		{"Observation", "_include=Encounter:subject", "nothing to do"},
		{"Observation", "_revinclude=Encounter:subject", "nothing to do"},
		{"Observation", "_include=*&_include=" + strings.Repeat("*&_include=", 40) + "*", "in one search"},
		{"Observation", "_elements=a-b", "names of members"},
		{"Observation", "_elements=", "names of members"},
		{"Observation", "_sort=date,-_id", "use one of"},
		{"Observation", "_sort=name", "no parameter name"},
		{"Patient", strings.Repeat("gender=male&", 40), "split the search"},
		{"Encounter", "patient=Group/1", "another type"},
		{"Encounter", "patient=http://h/Group/1", "another type"},
		{"Encounter", "patient=%23p", "contained"},
		{"Patient", "_lastUpdated=2023-02-29", "no date"},
		{"Patient", "_lastUpdated=2024-13", "no date"},
		{"Patient", "_lastUpdated=2024-02-29T1:04Z", "no date"},
		{"Patient", "_lastUpdated=2024-02-29T24:00Z", "no date"},
		{"Patient", "_lastUpdated=ge", "no date"},
		{"Patient", "_lastUpdated=yesterday", "prefix"},
		{"Patient", "_lastUpdated:exact=2024", "no modifier"},
		{"Patient", "_count=-1", "not a number"},
		{"Patient", "_count=ten", "not a number"},
		{"Patient", "_count=1&_count=2", "2 times"},
		{"Patient", "_sort=birthdate", "use one of _lastUpdated"},
		{"Patient", "_total=all", "accurate"},
		{"Patient", "_summary=short", "_summary"},
		{"Patient", "_pretty=1", "true or false"},
		{"Patient", "_format=xml", "use json"},
		{"Patient", "_page=x", "not a token"},
		{"Patient", "_id=" + strings.Repeat("a,", MaxValues) + "a", "split the search"},
	} {
		t.Run(c.query[:min(len(c.query), 40)], func(t *testing.T) {
			want := syncerr.Invalid
			if strings.HasPrefix(c.query, "_format") {
				want = syncerr.Unsupported
			}
			_, err := parse(t, c.resourceType, c.query, false)
			if err == nil || syncerr.KindOf(err) != want || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v (%v), want one that says %q", err, syncerr.KindOf(err), c.says)
			}
		})
	}
}

func TestUnknownParameters(t *testing.T) {
	for _, c := range []struct{ resourceType, query, ignored string }{
		{"Patient", "colour=x&_id=a", "colour"},
		{"Patient", "patient=x", "patient"},
		{"AuditEvent", "identifier=x", "identifier"},
		{"Patient", "colour:missing=true", "colour:missing"},
		{"Patient", "_summary=true", "_summary"},
	} {
		t.Run(c.query, func(t *testing.T) {
			q, err := parse(t, c.resourceType, c.query, false)
			if err != nil || strings.Join(q.Ignored, " ") != c.ignored {
				t.Errorf("lenient: ignored %v, error %v, want %s", q.Ignored, err, c.ignored)
			}
			for _, name := range q.Ignored {
				if q.Applied.Has(name) {
					t.Errorf("%s is said to be applied", name)
				}
			}
			_, err = parse(t, c.resourceType, c.query, true)
			if syncerr.KindOf(err) != syncerr.Invalid || err == nil || !strings.Contains(err.Error(), "supported are _id, _lastUpdated") {
				t.Errorf("strict: got %v", err)
			}
		})
	}
}

func TestErrorsQuoteNoPatientData(t *testing.T) {
	for _, query := range []string{"identifier=SECRET|b|c", "identifier:text=SECRET", "patient=Group/SECRET", "patient=%23SECRET", "patient.name=" + strings.Repeat("SECRET", 20), "_id=SECRET!", "date=SECRET"} {
		_, err := parse(t, "Encounter", query, true)
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: got %v", query, err)
		}
	}
}

func TestPages(t *testing.T) {
	for _, sort := range []string{"", "_id", "-_id", "_lastUpdated", "-_lastUpdated", "name", "-name"} {
		with := func(sort string) string {
			if sort == "" {
				return ""
			}
			return "_sort=" + sort + "&"
		}
		q := mustParse(t, "Patient", with(sort))
		want := Page{ID: "p-1", Millis: 1700000000123, Num: 7, Key: "a|b c", None: true, By: "n"}
		token := q.Next(want)
		next := mustParse(t, "Patient", with(sort)+"_page="+token)
		if next.Page != want {
			t.Errorf("%s: got %+v, want %+v", sort, next.Page, want)
		}
		if next.Applied.Has("_page") {
			t.Error("a link made from this page would carry its token")
		}
		for _, other := range []struct{ resourceType, sort string }{{"Practitioner", sort}, {"Patient", "_id"}, {"Patient", "_lastUpdated"}, {"Patient", ""}} {
			if other.resourceType == "Patient" && other.sort == sort {
				continue
			}
			if _, err := parse(t, other.resourceType, with(other.sort)+"_page="+token, true); syncerr.KindOf(err) != syncerr.Invalid {
				t.Errorf("a token of %s was taken by %+v: %v", sort, other, err)
			}
		}
	}
}

func TestParameters(t *testing.T) {
	patients, identifiers := 0, 0
	for _, resourceType := range fhir.Types() {
		names := []string{}
		for _, p := range Parameters(resourceType) {
			names = append(names, p.Name)
			if p.Type == "" || p.Documentation == "" {
				t.Errorf("%s.%s is not described", resourceType, p.Name)
			}
		}
		if !slices.IsSorted(names) || !slices.Contains(names, ID) || !slices.Contains(names, LastUpdated) {
			t.Errorf("%s: got %v", resourceType, names)
		}
		if slices.Contains(names, "patient") {
			patients++
		}
		if slices.Contains(names, "identifier") {
			identifiers++
		}
	}
	// The counts of the published R4 definitions: search parameters named patient, types with Type.identifier.
	if patients != 65 || identifiers != 118 {
		t.Errorf("%d types have patient and %d identifier, R4 has 65 and 118", patients, identifiers)
	}
	if Parameters("Nothing") != nil {
		t.Error("a type that does not exist has parameters")
	}
}

// Whatever is offered is taken.
func TestOffered(t *testing.T) {
	includes := 0
	for _, rt := range fhir.Types() {
		for _, by := range Sorts(rt) {
			if q := mustParse(t, rt, "_sort=-"+by); !q.Sort.Desc || string(q.Sort.By) != by {
				t.Errorf("%s: %s is %+v", rt, by, q.Sort)
			}
		}
		include, revInclude := Includes(rt)
		includes += len(include) + len(revInclude)
		for _, i := range include {
			if q := mustParse(t, rt, "_include="+i); len(q.Include) != 1 || q.Include[0].Reverse || len(q.Include[0].Params) == 0 {
				t.Errorf("%s: %s is %+v", rt, i, q.Include)
			}
		}
		for _, i := range revInclude {
			if q := mustParse(t, rt, "_revinclude="+i+"&_has:"+i+":_id=a"); len(q.Include) != 1 || !q.Include[0].Reverse || len(q.Include[0].Params) == 0 {
				t.Errorf("%s: %s is %+v", rt, i, q.Include)
			}
		}
	}
	if include, revInclude := Includes("Patient"); !slices.Contains(include, "Patient:organization") || !slices.Contains(revInclude, "Observation:patient") || includes < 600 {
		t.Errorf("%v %v, %d in all", include, revInclude, includes)
	}
	if include, revInclude := Includes("Nothing"); include != nil || revInclude != nil || Sorts("Nothing") != nil {
		t.Error("a type that does not exist offers something")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"_id=a,b", "identifier=s|v&patient=Patient/1", `identifier=a\,b\`, "_lastUpdated=ge2024-02-29T10:11:12.5Z",
		"_count=0&_sort=-_lastUpdated&_page=x", "patient=https://h/Patient/1/_history/2", "colour=x&_summary=true", "identifier=%00|%ff",
		"_has:Observation:encounter:code=a&patient.name=b&_include=Encounter:subject:Patient", "date=ge2024&date=lt2025&status:not=a,b|c&type:missing=true&_elements=a",
	} {
		f.Add("Encounter", s)
	}
	body := []byte(`{"resourceType":"Encounter","identifier":[{"system":"s","value":"v"}],"subject":{"reference":"Patient/1"}}`)
	f.Fuzz(func(t *testing.T, resourceType, query string) {
		v, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		q, err := Parse(resourceType, v, false)
		strictly, strictErr := Parse(resourceType, v, true)
		if err != nil {
			if k := syncerr.KindOf(err); k != syncerr.Invalid && k != syncerr.Unsupported {
				t.Fatalf("kind %v: %v", k, err)
			}
			if strictErr == nil {
				t.Fatalf("strict takes what lenient refuses: %v", err)
			}
			return
		}
		if (strictErr == nil) != (len(q.Ignored) == 0) {
			t.Fatalf("ignored %v, strict says %v", q.Ignored, strictErr)
		}
		if strictErr == nil && !reflect.DeepEqual(q, strictly) {
			t.Fatalf("lenient %+v, strict %+v", q, strictly)
		}
		again, err := Parse(resourceType, q.Applied, true)
		if err != nil || !reflect.DeepEqual(again.Terms, q.Terms) || again.Sort != q.Sort || again.Count != q.Count {
			t.Fatalf("what was applied reads as %+v (%v), was %+v", again, err, q)
		}
		for _, term := range q.Terms {
			if len(term.Conds)+len(term.IDs)+len(term.Spans)+len(term.Links) == 0 {
				t.Fatalf("%s matches nothing", term.Name)
			}
			for _, c := range term.Conds {
				if c, _ = c.Indexed(); len(c.From) > maxKey || !utf8.ValidString(c.From) || len(c.Params) == 0 {
					t.Fatalf("%+v is not in the form of the index", c)
				}
			}
		}
		q.Match(fhir.Key{Type: resourceType, ID: "e"}, body, 0)
	})
}
