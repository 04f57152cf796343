package search

import (
	"math"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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

func value(v string) Alternative { return Alternative{Value: v, HasValue: true} }

func TestParseTerms(t *testing.T) {
	for _, c := range []struct {
		name, query string
		want        []Term
	}{
		{"none", "", nil},
		{"id", "_id=a", []Term{{ID, []Alternative{value("a")}}}},
		{"ids", "_id=a,b.c", []Term{{ID, []Alternative{value("a"), value("b.c")}}}},
		{"repeated is and", "_id=a&_id=b", []Term{{ID, []Alternative{value("a")}}, {ID, []Alternative{value("b")}}}},
		{"value", "identifier=12", []Term{{Identifier, []Alternative{value("12")}}}},
		{
			"system and value", "identifier=urn:s|12",
			[]Term{{Identifier, []Alternative{{Value: "12", HasValue: true, System: "urn:s", HasSystem: true}}}},
		},
		{"system", "identifier=urn:s|", []Term{{Identifier, []Alternative{{System: "urn:s", HasSystem: true}}}}},
		{"no system", "identifier=|12", []Term{{Identifier, []Alternative{{Value: "12", HasValue: true, HasSystem: true}}}}},
		{
			"tokens", "identifier=1,|2", []Term{{Identifier, []Alternative{
				value("1"),
				{Value: "2", HasValue: true, HasSystem: true},
			}}},
		},
		{"escapes", `identifier=a\,b\|c\$d\\e\f`, []Term{{Identifier, []Alternative{value(`a,b|c$d\e\f`)}}}},
		{"patient id", "patient=p1", []Term{{Patient, []Alternative{value("Patient/p1")}}}},
		{"patient reference", "patient=Patient/p1", []Term{{Patient, []Alternative{value("Patient/p1")}}}},
		{"patient version", "patient=Patient/p1/_history/7", []Term{{Patient, []Alternative{value("Patient/p1")}}}},
		{
			"patient url", "patient=https://h/fhir/R4/Patient/p1",
			[]Term{{Patient, []Alternative{value("https://h/fhir/R4/Patient/p1"), value("Patient/p1")}}},
		},
		{"patient urn", "patient=urn:uuid:1-2", []Term{{Patient, []Alternative{value("urn:uuid:1-2")}}}},
		{
			"patient conditional", "patient=Patient?identifier=http://h/Patient/5",
			[]Term{{Patient, []Alternative{value("Patient?identifier=http://h/Patient/5")}}},
		},
		{
			"several", "patient=a,b&identifier=x",
			[]Term{{Identifier, []Alternative{value("x")}}, {Patient, []Alternative{value("Patient/a"), value("Patient/b")}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if q := mustParse(t, "Observation", c.query); !reflect.DeepEqual(q.Terms, c.want) {
				t.Errorf("%s: got %+v, want %+v", c.query, q.Terms, c.want)
			}
		})
	}
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
		want Alternative
	}{
		{"2024-02-29", Alternative{From: from, To: to}},
		{"eq2024-02-29", Alternative{From: from, To: to}},
		{"ne2024-02-29", Alternative{From: from, To: to, Not: true}},
		{"gt2024-02-29", Alternative{From: to, To: high}},
		{"sa2024-02-29", Alternative{From: to, To: high}},
		{"ge2024-02-29", Alternative{From: from, To: high}},
		{"lt2024-02-29", Alternative{From: low, To: from}},
		{"eb2024-02-29", Alternative{From: low, To: from}},
		{"le2024-02-29", Alternative{From: low, To: to}},
		{"2024-02", Alternative{From: ms("2024-02-01T00:00:00Z"), To: to}},
		{"2024", Alternative{From: ms("2024-01-01T00:00:00Z"), To: ms("2025-01-01T00:00:00Z")}},
		{"2024-02-29T10:11", Alternative{From: ms("2024-02-29T10:11:00Z"), To: ms("2024-02-29T10:12:00Z")}},
		{"2024-02-29T10:11Z", Alternative{From: ms("2024-02-29T10:11:00Z"), To: ms("2024-02-29T10:12:00Z")}},
		{"2024-02-29T10:11:12+02:00", Alternative{From: ms("2024-02-29T08:11:12Z"), To: ms("2024-02-29T08:11:13Z")}},
		{"2024-02-29T10:11:12 02:00", Alternative{From: ms("2024-02-29T08:11:12Z"), To: ms("2024-02-29T08:11:13Z")}},
		{"2024-02-29T10:11:12-05:30", Alternative{From: ms("2024-02-29T15:41:12Z"), To: ms("2024-02-29T15:41:13Z")}},
		{"gt2024-02-29T10:11:12.5Z", Alternative{From: ms("2024-02-29T10:11:12.501Z"), To: high}},
		{"2024-02-29T10:11:12.123456Z", Alternative{From: ms("2024-02-29T10:11:12.123Z"), To: ms("2024-02-29T10:11:12.124Z")}},
	} {
		t.Run(c.text, func(t *testing.T) {
			q := mustParse(t, "Patient", "_lastUpdated="+url.QueryEscape(c.text))
			if want := []Term{{LastUpdated, []Alternative{c.want}}}; !reflect.DeepEqual(q.Terms, want) {
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
		{"_sort=_id", Query{Count: 50}},
		{"_sort=_lastUpdated", Query{Count: 50, Sort: SortLastUpdated}},
		{"_sort=-_lastUpdated", Query{Count: 50, Sort: SortLastUpdatedDesc}},
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
		{"Patient", "identifier:not=1", "modifiers are not supported"},
		{"Patient", "identifier:missing=true", "modifiers are not supported"},
		{"Encounter", "patient:Patient=1", "modifiers are not supported"},
		{"Encounter", "patient.identifier=1", "chained parameters are not supported"},
		{"Encounter", "patient:Patient.identifier=1", "chained parameters are not supported"},
		{"Encounter", "patient=Group/1", "another type"},
		{"Encounter", "patient=http://h/Group/1", "another type"},
		{"Encounter", "patient=%23p", "contained"},
		{"Patient", "_lastUpdated=ap2024", `prefix "ap" is not supported`},
		{"Patient", "_lastUpdated=2023-02-29", "no date"},
		{"Patient", "_lastUpdated=2024-13", "no date"},
		{"Patient", "_lastUpdated=2024-02-29T1:04Z", "no date"},
		{"Patient", "_lastUpdated=2024-02-29T24:00Z", "no date"},
		{"Patient", "_lastUpdated=ge", "no date"},
		{"Patient", "_lastUpdated=yesterday", "no date"},
		{"Patient", "_lastUpdated:exact=2024", "modifiers"},
		{"Patient", "_count=-1", "not a number"},
		{"Patient", "_count=ten", "not a number"},
		{"Patient", "_count=1&_count=2", "2 times"},
		{"Patient", "_sort=birthdate", "use _lastUpdated"},
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
		{"Patient", "name=x&_id=a&_elements=id", "_elements name"},
		{"Patient", "patient=x", "patient"},
		{"AuditEvent", "identifier=x", "identifier"},
		{"Patient", "birthdate:missing=true", "birthdate:missing"},
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
	for _, query := range []string{"identifier=SECRET|b|c", "identifier:not=SECRET", "patient=Group/SECRET", "patient=%23SECRET"} {
		_, err := parse(t, "Encounter", query, true)
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: got %v", query, err)
		}
	}
}

func TestPages(t *testing.T) {
	for _, sort := range []string{"_id", "_lastUpdated", "-_lastUpdated"} {
		q := mustParse(t, "Patient", "_sort="+sort)
		token := q.Next("p-1", 1700000000123)
		next := mustParse(t, "Patient", "_sort="+sort+"&_page="+token)
		if want := (Page{ID: "p-1", Millis: 1700000000123}); next.Page != want {
			t.Errorf("%s: got %+v, want %+v", sort, next.Page, want)
		}
		if next.Applied.Has("_page") {
			t.Error("a link made from this page would carry its token")
		}
		for _, other := range []struct{ resourceType, sort string }{{"Encounter", sort}, {"Patient", "_id"}, {"Patient", "_lastUpdated"}} {
			if other.resourceType == "Patient" && other.sort == sort {
				continue
			}
			if _, err := parse(t, other.resourceType, "_sort="+other.sort+"&_page="+token, true); syncerr.KindOf(err) != syncerr.Invalid {
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
		if slices.Contains(names, Patient) {
			patients++
		}
		if slices.Contains(names, Identifier) {
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

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"_id=a,b", "identifier=s|v&patient=Patient/1", `identifier=a\,b\`, "_lastUpdated=ge2024-02-29T10:11:12.5Z",
		"_count=0&_sort=-_lastUpdated&_page=x", "patient=https://h/Patient/1/_history/2", "name=x&_summary=true", "identifier=%00|%ff",
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
			if len(term.Any) == 0 {
				t.Fatalf("%s matches nothing", term.Name)
			}
			for _, a := range term.Any {
				if len(a.Value) > maxKey || len(a.System) > maxKey || Key(a.Value) != a.Value || Key(a.System) != a.System {
					t.Fatalf("%+v is not in the form of the index", a)
				}
			}
		}
		q.Match(fhir.Key{Type: resourceType, ID: "e"}, body, 0)
	})
}
