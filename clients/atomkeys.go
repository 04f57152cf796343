package clients

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
)

// itemsOfPage returns what entries tell of, and the categories of those that tell of nothing that can be read.
func itemsOfPage(entries []feed.AtomEntry) (items []feedreader.Item, skipped []string) {
	for _, e := range entries {
		got := itemsOfEntry(e)
		if items = append(items, got...); len(got) == 0 {
			skipped = append(skipped, categoryOf(e))
		}
	}
	return items, skipped
}

// itemsOfEntry returns the documents that an entry says were changed. Only one that was purged is told as deleted: what is voided or retired is still at the
// server, which says so when it is asked, and may have been brought back since.
func itemsOfEntry(e feed.AtomEntry) []feedreader.Item {
	it := feedreader.Item{}
	if e.Updated != 0 {
		it.Modified = time.UnixMilli(e.Updated)
	}
	if !e.Stamp.IsZero() { // a Tributary node; its ETags are versions
		if !addressable(e.Key.ID) {
			return nil
		}
		it.Key, it.Tag = e.Key, e.Stamp.Version.String()
		return []feedreader.Item{it}
	}
	keys, part := keysOf(e.ContentLinks)
	out := make([]feedreader.Item, 0, len(keys))
	for _, k := range keys {
		it.Key, it.Deleted = k, e.Action == feed.Deleted && !part
		out = append(out, it)
	}
	return out
}

// keysOf returns the documents that the links of a content name: the FHIR link where its type is one of R4, else the REST link. part says that
// the links are of a part of the document, such as a name of a person.
func keysOf(links map[string]string) (keys []fhir.Key, part bool) {
	names := slices.Sorted(maps.Keys(links))
	if i := slices.Index(names, "fhir"); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "fhir")
	}
	for _, name := range names {
		u, err := url.Parse(links[name])
		if err != nil {
			continue
		}
		parts := strings.Split(strings.TrimRight(u.Path, "/"), "/")
		if i := slices.Index(parts, "ws"); i < 0 || i+2 >= len(parts) {
			continue
		} else if parts[i+1] == "fhir" || parts[i+1] == "fhir2" {
			keys = fhirKeys(parts[i+2:])
		} else if parts[i+1] == "rest" && parts[i+2] == "v1" {
			keys, part = restKeys(parts[i+3:])
		}
		if len(keys) > 0 {
			return keys, part
		}
	}
	return nil, false
}

// fhirKeys reads what follows /ws/fhir or /ws/fhir2: a type and an id, behind the release where that is said.
func fhirKeys(parts []string) []fhir.Key {
	if len(parts) == 3 && (parts[0] == "R4" || parts[0] == "R3") {
		parts = parts[1:]
	}
	if len(parts) != 2 || !addressable(parts[1]) {
		return nil
	}
	k := fhir.Key{Type: parts[0], ID: parts[1]}
	if k.Type == "ProcedureRequest" {
		k.Type = "ServiceRequest" // its name since R4
	}
	if !fhir.IsType(k.Type) {
		return nil // such as Provider, Relationship, Drug, Order and Program, which the module atomfeed links to and no FHIR has
	}
	return []fhir.Key{k}
}

// restKeys reads what follows /ws/rest/v1. A part of a document stands for that. What has a FHIR form is named by that (reference/openmrs-sync2.md
// section 4), anything else by its collection.
func restKeys(parts []string) (keys []fhir.Key, part bool) {
	if len(parts) == 3 && parts[0] == "bahmnicore" {
		parts = parts[1:]
	}
	switch n := len(parts); {
	case n == 4 && parts[0] == "patient" && parts[2] == "allergy":
		parts = parts[2:]
	case n == 4:
		parts, part = parts[:2], true
	case n != 2:
		return nil, false
	}
	collection, id := parts[0], parts[1]
	k := fhir.Key{Type: restType(collection), ID: id}
	if !addressable(id) || !fhir.IsKind(k.Type) {
		return nil, false
	}
	if keys = []fhir.Key{k}; part && k.Type == "Person" { // the person may be that of a patient, who has the same uuid
		keys = append(keys, fhir.Key{Type: "Patient", ID: id})
	}
	return keys, part
}

// restType returns the type of the documents of a REST collection.
func restType(collection string) string {
	switch collection {
	case "cohort":
		return "Group"
	case "visit", "bahmniencounter":
		return "Encounter"
	case "obs":
		return "Observation"
	case "allergy":
		return "AllergyIntolerance"
	case "drug_order":
		return "MedicationRequest"
	case "test_order":
		return "ServiceRequest"
	}
	t, _ := fhir.CategoryType(collection)
	return t
}

// categoryOf names what an entry is of, for people; nothing of a person is in it.
func categoryOf(e feed.AtomEntry) string {
	name := strings.ToLower(e.Category)
	if name == "" || len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_-") != "" {
		return "other"
	}
	return name
}
