package samples

// obsKind is a category of observations.
type obsKind struct {
	coding
	prefix string // of the specimen or reading number
}

func vitalSign() obsKind {
	return obsKind{coding{hl7System + "observation-category", "vital-signs", "Vital Signs"}, "VS"}
}

func laboratory() obsKind {
	return obsKind{coding{hl7System + "observation-category", "laboratory", "Laboratory"}, "LB"}
}

// kilos returns the weight in tenths of a kilogram: of children by age, of adults by height and body mass index.
func (p *patient) kilos(g *Generator, day int) int {
	months := (day - p.born) * 12 / 365
	switch {
	case months < 12:
		return g.r.bell(34+5*months+months/3, 5)
	case months < 18*12:
		return g.r.bell(94+22*(months-12)/10, 12) * (p.bmi + 230) / 460
	}
	return g.r.bell(p.bmi*p.height/1000*p.height/1000, 15)
}

// centimetres returns the height in tenths of a centimetre. Children have, at each birthday, about this many thousandths
// of their height as adults (after the medians of the WHO growth references).
func (p *patient) centimetres(day int) int {
	share := [...]int{284, 430, 495, 545, 587, 625, 659, 692, 726, 757, 785, 816, 850, 893, 932, 963, 985, 995, 1000}
	months := max(0, (day-p.born)*12/365)
	year := months / 12
	if year >= len(share)-1 {
		return p.height
	}
	return p.height * (share[year]*12 + (share[year+1]-share[year])*(months%12)) / 12000
}

func (p *patient) suffers(short string) bool {
	for _, c := range p.chronic {
		if c.short == short {
			return true
		}
	}
	return false
}

// vitals writes what the nurse measures before the consultation.
func (g *Generator) vitals(v *visit) {
	p, rows, fever := v.patient, g.cat.vitals, 0
	if v.fever {
		fever = g.r.between(8, 28)
	}
	g.observeNumber(v, &rows[rowTemperature], vitalSign(), "bodytemp", g.r.bell(367, 5)+fever)
	young := max(0, 16-v.age)
	g.observeNumber(v, &rows[rowPulse], vitalSign(), "heartrate", p.pulse+fever+young*3+g.r.bell(0, 7))
	if v.age >= 14 || g.r.chance(15) {
		g.bloodPressure(v)
	}
	weight := p.kilos(g, v.day)
	g.observeNumber(v, &rows[rowWeight], vitalSign(), "bodyweight", weight)
	if v.fever || g.r.chance(25) {
		g.observeNumber(v, &rows[rowBreath], vitalSign(), "resprate", 16+young+fever/4+g.r.bell(0, 3))
		g.observeNumber(v, &rows[rowOxygen], vitalSign(), "oxygensat", min(100, 97-fever/12+g.r.bell(0, 2)))
	}
	if v.age < 18 || g.r.chance(30) {
		height := p.centimetres(v.day)
		g.observeNumber(v, &rows[rowHeight], vitalSign(), "bodyheight", height)
		g.observeNumber(v, &rows[rowBMI], vitalSign(), "bmi", weight*100000/height*10/height)
	}
}

func (g *Generator) bloodPressure(v *visit) {
	systolic := v.systolic + v.age/3 + g.r.bell(0, 9) - max(0, 14-v.age)*2
	if v.suffers("Hypertension") {
		systolic += g.r.between(8, 34)
	}
	systolic = min(max(systolic, g.cat.systolic.min), g.cat.systolic.max)
	diastolic := min(max(systolic*5/8+g.r.bell(2, 6), g.cat.diastolic.min), g.cat.diastolic.max)
	w := &g.w
	id := g.startObservation(v, &g.cat.bp, vitalSign(), "bp", decimal(systolic, 0), "/", decimal(diastolic, 0), " mmHg, sitting, left arm")
	w.concept("bodySite", "Left upper arm", snomed("368208006", "Left upper arm structure"))
	w.concept("method", "Automated cuff")
	w.list("component")
	for i, t := range [...]*test{&g.cat.systolic, &g.cat.diastolic} {
		value := [...]int{systolic, diastolic}[i]
		w.open("")
		w.concept("code", t.short, t.code, t.also, coding{sysCIEL, t.ciel, t.short})
		w.quantity("valueQuantity", value, 0, t.unit, t.ucum)
		w.interpretation(value, t)
		w.referenceRange(t)
		w.close()
	}
	w.closeList()
	g.finish("Observation", id, g.cat.bp.short)
}

// observeNumber writes one measured value, brought into what is possible.
func (g *Generator) observeNumber(v *visit, t *test, kind obsKind, profile string, value int) ref {
	w := &g.w
	value = min(max(value, t.min), t.max)
	id := g.startObservation(v, t, kind, profile, decimal(value, t.places), " ", t.unit)
	w.quantity("valueQuantity", value, t.places, t.unit, t.ucum)
	if t.high > 0 && (v.age >= 12 || kind == laboratory()) {
		w.interpretation(value, t)
		w.referenceRange(t)
	}
	return g.finish("Observation", id, t.short+" "+decimal(value, t.places)+" "+t.unit)
}

// observePresence writes a result that is there or not.
func (g *Generator) observePresence(v *visit, t *test, positive bool) ref {
	result, flag, flagName := t.positive, "POS", "Positive"
	if !positive {
		flag, flagName = "NEG", "Negative"
		result = snomed("260415000", "Not detected")
		if t.positive.code == "10828004" {
			result = snomed("260385009", "Negative")
		}
	}
	w := &g.w
	id := g.startObservation(v, t, laboratory(), "", result.display)
	w.concept("valueCodeableConcept", result.display, result)
	w.conceptList("interpretation", flagName, coding{hl7System + "v3-ObservationInterpretation", flag, flagName})
	return g.finish("Observation", id, t.short+" "+result.display)
}

// startObservation writes all that stands before the value and the common rest.
func (g *Generator) startObservation(v *visit, t *test, kind obsKind, profile string, value ...string) string {
	w, s := &g.w, v.site
	minute := g.r.between(2, 12)
	at, issued := v.later(minute), v.later(minute+g.r.between(1, 4))
	by, remark := v.by, *pick(&g.r, g.cat.bedside)
	if kind == laboratory() {
		issued = v.later(minute + g.r.between(40, 300))
		remark = *pick(&g.r, g.cat.bench)
	}
	number := kind.prefix + g.r.fill("-@#######")
	id := g.start(s, "Observation", profile)
	w.narrative(t.short)
	w.row("Patient", v.patient.ref.display, ", ", decimal(v.age, 0), " years, ", v.gender)
	w.row("Result", value...)
	w.row("Test", t.code.display, " (LOINC ", t.code.code, ")")
	w.row("Taken", at)
	w.row("Reported", issued)
	w.row("By", by.display, ", ", s.name)
	w.endNarrative("")
	w.list("identifier")
	w.identifier("official", "FILL", "Filler Identifier", s.url+"/identifiers/result", number, s.clinic)
	w.closeList()
	w.str("status", "final")
	w.conceptList("category", kind.display, kind.coding)
	w.concept("code", t.short, t.code, t.also, coding{sysCIEL, t.ciel, t.short})
	w.ref("subject", v.patient.ref)
	w.ref("encounter", v.ref)
	w.str("effectiveDateTime", at)
	w.str("issued", issued)
	w.refList("performer", by, s.clinic)
	w.note(by.display, issued, remark)
	return id
}

func (w *writer) interpretation(value int, t *test) {
	code, name := "N", "Normal"
	switch {
	case value < t.low:
		code, name = "L", "Low"
	case value > t.high:
		code, name = "H", "High"
	}
	w.conceptList("interpretation", name, coding{hl7System + "v3-ObservationInterpretation", code, name})
}

func (w *writer) referenceRange(t *test) {
	w.list("referenceRange")
	w.open("")
	w.quantity("low", t.low, t.places, t.unit, t.ucum)
	w.quantity("high", t.high, t.places, t.unit, t.ucum)
	w.hl7Code("type", "referencerange-meaning", "normal", "Normal Range")
	w.str("text", decimal(t.low, t.places)+" to "+decimal(t.high, t.places)+" "+t.unit)
	w.close()
	w.closeList()
}

// laboratory writes the results of a panel and the report that names them.
func (g *Generator) laboratory(v *visit, p *panel) {
	var results [8]ref
	list := results[:0]
	odd := 22
	if v.reason.chronic {
		odd = 40
	}
	abnormal := 0
	for i := range p.tests {
		t := &p.tests[i]
		if t.positive.code != "" {
			positive := g.r.chance(odd)
			if positive {
				abnormal++
			}
			list = append(list, g.observePresence(v, t, positive))
			continue
		}
		value := g.r.bell((t.low+t.high)/2, (t.high-t.low)*6/10)
		if g.r.chance(odd) {
			value = g.r.between(t.high, t.high+(t.max-t.high)/2)
			if g.r.chance(50) && t.low > t.min {
				value = g.r.between(t.min+(t.low-t.min)/2, t.low)
			}
		}
		if value < t.low || value > t.high {
			abnormal++
		}
		list = append(list, g.observeNumber(v, t, laboratory(), "", value))
	}
	g.report(v, p, list, abnormal)
}

func (g *Generator) report(v *visit, p *panel, results []ref, abnormal int) {
	w, s := &g.w, v.site
	issued := v.later(g.r.between(330, 420))
	conclusion := "All results of the " + p.short + " are within the reference range. No further test needed on this account."
	if abnormal > 0 {
		conclusion = decimal(abnormal, 0) + " of " + decimal(len(results), 0) + " results of the " + p.short + " lie outside the reference range or are positive. To be judged together with the findings of the visit for " + v.reason.short + "."
	}
	number := g.r.fill("DR-@#######")
	id := g.start(s, "DiagnosticReport", "")
	w.narrative(p.short + ", report")
	w.row("Patient", v.patient.ref.display)
	w.row("Panel", p.code.display, " (LOINC ", p.code.code, ")")
	for _, r := range results {
		w.row("Result", r.display)
	}
	w.row("Reported", issued)
	w.endNarrative(conclusion)
	w.list("identifier")
	w.identifier("official", "FILL", "Filler Identifier", s.url+"/identifiers/report", number, s.clinic)
	w.closeList()
	w.str("status", "final")
	w.conceptList("category", "Laboratory", coding{hl7System + "v2-0074", "LAB", "Laboratory"})
	w.concept("code", p.short, p.code)
	w.ref("subject", v.patient.ref)
	w.ref("encounter", v.ref)
	w.str("effectiveDateTime", v.when)
	w.str("issued", issued)
	w.refList("performer", s.clinic)
	w.refList("resultsInterpreter", v.by)
	w.refList("result", results...)
	w.str("conclusion", conclusion)
	g.finish("DiagnosticReport", id, p.short)
}
