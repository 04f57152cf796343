package samples

// site is one clinic with the people who work there.
type site struct {
	*region
	name, url             string
	place                 *place
	clinic, authority     ref
	building, ward, lab   ref
	staff                 []ref // practitioners
	patients              int   // record numbers given out
	recordPrefix, mrnName string
}

func (g *Generator) addSite(reg *region, clinic string) {
	s := &site{region: reg, name: clinic, place: pick(&g.r, reg.places)}
	if g.mixed {
		s.name = clinic + ", " + s.place.city
	}
	s.url = "https://" + slug(s.name) + ".example.org"
	s.recordPrefix = reg.country + g.r.fill("-###-")
	s.mrnName = s.url + "/identifiers/record-number"
	s.authority = g.organization(s, "Health Authority of "+s.place.state, "govt", "Government", ref{})
	s.clinic = g.organization(s, s.name, "prov", "Healthcare Provider", s.authority)
	s.building = g.location(s, s.name, "bu", "Building", coding{hl7System + "v3-RoleCode", "PC", "Primary care clinic"}, ref{})
	s.ward = g.location(s, "Consulting rooms, "+s.name, "wa", "Ward", coding{hl7System + "v3-RoleCode", "HOSP", "Hospital"}, s.building)
	s.lab = g.location(s, "Laboratory, "+s.name, "ro", "Room", coding{hl7System + "v3-RoleCode", "MBL", "medical laboratory"}, s.building)
	for _, job := range []struct{ title, code, display, degree, letters string }{
		{"Clinical officer", "309343006", "Physician", "MD", "Doctor of Medicine"},
		{"Doctor", "309343006", "Physician", "MD", "Doctor of Medicine"},
		{"Nurse", "106292003", "Professional nurse", "RN", "Registered Nurse"},
		{"Midwife", "309453006", "Registered midwife", "CNM", "Certified Nurse Midwife"},
	} {
		s.staff = append(s.staff, g.practitioner(s, job.title, snomed(job.code, job.display), job.degree, job.letters))
	}
	g.sites = append(g.sites, s)
}

func (g *Generator) organization(s *site, title, kind, kindName string, parent ref) ref {
	w := &g.w
	id := g.start(s, "Organization", "")
	phone, number := g.r.fill(s.landline), g.r.fill("@#####")
	w.narrative(title)
	w.row("Kind", kindName)
	w.row("Facility number", number)
	w.row("Town", s.place.city, ", ", s.place.state, ", ", s.region.name)
	w.row("Telephone", phone)
	w.row("Open", "Monday to Friday 08:00 to 17:00, emergencies at any hour")
	w.endNarrative("Listed in the facility register of " + s.region.name + ". Serves the people of " + s.place.city + " and the villages around it with outpatient care, maternity care, a laboratory and a dispensary.")
	w.list("identifier")
	w.identifier("official", "FI", "Facility ID", "https://facilities.example.org/"+s.region.key, number, ref{})
	w.identifier("usual", "XX", "Organization identifier", s.url+"/identifiers/organisation", slug(title), ref{})
	w.closeList()
	w.raw("active", "true")
	w.conceptList("type", kindName, coding{hl7System + "organization-type", kind, kindName})
	w.str("name", title)
	w.list("alias")
	w.str("", title+" ("+s.country+")")
	w.closeList()
	w.list("telecom")
	w.telecom("phone", phone, "work")
	w.telecom("email", "office@"+slug(title)+".example.org", "work")
	w.telecom("url", s.url, "work")
	w.closeList()
	w.list("address")
	g.address(s.region, s.place, "work")
	w.closeList()
	if parent.target != "" {
		w.ref("partOf", parent)
	}
	w.list("contact")
	w.open("")
	w.hl7Code("purpose", "contactentity-type", "ADMIN", "Administrative")
	w.open("name")
	w.str("text", "Registry office, "+title)
	w.close()
	w.list("telecom")
	w.telecom("phone", g.r.fill(s.landline), "work")
	w.closeList()
	w.close()
	w.closeList()
	return g.finish("Organization", id, title)
}

func (g *Generator) location(s *site, title, form, formName string, kind coding, parent ref) ref {
	w := &g.w
	id := g.start(s, "Location", "")
	w.narrative(title)
	w.row("Form", formName)
	w.row("Use", kind.display)
	w.row("Run by", s.clinic.display)
	w.row("Town", s.place.city, ", ", s.place.state)
	w.row("Position", decimal(s.place.lat, 4), ", ", decimal(s.place.lon, 4))
	w.endNarrative("Reached on foot from the market in ten minutes. Has running water, a generator for the vaccine refrigerator and a ramp for wheelchairs.")
	w.list("identifier")
	w.identifier("official", "FI", "Facility ID", s.url+"/identifiers/location", g.r.fill("L-####"), s.clinic)
	w.closeList()
	w.str("status", "active")
	w.str("name", title)
	w.list("alias")
	w.str("", formName+" "+g.r.fill("@#")+" of "+s.name)
	w.closeList()
	w.str("description", title+", "+s.place.city+", "+s.place.state)
	w.str("mode", "instance")
	w.conceptList("type", kind.display, kind)
	w.list("telecom")
	w.telecom("phone", g.r.fill(s.landline), "work")
	w.closeList()
	g.w.key("address")
	g.addressValue(s.region, s.place, "work")
	w.hl7Code("physicalType", "location-physical-type", form, formName)
	w.open("position")
	w.dec("longitude", s.place.lon, 4)
	w.dec("latitude", s.place.lat, 4)
	w.close()
	w.ref("managingOrganization", s.clinic)
	if parent.target != "" {
		w.ref("partOf", parent)
	}
	w.list("hoursOfOperation")
	w.open("")
	w.list("daysOfWeek")
	for _, d := range [...]string{"mon", "tue", "wed", "thu", "fri"} {
		w.str("", d)
	}
	w.closeList()
	w.str("openingTime", "08:00:00")
	w.str("closingTime", "17:00:00")
	w.close()
	w.closeList()
	return g.finish("Location", id, title)
}

// practitioner writes a Practitioner and the PractitionerRole that binds them to the clinic.
func (g *Generator) practitioner(s *site, title string, job coding, degree, degreeName string) ref {
	w := &g.w
	p := g.human(s.region, g.r.chance(50))
	full := p.full()
	license, since := g.r.fill("??-#####"), g.today-g.r.between(800, 9000)
	born := since - g.r.between(24*366, 30*366)
	id := g.start(s, "Practitioner", "")
	w.narrative(full)
	w.row("Profession", title, " (", job.display, ")")
	w.row("Licence", license, ", since ", date(since))
	w.row("Works at", s.clinic.display)
	w.row("Languages", s.langName, ", ", s.secondName)
	w.endNarrative("Registered with the council of " + s.region.name + " and employed by " + s.authority.display + ".")
	w.list("identifier")
	w.identifier("official", "MD", "Medical License number", "https://councils.example.org/"+s.region.key, license, s.authority)
	w.identifier("usual", "EI", "Employee number", s.url+"/identifiers/staff", g.r.fill("S####"), s.clinic)
	w.closeList()
	w.raw("active", "true")
	g.names(&p)
	w.list("telecom")
	w.telecom("phone", g.r.fill(s.mobile), "work")
	w.telecom("email", slug(full)+"@"+s.url[len("https://"):], "work")
	w.closeList()
	w.list("address")
	g.address(s.region, s.place, "home")
	w.closeList()
	w.str("gender", p.gender)
	w.str("birthDate", date(born))
	w.list("qualification")
	w.open("")
	w.list("identifier")
	w.identifier("official", "MD", "Medical License number", "https://councils.example.org/"+s.region.key, license, ref{})
	w.closeList()
	w.concept("code", degreeName, coding{hl7System + "v2-0360", degree, degreeName})
	w.period("period", date(since), "")
	w.ref("issuer", s.authority)
	w.close()
	w.closeList()
	w.list("communication")
	w.concept("", "", coding{sysLanguage, s.language, s.langName})
	w.concept("", "", coding{sysLanguage, s.second, s.secondName})
	w.closeList()
	who := g.finish("Practitioner", id, full)
	g.role(s, who, title, job, since)
	return who
}

func (g *Generator) role(s *site, who ref, title string, job coding, since int) {
	w := &g.w
	id := g.start(s, "PractitionerRole", "")
	w.narrative(who.display + ", " + title)
	w.row("Organisation", s.clinic.display)
	w.row("Place", s.ward.display)
	w.row("Since", date(since))
	w.row("Hours", "Monday to Friday, 08:00 to 16:30, on call every fourth weekend")
	w.endNarrative("Sees people of all ages who come without an appointment, and those who are booked for review on weekdays in the afternoon.")
	w.list("identifier")
	w.identifier("usual", "EI", "Employee number", s.url+"/identifiers/role", g.r.fill("R####"), s.clinic)
	w.closeList()
	w.raw("active", "true")
	w.period("period", date(since), "")
	w.ref("practitioner", who)
	w.ref("organization", s.clinic)
	w.conceptList("code", title, job)
	w.conceptList("specialty", "General medical practice", snomed("408443003", "General medical practice"))
	w.refList("location", s.building, s.ward)
	w.list("telecom")
	w.telecom("phone", g.r.fill(s.landline), "work")
	w.closeList()
	w.list("availableTime")
	w.open("")
	w.list("daysOfWeek")
	for _, d := range [...]string{"mon", "tue", "wed", "thu", "fri"} {
		w.str("", d)
	}
	w.closeList()
	w.str("availableStartTime", "08:00:00")
	w.str("availableEndTime", "16:30:00")
	w.close()
	w.closeList()
	w.list("notAvailable")
	w.open("")
	w.str("description", "Public holidays of "+s.region.name)
	w.close()
	w.closeList()
	w.str("availabilityExceptions", "Emergencies are seen at any hour by the person on call.")
	g.finish("PractitionerRole", id, who.display+", "+title)
}
