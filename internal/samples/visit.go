package samples

// visit is an encounter with what its records share.
type visit struct {
	*patient
	day    int
	at     int64  // start, in seconds
	when   string // start
	ref    ref
	by     ref
	reason *illness // nil: a check-up
	fever  bool
	age    int
}

func (g *Generator) newVisit(p *patient, day int) *visit {
	v := &visit{patient: p, day: day, at: p.site.opening(g, day), by: *pick(&g.r, p.site.staff), age: p.years(day)}
	v.when = p.site.moment(v.at)
	return v
}

// later returns the moment some minutes after the start of the visit.
func (v *visit) later(minutes int) string { return v.site.moment(v.at + int64(minutes)*60) }

// visits writes the encounters after infancy, oldest first, each with all that belongs to it. Those with a chronic
// condition come every three months or so, others when they fall ill.
func (g *Generator) visits(p *patient) {
	count, gap := g.r.between(1, 3), 260
	if len(p.chronic) > 0 {
		count, gap = g.r.between(2, 5), 95
	}
	for i := count; i > 0; i-- {
		day := g.today - 1 - (i-1)*gap - g.r.n(gap*3/4)
		if day <= p.born+10 {
			continue
		}
		v := g.newVisit(p, day)
		switch {
		case len(p.chronic) > 0 && g.r.chance(80):
			v.reason = *pick(&g.r, p.chronic)
		case g.r.chance(88):
			v.reason = &illness{condition: g.acute(v)}
			v.fever = v.reason.fever
		}
		g.encounter(v)
		g.treat(v)
	}
}

// acute chooses a condition of the region and the age.
func (g *Generator) acute(v *visit) *condition {
	for {
		c := &g.cat.conditions[*pick(&g.r, g.cat.acuteRows)]
		if v.mayHave(c, v.age) && g.r.n(18) < c.weight {
			return c
		}
	}
}

func (g *Generator) treat(v *visit) {
	firstTime := v.reason != nil && v.reason.ref.target == ""
	if firstTime {
		g.condition(v)
	}
	g.vitals(v)
	if v.reason != nil {
		for i, row := range v.reason.panelRows {
			if i == 0 || g.r.chance(50) {
				g.laboratory(v, &g.cat.panels[row])
			}
		}
		for i, row := range v.reason.drugsRows {
			if d := &g.cat.drugs[row]; (v.age >= 12 || d.childDose > 0) && (i == 0 || g.r.chance(55)) {
				g.prescription(v, d)
			}
		}
		if firstTime && v.reason.chronic {
			g.carePlan(v)
		}
	}
	if v.age >= 18 && g.r.chance(20) {
		g.immunization(v, &g.cat.vaccines[*pick(&g.r, g.cat.annual)], 1, 1)
	}
	if g.r.chance(75) {
		g.document(v)
	}
	if g.r.chance(35) {
		g.communication(v)
	}
}

// infancy writes the vaccination visits of a child, at the ages of the schedule.
func (g *Generator) infancy(p *patient) {
	for _, age := range [...]int{1, 44, 72, 101, 280, 550} {
		day := p.born + age
		if day >= g.today || !g.r.chance(93) {
			continue
		}
		v := g.newVisit(p, day)
		g.encounter(v)
		for i := range g.cat.vaccines {
			vac := &g.cat.vaccines[i]
			for n, due := range vac.doses {
				if due == age {
					g.immunization(v, vac, n+1, len(vac.doses))
				}
			}
		}
		if age > 1 {
			g.observeNumber(v, &g.cat.vitals[rowWeight], vitalSign(), "bodyweight", p.kilos(g, day))
			g.observeNumber(v, &g.cat.vitals[rowHead], vitalSign(), "headcircum", 355+35*min(age, 550)/180)
		}
	}
}

func (g *Generator) encounter(v *visit) {
	w, s := &g.w, v.site
	minutes := g.r.between(15, 75)
	class := coding{sysActCode, "AMB", "ambulatory"}
	urgency := coding{hl7System + "v3-ActPriority", "R", "routine"}
	if v.fever && g.r.chance(15) {
		class, urgency = coding{sysActCode, "EMER", "emergency"}, coding{hl7System + "v3-ActPriority", "UR", "urgent"}
	}
	kind, why := snomed("185349003", "Encounter for check up"), "Check-up"
	if v.reason != nil {
		why = v.reason.complaint
		kind = snomed("185345009", "Encounter for symptom")
		if v.reason.chronic {
			kind = snomed("390906007", "Follow-up encounter")
		}
	}
	end := v.later(minutes)
	number := g.r.fill("V-@######")
	id := g.start(s, "Encounter", "")
	w.narrative(kind.display + ", " + date(v.day))
	w.row("Patient", v.patient.ref.display, ", ", decimal(v.age, 0), " years, ", v.gender)
	w.row("From", v.when)
	w.row("Until", end)
	w.row("Reason", why)
	w.row("Seen by", v.by.display)
	w.row("Place", s.ward.display)
	w.row("Visit number", number)
	w.endNarrative("Registered at the front desk, weighed and measured by the nurse, then seen in the consulting room. Left with written advice and the date of the next visit on the card.")
	w.list("identifier")
	w.identifier("official", "VN", "Visit number", s.url+"/identifiers/visit", number, s.clinic)
	w.closeList()
	w.str("status", "finished")
	w.list("statusHistory")
	for i, state := range [...]string{"arrived", "in-progress"} {
		w.open("")
		w.str("status", state)
		w.period("period", v.later(i*10-10), v.later(i*minutes))
		w.close()
	}
	w.closeList()
	w.open("class")
	w.codingFields(class)
	w.close()
	w.conceptList("type", kind.display, kind, snomed("308335008", "Patient encounter procedure"))
	w.concept("serviceType", "General practice", coding{hl7System + "service-type", "124", "General Practice"})
	w.concept("priority", "", urgency)
	w.ref("subject", v.patient.ref)
	w.list("participant")
	w.open("")
	w.conceptList("type", "", coding{hl7System + "v3-ParticipationType", "PPRF", "primary performer"})
	w.period("period", v.when, end)
	w.ref("individual", v.by)
	w.close()
	w.closeList()
	w.period("period", v.when, end)
	w.quantity("length", minutes, 0, "min", "min")
	if v.reason != nil {
		w.conceptList("reasonCode", why, v.reason.code, v.reason.icd)
	} else {
		w.conceptList("reasonCode", why, icd10("Z00.0", "General medical examination"))
	}
	w.list("location")
	for i, room := range [...]ref{s.building, s.ward} {
		w.open("")
		w.ref("location", room)
		w.str("status", "completed")
		w.period("period", v.later(i*10-10), end)
		w.close()
	}
	w.closeList()
	w.ref("serviceProvider", s.clinic)
	v.ref = g.finish("Encounter", id, why+", "+date(v.day))
}
