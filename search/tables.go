package search

import "github.com/tributary-sync/tributary/fhir"

// Parameter describes a search parameter for a CapabilityStatement (rest.resource.searchParam).
type Parameter struct {
	Name          string
	Type          string // a code of http://hl7.org/fhir/R4/valueset-search-param-type.html
	Documentation string
}

// Parameters returns the search parameters that Parse understands for a resource type, in alphabetical order; none where the
// type is no R4 type.
func Parameters(resourceType string) []Parameter {
	if !fhir.IsType(resourceType) {
		return nil
	}
	out := []Parameter{
		{ID, "token", "the logical id; several are separated by commas"},
		{LastUpdated, "date", "when this server last changed the resource; prefixes eq, ne, gt, ge, lt, le, sa, eb"},
	}
	if hasIdentifier(resourceType) {
		out = append(out, Parameter{Identifier, "token", "a business identifier: value, system|value, system| or |value"})
	}
	if patientPaths(resourceType) != "" {
		out = append(out, Parameter{Patient, "reference", "the patient: id, Patient/id or a URL that ends so"})
	}
	return out
}

// hasIdentifier reports whether the R4 type has an identifier element at its top level, one or many. That is a little more
// than the search parameter "identifier" of R4 covers, which leaves out AdverseEvent, BiologicallyDerivedProduct, CatalogEntry,
// MedicinalProductIngredient, ObservationDefinition and SubstanceSpecification.
func hasIdentifier(resourceType string) bool {
	switch resourceType {
	case "AuditEvent", "Binary", "CapabilityStatement", "CompartmentDefinition", "GraphDefinition", "ImplementationGuide",
		"Linkage", "MedicationKnowledge", "MedicinalProductContraindication", "MedicinalProductIndication",
		"MedicinalProductInteraction", "MedicinalProductManufactured", "MedicinalProductUndesirableEffect", "MessageHeader",
		"NamingSystem", "OperationDefinition", "OperationOutcome", "Parameters", "Provenance", "SearchParameter", "Subscription",
		"SubstanceNucleicAcid", "SubstancePolymer", "SubstanceProtein", "SubstanceReferenceInformation", "SubstanceSourceMaterial",
		"TerminologyCapabilities", "VerificationResult":
		return false
	}
	return fhir.IsType(resourceType)
}

// hasMasterIdentifier reports whether R4's search parameter "identifier" covers masterIdentifier, too.
func hasMasterIdentifier(resourceType string) bool {
	return resourceType == "DocumentManifest" || resourceType == "DocumentReference"
}

// patientPaths returns the element paths that the search parameter "patient" of R4 reads for a type, separated by a blank;
// empty where the type has no such parameter (http://hl7.org/fhir/R4/searchparameter-registry.html: clinical-patient and the
// parameters named patient of single types).
func patientPaths(resourceType string) string {
	switch resourceType {
	case "AllergyIntolerance", "BodyStructure", "Claim", "ClaimResponse", "Consent", "CoverageEligibilityRequest",
		"CoverageEligibilityResponse", "DetectedIssue", "Device", "EpisodeOfCare", "ExplanationOfBenefit", "FamilyMemberHistory",
		"Immunization", "ImmunizationEvaluation", "ImmunizationRecommendation", "MolecularSequence", "NutritionOrder",
		"RelatedPerson", "SupplyDelivery", "VisionPrescription":
		return "patient"
	case "Account", "Basic", "CarePlan", "CareTeam", "ChargeItem", "ClinicalImpression", "Communication", "CommunicationRequest",
		"Composition", "Condition", "Contract", "DeviceRequest", "DeviceUseStatement", "DiagnosticReport", "DocumentManifest",
		"DocumentReference", "Encounter", "Flag", "Goal", "GuidanceResponse", "ImagingStudy", "Invoice", "List", "MeasureReport",
		"Media", "MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement", "Observation",
		"Procedure", "QuestionnaireResponse", "RequestGroup", "RiskAssessment", "ServiceRequest", "Specimen":
		return "subject"
	case "Appointment":
		return "participant.actor"
	case "AppointmentResponse":
		return "actor"
	case "AuditEvent":
		return "agent.who entity.what"
	case "Coverage":
		return "beneficiary"
	case "EnrollmentRequest":
		return "candidate"
	case "Person":
		return "link.target"
	case "Provenance":
		return "target"
	case "ResearchSubject":
		return "individual"
	case "Task":
		return "for"
	}
	return ""
}
