package samples

// Code systems by their URIs (FHIR R4 section 4.3.0, Using Code Systems).
const (
	sysLoinc    = "http://loinc.org"
	sysSnomed   = "http://snomed.info/sct"
	sysICD10    = "http://hl7.org/fhir/sid/icd-10"
	sysCVX      = "http://hl7.org/fhir/sid/cvx"
	sysATC      = "http://www.whocc.no/atc"
	sysUcum     = "http://unitsofmeasure.org"
	sysCIEL     = "https://cielterminology.org"
	hl7System   = "http://terminology.hl7.org/CodeSystem/"
	hl7Struct   = "http://hl7.org/fhir/StructureDefinition/"
	sysIDType   = hl7System + "v2-0203"
	sysActCode  = hl7System + "v3-ActCode"
	sysLanguage = "urn:ietf:bcp:47"
)

// coding is one code; a coding without a code is left out where it is written.
type coding struct{ system, code, display string }

func loinc(code, display string) coding  { return coding{sysLoinc, code, display} }
func snomed(code, display string) coding { return coding{sysSnomed, code, display} }
func icd10(code, display string) coding  { return coding{sysICD10, code, display} }
func atc(code, display string) coding    { return coding{sysATC, code, display} }

// ref names a resource generated before, with what people call it.
type ref struct{ target, display string }

// start begins a resource of the given type with its id and meta, and returns the id.
func (g *Generator) start(s *site, kind, profile string) string {
	id := g.r.uuid()
	w := &g.w
	w.b = w.b[:0]
	w.open("")
	w.str("resourceType", kind)
	w.str("id", id)
	w.open("meta")
	w.str("source", s.url)
	if profile != "" {
		w.list("profile")
		w.str("", hl7Struct+profile)
		w.closeList()
	}
	w.list("security")
	w.coding(coding{hl7System + "v3-ActReason", "HTEST", "test health data"})
	w.closeList()
	w.list("tag")
	w.coding(coding{s.url + "/tags", "sample", "Generated sample record, describes no real person"})
	w.closeList()
	w.close()
	return id
}

// finish ends the resource and hands it out.
func (g *Generator) finish(kind, id, display string) ref {
	g.w.close()
	js := make([]byte, len(g.w.b))
	copy(js, g.w.b)
	g.out = append(g.out, Resource{Type: kind, ID: id, JSON: js})
	return ref{kind + "/" + id, display}
}

func (w *writer) coding(c coding) {
	w.open("")
	w.codingFields(c)
	w.close()
}

func (w *writer) codingFields(c coding) {
	w.str("system", c.system)
	w.str("code", c.code)
	w.str("display", c.display)
}

// concept writes a CodeableConcept with the codings that have a code.
func (w *writer) concept(key, text string, codings ...coding) {
	w.open(key)
	if len(codings) > 0 {
		w.list("coding")
		for _, c := range codings {
			if c.code != "" {
				w.coding(c)
			}
		}
		w.closeList()
	}
	if text != "" {
		w.str("text", text)
	}
	w.close()
}

// conceptList writes a list with one CodeableConcept.
func (w *writer) conceptList(key, text string, codings ...coding) {
	w.list(key)
	w.concept("", text, codings...)
	w.closeList()
}

// hl7Code writes a CodeableConcept with one code of HL7's own terminology.
func (w *writer) hl7Code(key, system, code, display string) {
	w.concept(key, "", coding{hl7System + system, code, display})
}

// hl7List writes a list with one CodeableConcept of one code of HL7's own terminology.
func (w *writer) hl7List(key, system, code, display string) {
	w.conceptList(key, "", coding{hl7System + system, code, display})
}

func (w *writer) ref(key string, to ref) {
	w.open(key)
	w.str("reference", to.target)
	w.str("display", to.display)
	w.close()
}

func (w *writer) refList(key string, to ...ref) {
	w.list(key)
	for _, r := range to {
		w.ref("", r)
	}
	w.closeList()
}

// quantity writes value / 10^places of a UCUM unit.
func (w *writer) quantity(key string, value, places int, unit, ucum string) {
	w.open(key)
	w.dec("value", value, places)
	w.str("unit", unit)
	w.str("system", sysUcum)
	w.str("code", ucum)
	w.close()
}

func (w *writer) identifier(use, typeCode, typeName, system, value string, assigner ref) {
	w.open("")
	w.str("use", use)
	w.concept("type", typeName, coding{sysIDType, typeCode, idTypeName(typeCode, typeName)})
	w.str("system", system)
	w.str("value", value)
	if assigner.target != "" {
		w.ref("assigner", assigner)
	}
	w.close()
}

// idTypeName returns the name that HL7 table 0203 gives to a kind of number which countries call by their own names.
func idTypeName(code, local string) string {
	switch code {
	case "NI":
		return "National unique individual identifier"
	case "SB":
		return "Social Beneficiary Identifier"
	case "TAX":
		return "Tax ID number"
	}
	return local
}

func (w *writer) telecom(system, value, use string) {
	w.open("")
	w.str("system", system)
	w.str("value", value)
	w.str("use", use)
	w.close()
}

func (w *writer) period(key, start, end string) {
	w.open(key)
	w.str("start", start)
	if end != "" {
		w.str("end", end)
	}
	w.close()
}

func (w *writer) note(author, at, text string) {
	w.list("note")
	w.open("")
	w.str("authorString", author)
	w.str("time", at)
	w.str("text", text)
	w.close()
	w.closeList()
}
