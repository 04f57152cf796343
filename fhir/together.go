package fhir

import "strings"

// Group is elements of one type that say one thing together: where two people changed different ones of them, neither version may be
// put together from both.
type Group struct {
	Elements []string // as FHIRPath names them
	Critical bool     // a wrong guess can harm a patient: only a person may choose
}

// together has the groups by type. An element that stands there alone is in it because it is critical. The lines without a type hold
// for every resource.
const together = `
! status statusReason intent doNotPerform
! clinicalStatus verificationStatus
AllergyIntolerance ! clinicalStatus verificationStatus type category criticality code reaction
AllergyIntolerance.reaction ! substance manifestation severity exposureRoute
MedicationRequest ! status statusReason intent doNotPerform medication dosageInstruction
MedicationStatement ! status statusReason medication dosage effective
MedicationAdministration ! status statusReason medication dosage effective
MedicationDispense ! status statusReason medication quantity daysSupply dosageInstruction
Medication ! status code form amount ingredient
Medication.ingredient ! item isActive strength
Immunization ! status statusReason vaccineCode doseQuantity isSubpotent subpotentReason occurrence
Observation ! status code value dataAbsentReason interpretation component
Observation.component ! code value dataAbsentReason interpretation
Condition ! clinicalStatus verificationStatus code severity abatement
Procedure ! status statusReason code
DiagnosticReport ! status code conclusion conclusionCode
ServiceRequest ! status intent doNotPerform code quantity
NutritionOrder ! status intent allergyIntolerance foodPreferenceModifier excludeFoodModifier oralDiet supplement enteralFormula
DetectedIssue ! status code severity
Flag ! status code
Consent ! status scope policy policyRule provision
Patient ! deceased
Goal lifecycleStatus achievementStatus statusDate statusReason
Task status statusReason businessStatus
Encounter ! status statusHistory
HumanName text use period family given prefix suffix
Identifier system value
Identifier use period
Extension url value extension
`

// Together returns the groups of a type, with or without a name of its own (Patient, Observation.component, HumanName).
func Together(owner string) []Group {
	var groups, every []Group
	for line := range strings.Lines(together) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "!":
			every = append(every, Group{fields[1:], true})
		case fields[0] == owner && fields[1] == "!":
			groups = append(groups, Group{fields[2:], true})
		case fields[0] == owner:
			groups = append(groups, Group{fields[1:], false})
		}
	}
	if groups == nil && IsType(owner) {
		return every
	}
	return groups
}

// Composed reports whether values of a type are put together from elements that people change one by one. All other data types say one
// thing with all their elements: a quantity with its unit, a code with its display, the start and the end of a period, the lines of an
// address.
func Composed(typ string) bool {
	switch typ {
	case "", "HumanName", "Identifier", "CodeableConcept", "Meta", "Extension", "ContactDetail", "ElementDefinition":
		return true
	}
	return strings.Contains(typ, ".") && !strings.HasPrefix(typ, "Timing.") && !strings.HasPrefix(typ, "Dosage.") || IsType(typ)
}
