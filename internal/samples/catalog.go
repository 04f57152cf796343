package samples

// catalog holds the coded knowledge that records are made of. It is built for each generator and never written after.
type catalog struct {
	vitals      []test
	bp          test
	systolic    test
	diastolic   test
	panels      []panel
	drugs       []drug
	conditions  []condition
	vaccines    []vaccine
	allergens   []allergen
	reactions   []coding
	bedside     []string // remarks on readings
	bench       []string // remarks on laboratory results
	annual      []int    // vaccines, by index, given to adults at ordinary visits
	chronicRows []int    // conditions, by index, that stay
	acuteRows   []int
	antenatal   int
}

// test is something measured or looked for. Numbers are value * 10^places.
type test struct {
	code       coding // LOINC
	also       coding // SNOMED CT, may be empty
	ciel       string // concept number of the CIEL dictionary, may be empty
	short      string
	places     int
	low, high  int // reference range
	min, max   int // what is possible
	unit, ucum string
	positive   coding // set: the result is present or absent, this code when present
}

// panel is a group of tests reported together.
type panel struct {
	code  coding
	short string
	tests []test
}

type drug struct {
	code               coding // ATC
	also               coding // SNOMED CT substance, may be empty
	name, form         string
	dose               int
	unit, ucum         string
	everyHours         int
	days, refills      int
	route              coding
	advice             string
	childDose          int // 0: not for children under 12
	quantity, quantUoM string
}

type condition struct {
	code, icd            coding
	short                string
	chronic              bool
	regions              string // keys of the regions where it occurs, "" everywhere
	sex                  string
	minAge, maxAge       int
	weight               int
	panels, drugs        []string // short names and ATC codes
	complaint            string
	finding, advice      string
	fever                bool
	plan                 string // title of the care plan of a chronic condition
	panelRows, drugsRows []int
}

type vaccine struct {
	code, also coding // CVX, ATC
	series     string
	disease    coding // SNOMED CT
	doses      []int  // ages in days
	dose       int    // tenths of a millilitre
	oral       bool
}

type allergen struct {
	code     coding // SNOMED CT
	short    string
	category string
}

func newCatalog() catalog {
	c := catalog{
		vitals: vitalSigns(), panels: panels(), drugs: drugs(), conditions: conditions(), vaccines: vaccines(), allergens: allergens(),
		bp:        test{code: loinc("85354-9", "Blood pressure panel with all children optional"), also: snomed("75367002", "Blood pressure"), short: "Blood pressure"},
		systolic:  test{code: loinc("8480-6", "Systolic blood pressure"), also: snomed("271649006", "Systolic blood pressure"), ciel: "5085", short: "Systolic blood pressure", low: 90, high: 139, min: 70, max: 230, unit: "mmHg", ucum: "mm[Hg]"},
		diastolic: test{code: loinc("8462-4", "Diastolic blood pressure"), also: snomed("271650006", "Diastolic blood pressure"), ciel: "5086", short: "Diastolic blood pressure", low: 60, high: 89, min: 40, max: 130, unit: "mmHg", ucum: "mm[Hg]"},
		reactions: []coding{
			snomed("247472004", "Wheal"), snomed("271807003", "Eruption of skin"), snomed("39579001", "Anaphylaxis"), snomed("418290006", "Itching"),
			snomed("49727002", "Cough"), snomed("267036007", "Dyspnea"), snomed("126485001", "Urticaria"), snomed("41291007", "Angioedema"),
		},
	}
	c.bedside = []string{
		"Measured at rest by the nurse after five minutes of sitting, with the instrument of the consulting room that was checked this month.",
		"Taken in the waiting area before the consultation. The value was read aloud to the patient and entered at once.",
		"Second reading, the first was discarded because the patient had just walked in. Both are in the paper register.",
		"Taken with the hand-held device; its battery and display were in order. Entered by the nurse, seen by the clinician.",
	}
	c.bench = []string{
		"Analysed in the laboratory of the clinic from a sample taken on the same day. Control samples were within limits.",
		"Sample complete and correctly labelled. The result was checked by a second person before it was released.",
		"Run in the afternoon batch after calibration. Nothing unusual about the sample; the rest is kept cold for two days.",
		"Repeated once because the first run was flagged by the analyser; both runs agreed. Released by the technician on duty.",
	}
	for i := range c.conditions {
		row := &c.conditions[i]
		switch {
		case row.short == "Pregnancy":
			c.antenatal = i
		case row.chronic:
			c.chronicRows = append(c.chronicRows, i)
		default:
			c.acuteRows = append(c.acuteRows, i)
		}
		for _, name := range row.panels {
			row.panelRows = append(row.panelRows, find(c.panels, func(p panel) bool { return p.short == name }))
		}
		for _, code := range row.drugs {
			row.drugsRows = append(row.drugsRows, find(c.drugs, func(d drug) bool { return d.code.code == code }))
		}
	}
	for i := range c.vaccines {
		if len(c.vaccines[i].doses) == 0 {
			c.annual = append(c.annual, i)
		}
	}
	return c
}

func find[T any](rows []T, want func(T) bool) int {
	for i := range rows {
		if want(rows[i]) {
			return i
		}
	}
	panic("bug: samples: the catalog names a row that it does not have")
}
