package clients

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
)

// What OpenMRS sends with v=full is more than it takes: links, texts made from other members, times of changes, and whole objects where it
// takes the uuid of one (reference/openmrs-sync2.md 8.1).

// readOnly reports whether OpenMRS sends a member and takes none, in any document.
func readOnly(name string) bool {
	switch name {
	case "links", "display", "auditInfo", "resourceVersion", "voided", "retired", "dateCreated", "dateChanged", "creator", "changedBy":
		return true
	}
	return false
}

// leftOut reports whether a member of a type is never written: it is a list of what has a document of its own.
func leftOut(restType, name string) bool {
	switch restType {
	case "form":
		return name == "formFields" || name == "resources"
	case "visit":
		return name == "encounters"
	case "program":
		return name == "allWorkflows"
	}
	return false
}

// parts returns the members of a type that are sub-resources: lists of objects which have uuids and addresses below the document, by the name
// of the list, with the name in the address.
func parts(restType string) map[string]string {
	switch restType {
	case "concept":
		return map[string]string{"names": "name", "descriptions": "description", "mappings": "mapping"}
	case "provider", "visit":
		return map[string]string{"attributes": "attribute"}
	case "programenrollment":
		return map[string]string{"states": "state", "attributes": "attribute"}
	default:
		return nil
	}
}

func members(doc []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(doc, &m) != nil {
		return nil
	}
	return m
}

func list(raw json.RawMessage) []map[string]json.RawMessage {
	var l []map[string]json.RawMessage
	if json.Unmarshal(raw, &l) != nil {
		return nil
	}
	return l
}

func text(raw json.RawMessage) string { return gjson.ParseBytes(raw).String() }

func voided(part map[string]json.RawMessage) bool {
	return text(part["voided"]) == "true" || text(part["retired"]) == "true"
}

func encode(v map[string]json.RawMessage) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("bug: JSON that was read cannot be written: " + err.Error())
	}
	return b
}

// creation is the body that creates a REST document: with its uuid, and with its parts in it.
func creation(k fhir.Key, content []byte) []byte {
	doc := members(content)
	out := reduced(k.Type, doc)
	for name := range parts(k.Type) {
		var whole []json.RawMessage
		for _, p := range list(doc[name]) {
			if !voided(p) {
				whole = append(whole, encode(plain(p)))
			}
		}
		if whole != nil {
			out[name], _ = json.Marshal(whole) // of JSON that was read
		}
	}
	out["uuid"], _ = json.Marshal(k.ID)
	for name, v := range out {
		if string(v) == "null" {
			delete(out, name)
		}
	}
	return encode(out)
}

// reduced returns what a document says that OpenMRS takes, without its parts.
func reduced(restType string, doc map[string]json.RawMessage) map[string]json.RawMessage {
	sub := parts(restType)
	out := make(map[string]json.RawMessage, len(doc))
	for name, v := range doc {
		if _, part := sub[name]; !part && !readOnly(name) && !leftOut(restType, name) {
			out[name] = reference(v)
		}
	}
	return out
}

func reducedMember(doc map[string]json.RawMessage, name string) json.RawMessage {
	v, ok := doc[name]
	if !ok {
		return nil
	}
	return reference(v)
}

// plain returns what OpenMRS takes of a part or of an object without a uuid.
func plain(object map[string]json.RawMessage) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(object))
	for name, v := range object {
		if !readOnly(name) {
			out[name] = reference(v)
		}
	}
	return out
}

// reference returns a value with the objects in it that have a uuid replaced by that.
func reference(v json.RawMessage) json.RawMessage {
	switch v = bytes.TrimSpace(v); {
	case len(v) > 0 && v[0] == '{':
		m := members(v)
		if id, ok := m["uuid"]; ok {
			return id
		}
		return encode(plain(m))
	case len(v) > 0 && v[0] == '[':
		var l []json.RawMessage
		if json.Unmarshal(v, &l) != nil {
			return v
		}
		for i := range l {
			l[i] = reference(l[i])
		}
		b, err := json.Marshal(l)
		if err != nil {
			return v
		}
		return b
	}
	return v
}

// same reports whether two values are equal as JSON, white space and the order of members aside.
func same(a, b json.RawMessage) bool {
	if a == nil || b == nil {
		return len(a) == len(b)
	}
	var x, y any
	if unmarshal(a, &x) != nil || unmarshal(b, &y) != nil {
		return bytes.Equal(a, b)
	}
	p, err1 := json.Marshal(x)
	q, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && bytes.Equal(p, q)
}

// unmarshal keeps the digits of numbers.
func unmarshal(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into)
}

// seed is the least that OpenMRS creates over REST under an id that is given.
type seed struct {
	collection string // below /ws/rest/v1/
	body       []byte
}

// seedOf returns the seed of a FHIR resource; ok is false for a type that has none. why says what the resource lacks for one.
func seedOf(k fhir.Key, content []byte) (s seed, ok bool, why string) {
	r := gjson.ParseBytes(content)
	body := map[string]any{"uuid": k.ID}
	set := func(name string, value any) {
		if text, is := value.(string); !is || text != "" {
			body[name] = value
		}
	}
	need := func(name, value, from string) {
		if set(name, value); value == "" && why == "" {
			why = from + " is missing, without which OpenMRS creates no " + k.Type
		}
	}
	switch k.Type {
	case "Location":
		s.collection = "location"
		need("name", r.Get("name").String(), "name")
		set("description", r.Get("description").String())
	case "Group":
		s.collection = "cohort"
		need("name", r.Get("name").String(), "name")
		set("description", r.Get("name").String())
	case "Person":
		s.collection = "person"
		person(r, set)
	case "Patient":
		s.collection = "patient"
		about := map[string]any{}
		person(r, func(name string, value any) { about[name] = value })
		body["person"] = about
		ids, missing := identifiers(r)
		if body["identifiers"] = ids; missing != "" {
			why = missing
		}
	case "Encounter":
		kind, at, start := "encounterType", "encounter", "encounterDatetime"
		if strings.HasSuffix(r.Get("type.0.coding.0.system").String(), "visit-type") {
			kind, at, start = "visitType", "visit", "startDatetime"
		}
		s.collection = at
		need("patient", referred(r.Get("subject")), "subject")
		need(kind, r.Get("type.0.coding.0.code").String(), "type.coding.code")
		set(start, r.Get("period.start").String())
		set("location", referred(r.Get("location.0.location")))
		if at == "encounter" {
			set("visit", referred(r.Get("partOf")))
		}
	case "Observation":
		s.collection = "obs"
		need("person", referred(r.Get("subject")), "subject")
		need("concept", coded(r.Get("code")), "code.coding.code")
		need("obsDatetime", r.Get("effectiveDateTime").String(), "effectiveDateTime")
		set("encounter", referred(r.Get("encounter")))
		if v := observed(r); v.Exists() {
			set("value", json.RawMessage(v.Raw))
		} else {
			set("value", coded(r.Get("valueCodeableConcept")))
		}
	case "AllergyIntolerance":
		patient := referred(r.Get("patient"))
		if s.collection = "patient/" + patient + "/allergy"; !addressable(patient) {
			why = "patient is missing, without which OpenMRS creates no " + k.Type
		}
		body["allergen"] = map[string]any{
			"allergenType":  allergen(r.Get("category.0").String()),
			"codedAllergen": map[string]any{"uuid": coded(r.Get("code"))},
		}
	default:
		return s, false, ""
	}
	b, err := json.Marshal(body)
	if err != nil {
		return s, true, "it has no form for OpenMRS: " + err.Error()
	}
	s.body = b
	return s, true, why
}

// person sets what OpenMRS asks of a person.
func person(r gjson.Result, set func(name string, value any)) {
	name := map[string]any{}
	for to, from := range map[string]string{"givenName": "name.0.given.0", "middleName": "name.0.given.1", "familyName": "name.0.family"} {
		if v := r.Get(from).String(); v != "" {
			name[to] = v
		}
	}
	set("names", []any{name})
	switch r.Get("gender").String() {
	case "male":
		set("gender", "M")
	case "female":
		set("gender", "F")
	case "other":
		set("gender", "O")
	default:
		set("gender", "U")
	}
	if born := r.Get("birthDate").String(); born != "" {
		set("birthdate", born)
		if len(born) < len("2006-01-02") {
			set("birthdateEstimated", true)
		}
	}
}

// identifiers returns the identifiers of a patient, of which OpenMRS wants at least one, each with its type (FHIR2 has that uuid in type.coding)
// and the place where it was given (in an extension).
func identifiers(r gjson.Result) (out []any, why string) {
	for _, i := range r.Get("identifier").Array() {
		one := map[string]any{"identifier": i.Get("value").String(), "identifierType": i.Get("type.coding.0.code").String(), "preferred": len(out) == 0}
		if id := i.Get("id").String(); id != "" {
			one["uuid"] = id
		}
		for _, e := range i.Get("extension").Array() {
			if strings.HasSuffix(e.Get("url").String(), "identifier#location") {
				one["location"] = referred(e.Get("valueReference"))
			}
		}
		if one["identifier"] == "" || one["identifierType"] == "" {
			return nil, "identifier: a value and the uuid of its type in type.coding.code are missing, without which OpenMRS creates no Patient"
		}
		out = append(out, one)
	}
	if out == nil {
		why = "identifier is missing, without which OpenMRS creates no Patient"
	}
	return out, why
}

// referred returns the id that a reference ends with.
func referred(r gjson.Result) string {
	ref := r.Get("reference").String()
	return ref[strings.LastIndexByte(ref, '/')+1:]
}

// coded returns the uuid of the concept that a CodeableConcept names: that of the coding without a system, as FHIR2 writes it.
func coded(r gjson.Result) string {
	codings := r.Get("coding").Array()
	i := slices.IndexFunc(codings, func(c gjson.Result) bool { return !c.Get("system").Exists() })
	if i < 0 && len(codings) > 0 {
		i = 0
	}
	if i < 0 {
		return ""
	}
	return codings[i].Get("code").String()
}

// observed returns the value of an Observation that OpenMRS takes as it stands.
func observed(r gjson.Result) gjson.Result {
	for _, path := range []string{"valueQuantity.value", "valueString", "valueBoolean", "valueInteger", "valueDateTime", "valueTime"} {
		if v := r.Get(path); v.Exists() {
			return v
		}
	}
	return gjson.Result{}
}

func allergen(category string) string {
	switch category {
	case "food":
		return "FOOD"
	case "environment":
		return "ENVIRONMENT"
	case "medication":
		return "DRUG"
	default:
		return "OTHER"
	}
}
