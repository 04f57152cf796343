package samples

import (
	"crypto/sha1" //nolint:gosec // FHIR R4 section 2.24.0.2 prescribes SHA-1 for Attachment.hash.
	"encoding/base64"
)

// document writes the clinician's note as a DocumentReference with the text inside.
func (g *Generator) document(v *visit) {
	w, s := &g.w, v.site
	note := v.text()
	sum := sha1.Sum(note) //nolint:gosec // as above
	written := v.later(g.r.between(80, 200))
	kind := loinc("11506-3", "Progress note")
	if v.reason == nil {
		kind = loinc("34117-2", "History and physical note")
	}
	id := g.start(s, "DocumentReference", "")
	w.narrative(kind.display)
	w.row("Patient", v.patient.ref.display)
	w.row("Visit", v.ref.display)
	w.row("Written", written, " by ", v.by.display)
	w.endNarrative("")
	w.open("masterIdentifier")
	w.str("system", s.url+"/identifiers/document")
	w.str("value", g.r.fill("DOC-@########"))
	w.close()
	w.str("status", "current")
	w.str("docStatus", "final")
	w.concept("type", kind.display, kind)
	w.conceptList("category", "Clinical note", coding{"http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical Note"})
	w.ref("subject", v.patient.ref)
	w.str("date", written)
	w.refList("author", v.by)
	w.ref("authenticator", v.by)
	w.ref("custodian", s.clinic)
	w.str("description", kind.display+" of "+date(v.day))
	w.conceptList("securityLabel", "", coding{hl7System + "v3-Confidentiality", "N", "normal"})
	w.list("content")
	w.open("")
	w.open("attachment")
	w.str("contentType", "text/plain; charset=utf-8")
	w.str("language", "en")
	w.key("data")
	w.b = append(w.b, '"')
	w.b = base64.StdEncoding.AppendEncode(w.b, note)
	w.b = append(w.b, '"')
	w.num("size", len(note))
	w.key("hash")
	w.b = append(w.b, '"')
	w.b = base64.StdEncoding.AppendEncode(w.b, sum[:])
	w.b = append(w.b, '"')
	w.str("title", kind.display)
	w.str("creation", written)
	w.close()
	w.close()
	w.closeList()
	w.open("context")
	w.refList("encounter", v.ref)
	w.period("period", v.when, written)
	w.ref("sourcePatientInfo", v.patient.ref)
	w.close()
	g.finish("DocumentReference", id, kind.display)
}

// text returns the note as people write it.
func (v *visit) text() []byte {
	complaint, finding, advice := "Routine check-up, no complaint", "General condition good. Heart, lungs and abdomen without finding.", "Come back in a year, or earlier with any complaint."
	if v.reason != nil {
		complaint, finding, advice = v.reason.complaint, v.reason.finding, v.reason.advice
	}
	b := make([]byte, 0, 900)
	for _, part := range [...]string{
		v.site.name, "\n", v.patient.ref.display, ", ", decimal(v.age, 0), " years, ", v.gender, ", ", v.home.city, "\n", v.when,
		"\n\nSubjective: ", complaint, ".\n\nObjective: ", finding, "\n\nAssessment: ",
	} {
		b = append(b, part...)
	}
	if v.reason != nil {
		b = append(append(b, v.reason.icd.code+" "...), v.reason.icd.display...)
	} else {
		b = append(b, "healthy"...)
	}
	if v.smoker {
		b = append(b, ". Smokes; advised to stop"...)
	}
	for _, c := range v.chronic {
		if c != v.reason && c.ref.target != "" {
			b = append(append(b, ". Also known: "...), c.short...)
		}
	}
	return append(append(append(append(b, ".\n\nPlan: "...), advice...), "\n\n"...), v.by.display...)
}

// communication writes the text message that reminds of the next visit, in the patient's language.
func (g *Generator) communication(v *visit) {
	w, s := &g.w, v.site
	sent := min(v.at+int64(g.r.between(2, 30))*daySeconds, int64(g.today)*daySeconds-3600)
	sent = max(sent, v.at)
	at := s.moment(sent)
	message := s.greeting + " " + v.given.latin + ". " + s.reminder + " " + s.name
	id := g.start(s, "Communication", "")
	w.narrative("Reminder")
	w.row("To", v.patient.ref.display)
	w.row("Sent", at)
	w.row("Language", s.langName)
	w.row("After", v.ref.display)
	w.endNarrative(message)
	w.list("identifier")
	w.identifier("usual", "RI", "Resource identifier", s.url+"/identifiers/message", g.r.fill("MSG-@#######"), s.clinic)
	w.closeList()
	w.str("status", "completed")
	w.hl7List("category", "communication-category", "reminder", "Reminder")
	w.str("priority", "routine")
	w.conceptList("medium", "SMS", coding{hl7System + "v3-ParticipationMode", "WRITTEN", "written"})
	w.ref("subject", v.patient.ref)
	w.concept("topic", "Next visit")
	w.refList("about", v.ref)
	w.ref("encounter", v.ref)
	w.str("sent", at)
	w.str("received", s.moment(sent+int64(g.r.between(3, 40))))
	w.refList("recipient", v.patient.ref)
	w.ref("sender", s.clinic)
	w.list("payload")
	w.open("")
	w.str("contentString", message)
	w.close()
	w.closeList()
	w.note(v.by.display, at, "Sent by the reminder service; the telephone number was confirmed at the visit.")
	g.finish("Communication", id, "Reminder")
}
