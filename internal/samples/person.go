package samples

// human is what a name and an address are written from.
type human struct {
	*region
	given, middle, family, mother name
	gender                        string
}

func (g *Generator) human(reg *region, male bool) human {
	list, gender := reg.female, "female"
	if male {
		list, gender = reg.male, "male"
	}
	return human{
		region: reg, given: *pick(&g.r, list), middle: *pick(&g.r, list), gender: gender,
		family: *pick(&g.r, reg.family), mother: *pick(&g.r, reg.family),
	}
}

func (p *human) familyName() string {
	if p.twoFamilies {
		return p.family.latin + " " + p.mother.latin
	}
	return p.family.latin
}

func (p *human) full() string { return p.given.latin + " " + p.familyName() }

// names writes the element name: the official name, and the name in the own script where there is one.
func (g *Generator) names(p *human) {
	w := &g.w
	w.list("name")
	w.open("")
	w.str("use", "official")
	w.str("text", p.full())
	w.str("family", p.familyName())
	if p.twoFamilies {
		// FHIR R4 extensions humanname-fathers-family and humanname-mothers-family.
		w.open("_family")
		w.list("extension")
		w.extension("humanname-fathers-family", "valueString", p.family.latin)
		w.extension("humanname-mothers-family", "valueString", p.mother.latin)
		w.closeList()
		w.close()
	}
	w.list("given")
	w.str("", p.given.latin)
	if p.middle.latin != p.given.latin {
		w.str("", p.middle.latin)
	}
	w.closeList()
	w.close()
	if p.given.local != "" {
		w.open("")
		w.str("use", "usual")
		w.str("text", p.given.local+" "+p.family.local)
		w.str("family", p.family.local)
		w.list("given")
		w.str("", p.given.local)
		w.closeList()
		w.close()
	}
	w.closeList()
}

// extension writes an extension of FHIR R4 itself with a string-like value.
func (w *writer) extension(name, kind, value string) {
	w.open("")
	w.str("url", hl7Struct+name)
	w.str(kind, value)
	w.close()
}

func (g *Generator) address(reg *region, at *place, use string) {
	g.w.key("")
	g.addressValue(reg, at, use)
}

// addressValue writes an Address after its key. FHIR R4 extension geolocation gives the position of the town, moved by
// up to two kilometres.
func (g *Generator) addressValue(reg *region, at *place, use string) {
	w := &g.w
	street, house := *pick(&g.r, reg.streets), g.r.fill(reg.house)
	line := street + " " + house
	if reg.houseFirst {
		line = house + " " + street
	}
	w.b = append(w.b, '{')
	w.list("extension")
	w.open("")
	w.list("extension")
	w.open("")
	w.str("url", "latitude")
	w.dec("valueDecimal", at.lat+g.r.between(-200, 200), 4)
	w.close()
	w.open("")
	w.str("url", "longitude")
	w.dec("valueDecimal", at.lon+g.r.between(-200, 200), 4)
	w.close()
	w.closeList()
	w.str("url", hl7Struct+"geolocation")
	w.close()
	w.closeList()
	w.str("use", use)
	w.str("type", "both")
	w.str("text", line+", "+at.postal+" "+at.city+", "+reg.name)
	w.list("line")
	w.str("", line)
	w.closeList()
	if reg.country == "DE" {
		// FHIR R4 extensions iso21090-ADXP-streetName and -houseNumber take the line apart.
		w.list("_line")
		w.open("")
		w.list("extension")
		w.extension("iso21090-ADXP-streetName", "valueString", street)
		w.extension("iso21090-ADXP-houseNumber", "valueString", house)
		w.closeList()
		w.close()
		w.closeList()
	}
	w.str("city", at.city)
	w.str("state", at.state)
	w.str("postalCode", at.postal)
	w.str("country", reg.country)
	w.close()
}
