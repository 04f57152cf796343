package samples

func (g *Generator) condition(v *visit) {
	w, s, c := &g.w, v.site, v.reason
	// A chronic illness that is met for the first time here may be known from elsewhere for years.
	c.since = v.day - g.r.between(1, 6)
	status, statusName, verified, verifiedName := "resolved", "Resolved", "confirmed", "Confirmed"
	if c.chronic {
		c.since = v.day - g.r.n(max(1, min(v.day-v.born, 5*365)))
		if c.plan == "Antenatal care" {
			c.since = v.day - g.r.between(40, 80)
		}
		status, statusName = "active", "Active"
	} else if g.r.chance(25) {
		verified, verifiedName = "provisional", "Provisional"
	}
	number := g.r.fill("PR-@######")
	id := g.start(s, "Condition", "")
	w.narrative(c.code.display)
	w.row("Patient", v.patient.ref.display, ", ", decimal(v.age, 0), " years, ", v.gender)
	w.row("Codes", "SNOMED CT ", c.code.code, ", ICD-10 ", c.icd.code, " ", c.icd.display)
	w.row("State", statusName, ", ", verifiedName)
	w.row("Since", date(c.since))
	w.row("Recorded", v.when, " by ", v.by.display)
	w.row("Complaint", c.complaint)
	w.endNarrative(c.finding + " " + c.advice)
	w.list("identifier")
	w.identifier("usual", "RI", "Resource identifier", s.url+"/identifiers/problem", number, s.clinic)
	w.closeList()
	w.hl7Code("clinicalStatus", "condition-clinical", status, statusName)
	w.hl7Code("verificationStatus", "condition-ver-status", verified, verifiedName)
	if c.chronic {
		w.hl7List("category", "condition-category", "problem-list-item", "Problem List Item")
	} else {
		w.hl7List("category", "condition-category", "encounter-diagnosis", "Encounter Diagnosis")
	}
	w.concept("severity", "Moderate", snomed("6736007", "Moderate"))
	w.concept("code", c.short, c.code, c.icd)
	w.ref("subject", v.patient.ref)
	w.ref("encounter", v.ref)
	w.str("onsetDateTime", date(c.since))
	if !c.chronic {
		w.str("abatementDateTime", date(min(v.day+g.r.between(3, 12), g.today)))
	}
	w.str("recordedDate", v.when)
	w.ref("recorder", v.by)
	w.ref("asserter", v.by)
	w.note(v.by.display, v.when, c.complaint+". "+c.finding+" "+c.advice)
	c.ref = g.finish("Condition", id, c.short)
}

func (g *Generator) prescription(v *visit, d *drug) {
	w, s := &g.w, v.site
	dose := d.dose
	if v.age < 12 {
		dose = d.childDose
	}
	status, until := "completed", v.day+d.days
	if until >= g.today {
		status = "active"
	}
	times := d.days * 24 / d.everyHours
	sig := decimal(dose, 0) + " " + d.unit + " every " + decimal(d.everyHours, 0) + " hours for " + decimal(d.days, 0) + " days"
	number := g.r.fill("RX-@#######")
	id := g.start(s, "MedicationRequest", "")
	w.narrative(d.name)
	w.row("Patient", v.patient.ref.display, ", ", decimal(v.age, 0), " years, ", v.gender)
	w.row("Dose", sig)
	w.row("Route", d.route.display)
	w.row("For", v.reason.short)
	w.row("Written", v.when, " by ", v.by.display)
	w.row("Refills", decimal(d.refills, 0))
	w.endNarrative(d.advice)
	w.list("identifier")
	w.identifier("official", "PLAC", "Placer Identifier", s.url+"/identifiers/prescription", number, s.clinic)
	w.closeList()
	w.str("status", status)
	w.str("intent", "order")
	w.hl7List("category", "medicationrequest-category", "outpatient", "Outpatient")
	w.str("priority", "routine")
	w.concept("medicationCodeableConcept", d.name, d.code, d.also)
	w.ref("subject", v.patient.ref)
	w.ref("encounter", v.ref)
	w.str("authoredOn", v.when)
	w.ref("requester", v.by)
	w.conceptList("reasonCode", v.reason.short, v.reason.code, v.reason.icd)
	w.refList("reasonReference", v.reason.ref)
	w.note(v.by.display, v.when, d.advice+" Explained to "+v.patient.ref.display+" and repeated back.")
	w.list("dosageInstruction")
	w.open("")
	w.num("sequence", 1)
	w.str("text", sig+", as "+d.form+", the dose measured as shown")
	w.str("patientInstruction", d.advice)
	w.open("timing")
	w.open("repeat")
	w.period("boundsPeriod", date(v.day), date(until))
	w.num("frequency", 1)
	w.num("period", d.everyHours)
	w.str("periodUnit", "h")
	w.close()
	w.close()
	w.raw("asNeededBoolean", "false")
	w.concept("route", "", d.route)
	w.list("doseAndRate")
	w.open("")
	w.hl7Code("type", "dose-rate-type", "ordered", "Ordered")
	w.quantity("doseQuantity", dose, 0, d.unit, d.ucum)
	w.close()
	w.closeList()
	w.close()
	w.closeList()
	w.open("dispenseRequest")
	w.period("validityPeriod", date(v.day), date(v.day+d.days*(d.refills+1)))
	w.num("numberOfRepeatsAllowed", d.refills)
	if d.quantUoM == "{inhaler}" || d.quantUoM == "{tube}" {
		times = 1
	}
	w.quantity("quantity", times, 0, d.quantity, d.quantUoM)
	w.quantity("expectedSupplyDuration", d.days, 0, "days", "d")
	w.ref("performer", s.clinic)
	w.close()
	w.open("substitution")
	w.raw("allowedBoolean", "true")
	w.close()
	g.finish("MedicationRequest", id, d.name)
}

// immunization writes dose number n of a series of so many.
func (g *Generator) immunization(v *visit, vac *vaccine, n, of int) {
	w, s := &g.w, v.site
	at, lot := v.later(g.r.between(10, 20)), g.r.fill("??####?")
	site, route, siteText := coding{hl7System + "v3-ActSite", "LA", "left arm"}, coding{hl7System + "v3-RouteOfAdministration", "IM", "Injection, intramuscular"}, "Left arm"
	if v.age < 2 {
		site, siteText = coding{hl7System + "v3-ActSite", "LT", "left thigh"}, "Left thigh"
	}
	if vac.oral {
		route = coding{hl7System + "v3-RouteOfAdministration", "PO", "Swallow, oral"}
	}
	id := g.start(s, "Immunization", "")
	w.narrative("Vaccination: " + vac.code.display)
	w.row("Patient", v.patient.ref.display, ", born ", date(v.born))
	w.row("Vaccine", vac.code.display, " (CVX ", vac.code.code, "), lot ", lot)
	w.row("Dose", decimal(n, 0), " of ", decimal(of, 0), ", ", decimal(vac.dose, 1), " mL")
	w.row("Given", at, " by ", v.by.display)
	w.row("Protects against", vac.disease.display)
	w.endNarrative("Written into the vaccination card. Observed for fifteen minutes without reaction. The vial monitor was at stage one and the refrigerator log complete.")
	w.list("identifier")
	w.identifier("usual", "RI", "Resource identifier", s.url+"/identifiers/vaccination", g.r.fill("VC-@######"), s.clinic)
	w.closeList()
	w.str("status", "completed")
	w.concept("vaccineCode", vac.code.display, vac.code, vac.also)
	w.ref("patient", v.patient.ref)
	w.ref("encounter", v.ref)
	w.str("occurrenceDateTime", at)
	w.str("recorded", v.later(25))
	w.raw("primarySource", "true")
	w.ref("location", s.ward)
	w.str("lotNumber", lot)
	w.str("expirationDate", date(v.day+g.r.between(60, 600)))
	if !vac.oral {
		w.concept("site", siteText, site)
	}
	w.concept("route", "", route)
	w.quantity("doseQuantity", vac.dose, 1, "mL", "mL")
	w.list("performer")
	w.open("")
	w.hl7Code("function", "v2-0443", "AP", "Administering Provider")
	w.ref("actor", v.by)
	w.close()
	w.closeList()
	w.note(v.by.display, at, "No fever, no known allergy to an earlier dose. The parent or patient was told what to expect and when to come back.")
	w.raw("isSubpotent", "false")
	w.hl7Code("fundingSource", "immunization-funding-source", "public", "Public")
	w.list("protocolApplied")
	w.open("")
	w.str("series", vac.series)
	w.ref("authority", s.authority)
	w.conceptList("targetDisease", vac.disease.display, vac.disease)
	w.num("doseNumberPositiveInt", n)
	w.num("seriesDosesPositiveInt", of)
	w.close()
	w.closeList()
	g.finish("Immunization", id, vac.code.display)
}

// carePlan writes the plan for a chronic condition, with its goal contained.
func (g *Generator) carePlan(v *visit) {
	w, s, c := &g.w, v.site, v.reason
	number := g.r.fill("CP-@#####")
	id := g.start(s, "CarePlan", "")
	w.narrative(c.plan)
	w.row("Patient", v.patient.ref.display)
	w.row("For", c.short)
	w.row("Begun", date(v.day), " by ", v.by.display)
	w.row("What to do", c.advice)
	w.endNarrative("Agreed with " + v.patient.ref.display + " and looked at again at every visit.")
	w.list("contained")
	w.open("")
	w.str("resourceType", "Goal")
	w.str("id", "goal")
	w.str("lifecycleStatus", "active")
	w.concept("description", c.short+" under control and no unplanned admission within a year")
	w.ref("subject", v.patient.ref)
	w.str("startDate", date(v.day))
	w.list("target")
	w.open("")
	w.str("dueDate", date(v.day+365))
	w.close()
	w.closeList()
	w.close()
	w.closeList()
	w.list("identifier")
	w.identifier("usual", "RI", "Resource identifier", s.url+"/identifiers/plan", number, s.clinic)
	w.closeList()
	w.str("status", "active")
	w.str("intent", "plan")
	w.conceptList("category", c.plan, snomed("734163000", "Care plan"))
	w.str("title", c.plan)
	w.str("description", c.plan+" for "+v.patient.ref.display+". "+c.advice)
	w.ref("subject", v.patient.ref)
	w.ref("encounter", v.ref)
	w.period("period", date(v.day), "")
	w.str("created", v.when)
	w.ref("author", v.by)
	w.refList("contributor", v.by, s.clinic)
	w.refList("addresses", c.ref)
	w.list("goal")
	w.open("")
	w.str("reference", "#goal")
	w.close()
	w.closeList()
	w.list("activity")
	for _, step := range [...]struct {
		code   coding
		status string
		text   string
	}{
		{snomed("311401005", "Patient education"), "completed", "First talk about the condition, with a leaflet in " + s.langName},
		{snomed("229065009", "Exercise therapy"), "in-progress", "Walk half an hour on five days of the week, as far as the condition allows"},
		{snomed("390906007", "Follow-up encounter"), "scheduled", "Visit every three months with examination, refill and laboratory tests"},
	} {
		w.open("")
		w.open("detail")
		w.concept("code", step.code.display, step.code)
		w.str("status", step.status)
		w.raw("doNotPerform", "false")
		w.period("scheduledPeriod", date(v.day), date(v.day+365))
		w.ref("location", s.ward)
		w.refList("performer", v.by)
		w.str("description", step.text)
		w.close()
		w.close()
	}
	w.closeList()
	w.note(v.by.display, v.when, c.advice)
	g.finish("CarePlan", id, c.plan)
}
