package search

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
)

func TestMatch(t *testing.T) {
	const millis = 1709200800000 // 2024-02-29T10:00:00Z
	long := strings.Repeat("long ", 60)
	key := fhir.Key{Type: "Encounter", ID: "e1"}
	body := []byte(`{"resourceType":"Encounter","id":"e1","identifier":[{"system":"urn:s","value":"12"},{"value":"7"},` +
		`{"system":"urn:empty"},{"system":"urn:s","value":"a,b|c"},{"value":"` + long + `"},{"value":"pad "}],"subject":{"reference":"Patient/p1"}}`)
	for _, c := range []struct {
		query string
		want  bool
	}{
		{"", true},
		{"_id=e1", true},
		{"_id=e2", false},
		{"_id=e2,e1", true},
		{"_id=e1&_id=e2", false},
		{"identifier=12", true},
		{"identifier=13", false},
		{"identifier=1", false},
		{"identifier=urn:s|12", true},
		{"identifier=urn:t|12", false},
		{"identifier=urn:s|7", false},
		{"identifier=|7", true},
		{"identifier=|12", false},
		{"identifier=urn:s|", true},
		{"identifier=urn:empty|", true},
		{"identifier=urn:t|", false},
		{"identifier=URN:S|12", false},
		{`identifier=urn:s|a\,b\|c`, true},
		{"identifier=urn:t|12,|7", true},
		{"identifier=12&identifier=7", true},
		{"identifier=12&identifier=8", false},
		{"identifier=pad", true},
		{"identifier=" + long, true},
		{"identifier=" + long + "x", false},
		{"patient=p1", true},
		{"patient=p2", false},
		{"patient=Patient/p1", true},
		{"patient=Patient/p1/_history/2", true},
		{"patient=https://h/fhir/Patient/p1", true},
		{"patient=urn:uuid:p1", false},
		{"patient=p1&identifier=12&_id=e1", true},
		{"patient=p1&identifier=12&_id=e2", false},
		{"_lastUpdated=2024-02-29", true},
		{"_lastUpdated=2024-02-29T10:00:00Z", true},
		{"_lastUpdated=2024-02-29T10:00:01Z", false},
		{"_lastUpdated=ne2024-02-29", false},
		{"_lastUpdated=ne2024-02-28", true},
		{"_lastUpdated=ge2024-02-29T10:00:00Z", true},
		{"_lastUpdated=gt2024-02-29T10:00:00Z", false},
		{"_lastUpdated=gt2024-02-29T09:59:59Z", true},
		{"_lastUpdated=sa2024-02-29", false},
		{"_lastUpdated=lt2024-02-29T10:00:00Z", false},
		{"_lastUpdated=le2024-02-29T10:00:00Z", true},
		{"_lastUpdated=eb2024-03", true},
		{"_lastUpdated=ge2024-02&_lastUpdated=lt2024-03", true},
		{"_lastUpdated=2023,2024", true},
		{"_lastUpdated=2022,2023", false},
		{"_count=0&_sort=-_lastUpdated", true},
		{"identifier:not=12", false},
		{"identifier:not=13", true},
		{"identifier:missing=false", true},
		{"type:missing=true", true},
		{"patient:missing=true", false},
		{"subject:Patient=p1", true},
		{"subject:Group=p1", false},
		{"subject=p1", true},
	} {
		t.Run(c.query[:min(len(c.query), 60)], func(t *testing.T) {
			if got := mustParse(t, "Encounter", c.query).Match(key, body, millis); got != c.want {
				t.Errorf("%s: got %v, want %v", c.query, got, c.want)
			}
		})
	}
	if q := mustParse(t, "Encounter", "patient.name=a"); q.Match(key, body, millis) || !q.MatchKinds.Related {
		t.Error("a chain was judged without the other resource")
	}
	if mustParse(t, "Patient", "").Match(key, body, millis) {
		t.Error("an Encounter is in the result of a search for Patient")
	}
}
