package emrtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// rule is what OpenMRS asks of a collection.
type rule struct {
	fhirType string
	required []string
	update   []string          // what may be set on what is there already
	refers   []string          // members that are uuids of other things: taken as a string, shown as an object
	parts    map[string]string // lists that are sub-resources, with the name in the address
	retires  bool              // metadata is retired, records are voided
}

func ruleOf(collection string) (rule, bool) {
	switch collection {
	case "location":
		return rule{
			fhirType: "Location", required: []string{"name"}, update: []string{"name", "description", "parentLocation", "tags"},
			refers: []string{"parentLocation"}, retires: true,
		}, true
	case "program":
		return rule{
			required: []string{"name", "concept"}, update: []string{"name", "description", "outcomesConcept"},
			refers: []string{"concept", "outcomesConcept"}, retires: true,
		}, true
	case "visittype":
		return rule{required: []string{"name"}, update: []string{"name", "description"}, retires: true}, true
	case "concept":
		return rule{
			required: []string{"names", "datatype", "conceptClass"}, update: []string{"version", "set"}, refers: []string{"datatype", "conceptClass"},
			parts: map[string]string{"names": "name", "descriptions": "description"}, retires: true,
		}, true
	case "cohort":
		return rule{fhirType: "Group", required: []string{"name", "description"}, update: []string{"name", "description"}}, true
	case "person":
		return rule{fhirType: "Person", required: []string{"names", "gender"}, update: []string{"gender", "birthdate", "dead"}}, true
	case "patient":
		return rule{fhirType: "Patient", required: []string{"person", "identifiers"}, update: nil}, true
	case "encounter":
		return rule{
			fhirType: "Encounter", required: []string{"patient", "encounterType"}, update: []string{"encounterDatetime", "location"},
			refers: []string{"patient", "encounterType", "location", "visit"},
		}, true
	case "visit":
		return rule{
			fhirType: "Encounter", required: []string{"patient", "visitType"}, update: []string{"startDatetime", "stopDatetime", "location"},
			refers: []string{"patient", "visitType", "location"},
		}, true
	case "obs":
		return rule{
			fhirType: "Observation", required: []string{"person", "concept", "obsDatetime"}, update: []string{"value", "comment"},
			refers: []string{"person", "concept", "encounter"},
		}, true
	}
	return rule{}, false
}

// rest answers /ws/rest/v1/{collection}[/{uuid}[/{part}[/{uuid}]]].
func (s *Server) rest(w http.ResponseWriter, r *http.Request, path []string, body map[string]any) {
	collection := path[0]
	if len(path) == 3 && collection == "patient" && path[2] == "allergy" || len(path) == 4 && path[2] == "allergy" {
		s.allergy(w, r, path, body)
		return
	}
	rule, ok := ruleOf(collection)
	if !ok {
		restError(w, http.StatusNotFound, "Unknown resource: v1/"+collection)
		return
	}
	if s.Forbidden[collection] {
		restError(w, http.StatusForbidden, "Privileges required: Manage "+collection)
		return
	}
	if len(path) == 1 {
		switch r.Method {
		case http.MethodGet:
			s.restList(w, r, collection)
		case http.MethodPost:
			s.restCreate(w, rule, collection, body)
		default:
			methodNotAllowed(w, r)
		}
		return
	}
	o := s.objects[path[1]]
	if o == nil || o.collection != collection {
		restError(w, http.StatusNotFound, "Object with given uuid doesn't exist")
		return
	}
	if len(path) > 2 {
		s.part(w, r, o, path[2:], body)
		return
	}
	switch r.Method {
	case http.MethodGet:
		send(w, http.StatusOK, restJSON, o.full(rule)) // a voided one too
	case http.MethodPost:
		s.restUpdate(w, o, rule, body)
	case http.MethodDelete:
		if r.URL.Query().Get("purge") == "true" {
			delete(s.objects, o.uuid)
			s.order = slices.DeleteFunc(s.order, func(id string) bool { return id == o.uuid })
		} else {
			o.voided, o.changed = true, s.now()
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		methodNotAllowed(w, r) // there is no PUT
	}
}

func methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	restError(w, http.StatusMethodNotAllowed, "Request method '"+r.Method+"' not supported")
}

// ignored reports whether a member is passed over in what is written (BaseDelegatingResource.propertiesIgnoredWhenUpdating).
func ignored(name string) bool {
	switch name {
	case "display", "links", "auditInfo", "resourceVersion":
		return true
	}
	return false
}

func (s *Server) restCreate(w http.ResponseWriter, rule rule, collection string, body map[string]any) {
	var missing []string
	for _, name := range rule.required {
		if body[name] == nil || body[name] == "" {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		restError(w, http.StatusBadRequest, "Some required properties are missing: "+strings.Join(missing, ", "))
		return
	}
	uuid, _ := body["uuid"].(string)
	if uuid == "" {
		uuid = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(s.order)+1)
	}
	if s.objects[uuid] != nil {
		restError(w, http.StatusInternalServerError, "could not execute statement: Duplicate entry '"+uuid+"' for key 'uuid'")
		return
	}
	o := &object{collection: collection, fhirType: rule.fhirType, uuid: uuid, rest: map[string]any{}, parts: map[string][]*object{}}
	for name, v := range body {
		sub, isPart := rule.parts[name]
		switch {
		case name == "uuid" || ignored(name):
		case slices.Contains(rule.refers, name) && !isString(v):
			restError(w, http.StatusBadRequest, "Could not convert "+name)
			return
		case isPart:
			for _, one := range v.([]any) {
				o.parts[sub] = append(o.parts[sub], s.newPart(one.(map[string]any)))
			}
		default:
			o.rest[name] = v
		}
	}
	s.add(o)
	if rule.fhirType != "" {
		o.fhir = map[string]any{"resourceType": rule.fhirType, "id": uuid}
	}
	send(w, http.StatusCreated, restJSON, o.reference())
}

func isString(v any) bool {
	_, ok := v.(string)
	return ok || v == nil
}

func (s *Server) add(o *object) {
	o.created = s.now()
	s.objects[o.uuid] = o
	s.order = append(s.order, o.uuid)
}

func (s *Server) newPart(body map[string]any) *object {
	uuid, _ := body["uuid"].(string)
	p := &object{uuid: uuid, rest: map[string]any{}, created: s.now()}
	if uuid == "" {
		p.uuid = fmt.Sprintf("00000000-0000-4000-9000-%012d", s.millis)
	}
	for name, v := range body {
		if name != "uuid" && !ignored(name) {
			p.rest[name] = v
		}
	}
	return p
}

func (s *Server) restUpdate(w http.ResponseWriter, o *object, rule rule, body map[string]any) {
	// RESTWS-702: exactly this brings back what was voided or retired.
	if v := fmt.Sprint(body["deleted"]); len(body) == 1 && v == "false" {
		o.voided, o.changed = false, s.now()
		send(w, http.StatusOK, restJSON, o.reference())
		return
	}
	var not []string
	for name, v := range body {
		switch {
		case ignored(name), name == "uuid" && v == o.uuid, slices.Contains(rule.update, name), reflect.DeepEqual(v, o.rest[name]):
		default:
			not = append(not, name)
		}
		if slices.Contains(rule.refers, name) && !isString(v) {
			restError(w, http.StatusBadRequest, "Could not convert "+name)
			return
		}
	}
	if not != nil {
		sort.Strings(not)
		restError(w, http.StatusBadRequest, "Some properties are not allowed to be set: "+strings.Join(not, ", "))
		return
	}
	if name, ok := body["name"]; ok && name == "" {
		send(w, http.StatusBadRequest, restJSON, map[string]any{"error": map[string]any{
			"message": "[Invalid Submission]", "code": "webservices.rest.error.invalid.submission", "globalErrors": []any{},
			"fieldErrors": map[string]any{"name": []any{map[string]any{"code": "error.name", "message": "Name cannot be empty"}}},
		}})
		return
	}
	for name, v := range body {
		if !ignored(name) && name != "uuid" {
			o.rest[name] = v
		}
	}
	o.changed = s.now()
	send(w, http.StatusOK, restJSON, o.reference())
}

// part answers below a document: its sub-resources.
func (s *Server) part(w http.ResponseWriter, r *http.Request, o *object, path []string, body map[string]any) {
	rule, _ := ruleOf(o.collection)
	known := false
	for _, name := range rule.parts {
		known = known || name == path[0]
	}
	list := o.parts[path[0]]
	i := slices.IndexFunc(list, func(p *object) bool { return len(path) > 1 && p.uuid == path[1] })
	switch {
	case !known:
		restError(w, http.StatusNotFound, "Unknown resource: v1/"+o.collection+"/"+path[0])
	case len(path) == 1 && r.Method == http.MethodPost:
		p := s.newPart(body)
		o.parts[path[0]], o.changed = append(list, p), s.now()
		send(w, http.StatusCreated, restJSON, p.reference())
	case len(path) == 1:
		methodNotAllowed(w, r)
	case i < 0:
		restError(w, http.StatusNotFound, "Object with given uuid doesn't exist")
	case r.Method == http.MethodPost:
		for name, v := range body {
			if name == "uuid" && v != list[i].uuid {
				restError(w, http.StatusBadRequest, "Some properties are not allowed to be set: uuid")
				return
			}
			list[i].rest[name] = v
		}
		list[i].changed, o.changed = s.now(), s.now()
		send(w, http.StatusOK, restJSON, list[i].reference())
	case r.Method == http.MethodDelete:
		list[i].voided, o.changed = true, s.now()
		w.WriteHeader(http.StatusNoContent)
	default:
		methodNotAllowed(w, r)
	}
}

// allergy answers /patient/{patient}/allergy, which has no collection of its own.
func (s *Server) allergy(w http.ResponseWriter, r *http.Request, path []string, body map[string]any) {
	if p := s.objects[path[1]]; p == nil || p.collection != "patient" {
		restError(w, http.StatusNotFound, "Object with given uuid doesn't exist")
		return
	}
	if len(path) == 4 {
		if o := s.objects[path[3]]; o != nil && r.Method == http.MethodDelete {
			delete(s.objects, path[3])
			w.WriteHeader(http.StatusNoContent)
			return
		}
		methodNotAllowed(w, r)
		return
	}
	uuid, _ := body["uuid"].(string)
	if body["allergen"] == nil || uuid == "" {
		restError(w, http.StatusBadRequest, "Some required properties are missing: allergen")
		return
	}
	o := &object{fhirType: "AllergyIntolerance", uuid: uuid, fhir: map[string]any{"resourceType": "AllergyIntolerance", "id": uuid}}
	s.add(o)
	send(w, http.StatusCreated, restJSON, o.reference())
}

func (o *object) reference() map[string]any {
	self := map[string]any{"rel": "self", "uri": "http://emr/ws/rest/v1/" + o.collection + "/" + o.uuid}
	return map[string]any{"uuid": o.uuid, "display": "a " + o.collection, "links": []any{self}}
}

// full is the representation that v=full asks for.
func (o *object) full(rule rule) map[string]any {
	out := o.reference()
	for name, v := range o.rest {
		if id, ok := v.(string); ok && slices.Contains(rule.refers, name) {
			v = map[string]any{"uuid": id, "display": "something", "links": []any{}}
		}
		out[name] = v
	}
	for name, at := range rule.parts {
		list := []any{}
		for _, p := range o.parts[at] {
			if !p.voided {
				list = append(list, p.full(rule))
			}
		}
		out[name] = list
	}
	audit := map[string]any{"creator": map[string]any{"uuid": "1", "display": User}, "dateCreated": stamp(o.created), "changedBy": nil, "dateChanged": nil}
	if o.changed > 0 {
		audit["changedBy"], audit["dateChanged"] = audit["creator"], stamp(o.changed)
	}
	out["auditInfo"], out["resourceVersion"] = audit, "1.8"
	name := "voided"
	if rule.retires {
		name = "retired"
	}
	out[name] = o.voided
	return out
}

// restList answers a page of a collection, without what is voided.
func (s *Server) restList(w http.ResponseWriter, r *http.Request, collection string) {
	limit, start := 50, 0
	if v := r.URL.Query().Get("limit"); v != "" {
		limit, _ = strconv.Atoi(v)
	}
	if v := r.URL.Query().Get("startIndex"); v != "" {
		start, _ = strconv.Atoi(v)
	}
	if limit > 100 {
		restError(w, http.StatusInternalServerError, "The limit parameter exceeds the absolute maximum of 100")
		return
	}
	out := map[string]any{}
	results := []any{}
	n := 0
	for _, id := range s.order {
		o := s.objects[id]
		if o.collection != collection || o.voided {
			continue
		}
		if n++; n > start && len(results) < limit {
			results = append(results, o.reference())
		}
	}
	if out["results"] = results; start+len(results) < n {
		next := fmt.Sprintf("http://%s/ws/rest/v1/%s?limit=%d&startIndex=%d", r.Host, collection, limit, start+limit)
		out["links"] = []any{map[string]any{"rel": "next", "uri": next}}
	}
	send(w, http.StatusOK, restJSON, out)
}

// Put makes a thing that somebody entered at the server, or changes it.
func (s *Server) Put(collection, uuid string, rest map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rule, _ := ruleOf(collection)
	o := s.objects[uuid]
	if o == nil {
		o = &object{collection: collection, fhirType: rule.fhirType, uuid: uuid, parts: map[string][]*object{}}
		if rule.fhirType != "" {
			o.fhir = map[string]any{"resourceType": rule.fhirType, "id": uuid}
		}
		s.add(o)
	}
	o.changed = s.now()
	o.rest = map[string]any{}
	for name, v := range rest {
		if sub, ok := rule.parts[name]; ok {
			o.parts[sub] = nil
			for _, one := range v.([]any) {
				o.parts[sub] = append(o.parts[sub], s.newPart(one.(map[string]any)))
			}
			continue
		}
		o.rest[name] = v
	}
}

// Full returns the full representation of a thing as JSON; nil where there is none.
func (s *Server) Full(uuid string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[uuid]
	if o == nil {
		return nil
	}
	rule, _ := ruleOf(o.collection)
	b, err := json.Marshal(o.full(rule))
	if err != nil {
		return nil
	}
	return b
}
