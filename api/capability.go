package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	models "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
)

// fhirMetadata answers what this server can do (FHIR R4 http.html#capabilities).
func (s *Server) fhirMetadata(w http.ResponseWriter, r *http.Request) error {
	if err := acceptsJSON(r); err != nil {
		return err
	}
	send(w, r, http.StatusOK, fhirJSON, pretty(r, s.capability()))
	return nil
}

// capabilityStatement describes the API (FHIR R4 capabilitystatement.html). It is the same for as long as the program runs.
func capabilityStatement(d Deps, now time.Time) []byte {
	software := models.CapabilityStatementSoftware{Name: "Tributary"}
	if d.Version != "" {
		software.Version = &d.Version
	}
	implementation := models.CapabilityStatementImplementation{Description: "Tributary FHIR sync node"}
	if d.URL != "" {
		url := d.URL + fhirBases()[0]
		implementation.Url = &url
	}
	rest := models.CapabilityStatementRest{
		Interaction: []models.CapabilityStatementRestInteraction{},
		Resource:    make([]models.CapabilityStatementRestResource, 0, len(fhir.Types())),
	}
	code(&rest.Mode, "server")
	for _, name := range []string{"transaction", "batch", "history-system"} {
		var i models.CapabilityStatementRestInteraction
		code(&i.Code, name)
		rest.Interaction = append(rest.Interaction, i)
	}
	for _, t := range fhir.Types() {
		rest.Resource = append(rest.Resource, capabilityOf(t))
	}
	c := models.CapabilityStatement{
		Date: now.UTC().Format(time.RFC3339), Software: &software, Implementation: &implementation,
		Format: []string{"application/fhir+json", "json"}, PatchFormat: []string{jsonPatch, "application/fhir+json"}, Rest: []models.CapabilityStatementRest{rest},
	}
	code(&c.Status, "active")
	code(&c.Kind, "instance")
	code(&c.FhirVersion, "4.0.1")
	b, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("bug: the capability statement has no JSON: %v", err))
	}
	return b
}

func capabilityOf(resourceType string) models.CapabilityStatementRestResource {
	yes := true
	r := models.CapabilityStatementRestResource{ReadHistory: &yes, UpdateCreate: &yes, ConditionalCreate: &yes, ConditionalUpdate: &yes}
	code(&r.Type, resourceType)
	for _, name := range []string{"read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"} {
		var i models.CapabilityStatementRestResourceInteraction
		code(&i.Code, name)
		r.Interaction = append(r.Interaction, i)
	}
	var v models.ResourceVersionPolicy
	code(&v, "versioned-update")
	r.Versioning = &v
	var read models.ConditionalReadStatus
	code(&read, "full-support")
	r.ConditionalRead = &read
	var remove models.ConditionalDeleteStatus
	code(&remove, "single")
	r.ConditionalDelete = &remove
	for _, p := range search.Parameters(resourceType) {
		sp := models.CapabilityStatementRestResourceSearchParam{Name: p.Name, Documentation: &p.Documentation}
		code(&sp.Type, p.Type)
		r.SearchParam = append(r.SearchParam, sp)
	}
	r.SearchInclude, r.SearchRevInclude = search.Includes(resourceType)
	if resourceType == "Patient" {
		r.Operation = []models.CapabilityStatementRestResourceOperation{{Name: "everything", Definition: everythingDefinition}}
	}
	return r
}

// code sets a coded field by its code.
func code(into json.Unmarshaler, text string) {
	if err := into.UnmarshalJSON([]byte(`"` + text + `"`)); err != nil {
		panic(fmt.Sprintf("bug: %v", err))
	}
}
