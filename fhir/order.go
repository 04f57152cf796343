package fhir

import (
	"cmp"
	"slices"
	"strings"
)

// referredFirst lists the types that much refers to and that refer to little themselves, in an order in which most references of each go to
// those before it. FHIR's references have cycles (Patient.link, Encounter.partOf), so that no order is perfect.
const referredFirst = `Endpoint Organization Location HealthcareService Practitioner PractitionerRole OrganizationAffiliation Substance Medication
Device RelatedPerson Patient Person Group CareTeam Coverage Account EpisodeOfCare Appointment ServiceRequest Encounter Condition
AllergyIntolerance Specimen ImagingStudy Media Observation Procedure Immunization MedicationRequest MedicationDispense MedicationAdministration
MedicationStatement DiagnosticReport Goal CarePlan Questionnaire QuestionnaireResponse`

// InOrder returns types in the order in which they are exchanged: what is referred to before what refers to it, then all others of FHIR, then
// REST types, each in alphabetical order.
func InOrder(types []string) []string {
	first, last := strings.Fields(referredFirst), []string{"List", "Composition", "DocumentReference", "Provenance", "AuditEvent"}
	place := func(t string) int {
		if i := slices.Index(first, t); i >= 0 {
			return i
		}
		switch {
		case IsREST(t):
			return len(first) + 2
		case slices.Contains(last, t): // they refer to everything
			return len(first) + 1
		}
		return len(first)
	}
	out := slices.Clone(types)
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b)) })
	return out
}
