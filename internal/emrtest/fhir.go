package emrtest

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// fhir answers /ws/fhir2/R4/{Type}[/{id}].
func (s *Server) fhir(w http.ResponseWriter, r *http.Request, path []string, body map[string]any) {
	known := []string{
		"AllergyIntolerance", "Condition", "DiagnosticReport", "Encounter", "Immunization", "MedicationDispense", "Observation", "Patient", "Person",
		"Group", "Location", "Medication", "Practitioner", "Task",
	}
	if !slices.Contains(known, path[0]) {
		outcome(w, http.StatusNotFound, "HAPI-0302: Unknown resource type '"+path[0]+"' - Server knows how to handle: …")
		return
	}
	if s.Forbidden[path[0]] {
		outcome(w, http.StatusForbidden, "Privileges required: Edit "+path[0])
		return
	}
	if len(path) == 1 {
		if r.Method != http.MethodPost {
			outcome(w, http.StatusBadRequest, "not here")
			return
		}
		// The client's id is dropped (HAPI, CreateMethodBinding).
		o := &object{fhirType: path[0], uuid: "00000000-0000-4000-8000-f" + strconv.Itoa(100_000_000_00+len(s.order)), fhir: body}
		s.add(o)
		s.show(w, http.StatusCreated, o)
		return
	}
	o := s.objects[path[1]]
	if len(path) > 2 {
		outcome(w, http.StatusBadRequest, "HAPI-0287: Invalid request: The FHIR endpoint on this server does not know how to handle "+r.Method+" operation")
		return
	}
	if o == nil || o.fhirType != path[0] {
		// Only some metadata is made by a PUT, and only where fhir2.upsert.supported.resources says so (BaseFhirService.update).
		outcome(w, http.StatusNotFound, "HAPI-2001: Resource of type "+path[0]+" with ID "+path[1]+" is not known")
		return
	}
	if o.voided && r.Method != http.MethodDelete {
		outcome(w, http.StatusGone, "Resource of type "+path[0]+" with ID "+path[1]+" is gone/deleted")
		return
	}
	switch r.Method {
	case http.MethodGet:
		s.show(w, http.StatusOK, o)
	case http.MethodPut:
		switch why := invalid(path[0], body); {
		case body["id"] != path[1]:
			outcome(w, http.StatusBadRequest, "HAPI-0420: Can not update resource, resource body must contain an ID element which matches "+
				"the request URL for update (PUT) operation")
		case why != "":
			outcome(w, http.StatusUnprocessableEntity, why)
		default:
			o.fhir, o.changed = body, s.now()
			s.show(w, http.StatusOK, o)
		}
	case http.MethodDelete:
		o.voided, o.changed = true, s.now()
		done := map[string]any{"severity": "information", "code": "informational"}
		send(w, http.StatusOK, fhirJSON, map[string]any{"resourceType": "OperationOutcome", "issue": []any{done}})
	default:
		outcome(w, http.StatusBadRequest, "not here")
	}
}

// invalid says which rule of OpenMRS a resource breaks.
func invalid(fhirType string, r map[string]any) string {
	if fhirType == "Location" && (r["name"] == nil || r["name"] == "") {
		return "Location.name cannot be empty"
	}
	if fhirType == "Patient" && r["identifier"] == nil {
		return "Patient must have at least one identifier"
	}
	return ""
}

// show answers a resource, with what it is now in meta and in the ETag: the time of its last change.
func (s *Server) show(w http.ResponseWriter, status int, o *object) {
	at := max(o.created, o.changed)
	out := map[string]any{}
	for name, v := range o.fhir {
		out[name] = v
	}
	out["id"], out["meta"] = o.uuid, map[string]any{
		"versionId": strconv.FormatInt(at, 10), "lastUpdated": time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000-07:00"),
	}
	w.Header().Set("ETag", `W/"`+strconv.FormatInt(at, 10)+`"`)
	w.Header().Set("Last-Modified", time.UnixMilli(at).UTC().Format(http.TimeFormat))
	send(w, status, fhirJSON, out)
}
