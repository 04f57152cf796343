package samples

// patient is the person whose record is being written.
type patient struct {
	human
	*site
	ref             ref
	born            int // day
	home            *place
	height, bmi     int // of the adult, in tenths
	pulse, systolic int
	chronic         []*illness
	doctor          ref
	smoker          bool
}

// illness is a condition that this patient has.
type illness struct {
	*condition
	ref   ref
	since int
}

// years returns the patient's age on a day.
func (p *patient) years(day int) int {
	by, bm, bd := civil(p.born)
	y, m, d := civil(day)
	if m < bm || m == bm && d < bd {
		y--
	}
	return y - by
}

// patient writes the whole record of the next patient.
func (g *Generator) patient() {
	s := *pick(&g.r, g.sites)
	p := &patient{human: g.human(s.region, g.r.chance(45)), site: s, home: pick(&g.r, s.places), doctor: *pick(&g.r, s.staff)}
	if g.r.chance(60) {
		p.home = s.place
	}
	// One in four is a child under six, as in the registers of primary care clinics.
	if g.r.chance(25) {
		p.born = g.today - g.r.between(20, 6*365)
	} else {
		p.born = g.today - g.r.between(6*365, 45*365) - g.r.between(0, 45*365)
	}
	p.height, p.bmi = g.r.bell(1610, 130), g.r.bell(s.weight, 70)
	if p.gender == "male" {
		p.height += 90
	}
	p.pulse, p.systolic = g.r.bell(74, 14), g.r.bell(109, 16)
	p.smoker = g.r.chance(14)
	age := p.years(g.today)
	for _, i := range g.cat.chronicRows {
		// The chance grows over the span of ages in which the condition starts.
		if c := &g.cat.conditions[i]; p.mayHave(c, age) && g.r.n(100) < c.weight*(age-c.minAge+12)/40 && len(p.chronic) < 3 {
			p.chronic = append(p.chronic, &illness{condition: c})
		}
	}
	if c := &g.cat.conditions[g.cat.antenatal]; p.mayHave(c, age) && g.r.chance(18) {
		p.chronic = append(p.chronic, &illness{condition: c})
	}
	g.writePatient(p)
	if g.r.chance(22) {
		g.allergy(p)
	}
	if age < 6 {
		g.infancy(p)
	}
	g.visits(p)
}

func (p *patient) mayHave(c *condition, age int) bool {
	return age >= c.minAge && age <= c.maxAge && (c.sex == "" || c.sex == p.gender) && p.site.has(c)
}

// has says whether the condition occurs in the site's region.
func (s *site) has(c *condition) bool {
	if c.regions == "" {
		return true
	}
	for rest := c.regions; rest != ""; {
		if len(rest) >= len(s.key) && rest[:len(s.key)] == s.key {
			return true
		}
		rest = rest[1:]
	}
	return false
}

func (g *Generator) writePatient(p *patient) {
	w, s, full, age := &g.w, p.site, p.full(), p.years(g.today)
	s.patients++
	record := s.recordPrefix + decimal(100000+s.patients, 0)
	phone := g.r.fill(s.mobile)
	id := g.start(s, "Patient", "")
	w.narrative(full)
	w.row("Record number", record)
	w.row("Born", date(p.born), ", ", p.gender)
	w.row("Lives in", p.home.city, ", ", p.home.state, ", ", s.region.name)
	w.row("Telephone", phone)
	w.row("Speaks", s.langName)
	w.row("Cared for by", p.doctor.display, ", ", s.clinic.display)
	w.endNarrative("")
	w.list("extension")
	w.open("")
	w.str("url", hl7Struct+"patient-birthPlace")
	w.open("valueAddress")
	birthplace := pick(&g.r, s.places)
	w.str("city", birthplace.city)
	w.str("state", birthplace.state)
	w.str("country", s.country)
	w.close()
	w.close()
	w.extension("patient-mothersMaidenName", "valueString", p.mother.latin)
	w.closeList()
	w.list("identifier")
	w.identifier("usual", "MR", "Medical record number", s.mrnName, record, s.clinic)
	for i := range s.ids {
		if kind := &s.ids[i]; age >= 18 && g.r.chance(kind.percent) || kind.code == "SB" && g.r.chance(kind.percent) {
			value := g.r.fill(kind.pattern)
			if kind.check != nil {
				value = kind.check(value)
			}
			w.identifier("official", kind.code, kind.name, kind.system, value, ref{})
		}
	}
	w.closeList()
	w.raw("active", "true")
	g.names(&p.human)
	w.list("telecom")
	w.telecom("phone", phone, "mobile")
	if age >= 16 && g.r.chance(40) {
		w.telecom("email", slug(full)+g.r.fill("##")+"@mail.example", "home")
	}
	w.closeList()
	w.str("gender", p.gender)
	w.str("birthDate", date(p.born))
	if age < 6 {
		// FHIR R4 extension patient-birthTime, on the birth date itself.
		w.open("_birthDate")
		w.list("extension")
		w.extension("patient-birthTime", "valueDateTime", s.moment(int64(p.born)*daySeconds+int64(12*3600-s.offset*60+g.r.between(-600, 600)*60)))
		w.closeList()
		w.close()
	}
	w.raw("deceasedBoolean", "false")
	w.list("address")
	g.address(s.region, p.home, "home")
	w.closeList()
	switch {
	case age < 16:
		w.hl7Code("maritalStatus", "v3-MaritalStatus", "S", "Never Married")
	case g.r.chance(60):
		w.hl7Code("maritalStatus", "v3-MaritalStatus", "M", "Married")
	case g.r.chance(40):
		w.hl7Code("maritalStatus", "v3-MaritalStatus", "W", "Widowed")
	default:
		w.hl7Code("maritalStatus", "v3-MaritalStatus", "S", "Never Married")
	}
	w.raw("multipleBirthBoolean", "false")
	g.nextOfKin(p, age)
	w.list("communication")
	w.open("")
	w.concept("language", s.langName, coding{sysLanguage, s.language, s.langName})
	w.raw("preferred", "true")
	w.close()
	if g.r.chance(50) {
		w.open("")
		w.concept("language", s.secondName, coding{sysLanguage, s.second, s.secondName})
		w.close()
	}
	w.closeList()
	w.refList("generalPractitioner", p.doctor)
	w.ref("managingOrganization", s.clinic)
	p.ref = g.finish("Patient", id, full)
}

func (g *Generator) nextOfKin(p *patient, age int) {
	w := &g.w
	kin := g.human(p.site.region, g.r.chance(40))
	kin.family = p.family
	w.list("contact")
	w.open("")
	if age < 16 {
		kin.gender = "female"
		kin.given = *pick(&g.r, p.site.female)
		w.conceptList("relationship", "Mother", coding{hl7System + "v3-RoleCode", "MTH", "mother"}, coding{hl7System + "v2-0131", "N", "Next-of-Kin"})
	} else {
		w.conceptList("relationship", "Next of kin", coding{hl7System + "v2-0131", "N", "Next-of-Kin"})
	}
	w.open("name")
	w.str("use", "official")
	w.str("text", kin.full())
	w.str("family", kin.familyName())
	w.list("given")
	w.str("", kin.given.latin)
	w.closeList()
	w.close()
	w.list("telecom")
	w.telecom("phone", g.r.fill(p.site.mobile), "mobile")
	w.closeList()
	w.str("gender", kin.gender)
	w.close()
	w.closeList()
}

func (g *Generator) allergy(p *patient) {
	w, s := &g.w, p.site
	a, reaction := pick(&g.r, g.cat.allergens), *pick(&g.r, g.cat.reactions)
	found := p.born + g.r.n(max(1, g.today-p.born))
	level, severity := "low", "mild"
	if reaction.code == "39579001" || reaction.code == "41291007" || reaction.code == "267036007" {
		level, severity = "high", "severe"
	}
	at := s.clock(g, found)
	id := g.start(s, "AllergyIntolerance", "")
	w.narrative(a.code.display)
	w.row("Patient", p.ref.display)
	w.row("Reaction", reaction.display, ", ", severity)
	w.row("Since", date(found))
	w.row("Risk", level)
	w.endNarrative("Entered in the red box on the front of the paper file. Told to " + p.ref.display + " and written on the card that is carried to every visit.")
	w.list("identifier")
	w.identifier("usual", "RI", "Resource identifier", s.url+"/identifiers/allergy", g.r.fill("AL-@######"), s.clinic)
	w.closeList()
	w.hl7Code("clinicalStatus", "allergyintolerance-clinical", "active", "Active")
	w.hl7Code("verificationStatus", "allergyintolerance-verification", "confirmed", "Confirmed")
	w.str("type", "allergy")
	w.list("category")
	w.str("", a.category)
	w.closeList()
	w.str("criticality", level)
	w.concept("code", a.code.display, a.code)
	w.ref("patient", p.ref)
	w.str("onsetDateTime", date(found))
	w.str("recordedDate", at)
	w.ref("recorder", p.doctor)
	w.ref("asserter", p.ref)
	w.str("lastOccurrence", date(found))
	w.note(p.doctor.display, at, "Reacted to "+a.short+" with "+reaction.display+". Advised to avoid it and to tell every health worker before any treatment.")
	w.list("reaction")
	w.open("")
	w.conceptList("manifestation", reaction.display, reaction)
	w.str("description", reaction.display+" after contact with "+a.short)
	w.str("onset", date(found))
	w.str("severity", severity)
	w.close()
	w.closeList()
	g.finish("AllergyIntolerance", id, a.code.display)
}

// clock returns a moment in the opening hours of a day.
func (s *site) clock(g *Generator, day int) string { return s.moment(s.opening(g, day)) }

// opening returns the instant, in seconds, of some minute between 08:00 and 16:00 local winter time.
func (s *site) opening(g *Generator, day int) int64 {
	return int64(day)*daySeconds + int64(8*3600+g.r.n(8*60)*60+g.r.n(60)-s.offset*60)
}
