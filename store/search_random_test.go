package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/search"
)

// dice makes resources and searches from few values, so that most searches find something.
type dice struct{ *rand.Rand }

func (d dice) of(texts ...string) string { return texts[d.IntN(len(texts))] }

func (d dice) date() string {
	return d.of("2023", "2024", "2024-01", "2024-02", "2024-02-03", "2024-02-04", "2024-02-03T10:00:00Z", "2024-02-03T10:00:00.250+02:00", "2024-03-01", "1999-12-31")
}

func (d dice) period() string {
	switch d.IntN(3) {
	case 0:
		return fmt.Sprintf(`{"start":"%s"}`, d.date())
	case 1:
		return fmt.Sprintf(`{"end":"%s"}`, d.date())
	default:
		return fmt.Sprintf(`{"start":"%s","end":"%s"}`, d.of("2022", "2023-05", "2024-02-03"), d.of("2024", "2024-02-03", "2024-05"))
	}
}

func (d dice) id(prefix string) string { return fmt.Sprintf("%s%d", prefix, d.IntN(8)) }

func (d dice) reference(types ...string) string {
	t := d.of(types...)
	switch d.IntN(9) {
	case 0:
		return fmt.Sprintf(`{"reference":"https://h.example/fhir/%s/%s"}`, t, d.id("r"))
	case 1:
		return fmt.Sprintf(`{"reference":"%s/%s/_history/3"}`, t, d.id("r"))
	case 2:
		return fmt.Sprintf(`{"type":"%s","identifier":{"system":"urn:s%d","value":"v%d"}}`, t, d.IntN(3), d.IntN(4))
	case 3:
		return `{"reference":"` + d.of("urn:uuid:1", "#c", t+"?identifier=a|b") + `"}`
	default:
		return fmt.Sprintf(`{"reference":"%s/%s"}`, t, d.id("r"))
	}
}

func (d dice) identifiers() string {
	return fmt.Sprintf(`"identifier":[{"system":"urn:s%d","value":"v%d"},{"value":"w%d"},{"system":"urn:only%d"}]`, d.IntN(3), d.IntN(4), d.IntN(4), d.IntN(3))
}

func (d dice) concept() string {
	return fmt.Sprintf(`{"coding":[{"system":"urn:c%d","code":"k%d"},{"code":"k%d"}]}`, d.IntN(2), d.IntN(4), d.IntN(6))
}

func (d dice) name() string {
	return fmt.Sprintf(`{"family":"%s","given":["%s","%s"]}`, d.of("O'Brien", "Müller", "de la Cruz", "Kaya", "Łukasz", strings.Repeat("long ", 12)+"name", strings.Repeat("long ", 12)+"other"),
		d.of("Anna", "Ánna", "Jean-Luc", "Zoë"), d.of("Maria", "X", "李"))
}

func (d dice) resource(t, id string) string {
	var m []string
	add := func(text string) {
		if d.IntN(4) > 0 {
			m = append(m, text)
		}
	}
	add(d.identifiers())
	switch t {
	case "Patient":
		add(`"name":[` + d.name() + `,` + d.name() + `]`)
		add(`"gender":"` + d.of("male", "female", "other") + `"`)
		add(`"birthDate":"` + d.of("1980", "1980-05", "1980-05-06", "2001-01-01") + `"`)
		add(`"active":` + d.of("true", "false"))
		add(`"telecom":[{"system":"phone","value":"+1 (555) 010` + d.of("1", "2") + `"},{"system":"email","value":"A@b.example"}]`)
		add(`"address":[{"line":["12 Main Street"],"city":"` + d.of("Nairobi", "Kraków") + `"}]`)
		add(`"managingOrganization":` + d.reference("Organization"))
	case "Organization":
		add(`"name":"` + d.of("Clinic North", "North Hospital", "Ñandú") + `"`)
		add(`"type":[` + d.concept() + `]`)
	case "Encounter":
		add(`"status":"` + d.of("planned", "finished") + `"`)
		add(`"subject":` + d.reference("Patient", "Group"))
		add(`"period":` + d.period())
		add(`"type":[` + d.concept() + `,` + d.concept() + `]`)
		add(`"serviceProvider":` + d.reference("Organization"))
	case "Observation":
		add(`"status":"` + d.of("final", "amended") + `"`)
		add(`"subject":` + d.reference("Patient", "Group"))
		add(`"encounter":` + d.reference("Encounter"))
		add(`"code":` + d.concept())
		add(`"category":[` + d.concept() + `]`)
		add(d.of(`"effectiveDateTime":"`+d.date()+`"`, `"effectivePeriod":`+d.period(), `"effectiveTiming":{"event":["`+d.date()+`","`+d.date()+`"]}`))
		add(fmt.Sprintf(`"valueQuantity":{"value":%s,"unit":"%s","system":"http://unitsofmeasure.org","code":"%s"}`, d.of("5.4", "5.35", "5.45", "-3", "0", "100"), d.of("mg", "g"), d.of("mg", "g")))
		add(`"performer":[` + d.reference("Practitioner", "Organization") + `]`)
	}
	return fmt.Sprintf(`{"resourceType":"%s","id":"%s"%s}`, t, id, strings.Join(append([]string{""}, m...), ","))
}

func (d dice) term(t string) string {
	prefix := d.of("", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")
	token := func() string {
		return d.of("k1", "k2", "urn:c1|k1", "urn:c0|k2", "|k3", "urn:c1|", "k1,k2", "urn:c0|k1,|k2,k5", "nothing")
	}
	identifier := func() string {
		return d.of("v1", "w2", "urn:s1|v1", "urn:s2|", "urn:only1|", "|w1", "v1,w1", "urn:s0|v0,urn:s1|v2", "|v1")
	}
	reference := func(types ...string) string {
		r := d.of(types...)
		return d.of(d.id("r"), r+"/"+d.id("r"), "https://h.example/fhir/"+r+"/"+d.id("r"), d.id("r")+","+r+"/"+d.id("r"), "urn:uuid:1", r+"?identifier=a%7Cb")
	}
	text := func() string {
		return d.of("ann", "anna", "obrien", "O'B", "muller", "cruz", "de la c", "lukasz", "luc", "李", "long long", strings.Repeat("long ", 12)+"na", strings.Repeat("long ", 12)+"o", "north")
	}
	common := []string{
		"_id=" + d.id("r") + "," + d.id("r"), "_lastUpdated=" + prefix + "2024-02-29", "_lastUpdated=ge2024-02-28T10:00:00Z",
		"identifier=" + identifier(), "identifier:not=" + identifier(), "identifier:missing=" + d.of("true", "false"),
	}
	own := map[string][]string{
		"Patient": {
			"name=" + text(), "family=" + text(), "given=" + text(), "name:exact=" + d.of("Anna", "anna", "Müller", strings.Repeat("long ", 12)+"name"), "name:contains=" + d.of("nn", "rie", "ng lo"),
			"gender=" + d.of("male", "female,other"), "gender:not=male", "birthdate=" + prefix + d.of("1980", "1980-05", "1980-05-06", "2000"), "active=" + d.of("true", "false"),
			"phone=" + d.of("+1-555-0101", "+15550102", "a@b.example"), "email=a@B.example", "telecom=phone%7C%2B15550101", "address=" + d.of("nair", "krakow", "12 main"),
			"organization=" + reference("Organization"), "organization.name=" + d.of("north", "clinic", "nandu"), "general-practitioner:missing=true", "organization.identifier=" + identifier(),
			"_has:Observation:patient:code=" + token(), "_has:Encounter:patient:date=" + prefix + "2024-02", "_has:Observation:patient:status:not=final", "_has:Encounter:patient:_id=" + d.id("r"),
			"phone:missing=" + d.of("true", "false"), "organization:identifier=" + identifier(), "organization:missing=" + d.of("true", "false"),
		},
		"Organization": {
			"name=" + d.of("north", "clin", "hosp", "nandu"), "type=" + token(), "name:missing=true", "_has:Patient:organization:gender=" + d.of("male", "female"),
		},
		"Encounter": {
			"status=" + d.of("planned", "planned,finished", "urn:any|finished"), "status:not=planned", "patient=" + reference("Patient"), "subject=" + reference("Patient", "Group"), "subject:Group=" + d.id("r"),
			"date=" + prefix + d.date(), "date=" + prefix + d.date(), "type=" + token(), "type:not=" + token(), "patient.name=" + d.of("anna", "cruz"), "patient.gender:not=male", "subject:Patient.birthdate=" + prefix + "1980",
			"patient:missing=" + d.of("true", "false"), "service-provider.name=" + d.of("north", "clin"), "subject:identifier=" + identifier(), "patient._id=" + d.id("r"), "patient._lastUpdated=ge2024-02-28T12:00:00Z",
		},
		"Observation": {
			"code=" + token(), "category=" + token(), "status=final", "date=" + prefix + d.date(), "date=" + prefix + d.date() + "," + prefix + d.date(), "value-quantity=" + prefix + d.of("5.4", "5.40", "-3", "0", "1e2"),
			"value-quantity=" + prefix + "5.4" + d.of("||mg", "|http://unitsofmeasure.org|mg", "|urn:other|mg", "||g"), "patient=" + reference("Patient"), "encounter=" + reference("Encounter"),
			"performer=" + reference("Practitioner", "Organization"), "patient.identifier=" + identifier(), "encounter.status=planned", "encounter.date=" + prefix + "2024", "code:missing=" + d.of("true", "false"),
			"value-quantity:missing=true", "performer:Organization.name=north", "date:missing=" + d.of("true", "false"),
		},
	}
	return d.of(append(common, append(own[t], own[t]...)...)...)
}

// Whatever is searched for, the database answers what Match answers for each resource, in the order that was asked for, page by page.
func TestSearchAnswersAsMatchDoesAtRandom(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newSearchWorld(t, driver, dsn)
		seed := uint64(7)
		d := dice{rand.New(rand.NewPCG(seed, 1))}
		types := []string{"Patient", "Organization", "Encounter", "Observation"}
		for range 5 {
			bodies := map[fhir.Key]string{}
			for _, rt := range types {
				for n := range 40 {
					k := fhir.Key{Type: rt, ID: fmt.Sprintf("r%d", n)}
					switch d.IntN(8) {
					case 0:
						bodies[k] = ""
					case 1, 2, 3, 4:
						bodies[k] = d.resource(rt, k.ID)
					}
				}
			}
			w.put(bodies)
			w.now = w.now.Add(10 * time.Hour)
		}
		empty := 0
		const rounds = 700
		for n := range rounds {
			rt := d.of(types...)
			var some []string
			for range 1 + d.IntN(3) {
				some = append(some, d.term(rt))
			}
			sorts := search.Sorts(rt)
			sort := ""
			if d.IntN(2) == 0 {
				sort = "&_sort=" + d.of("", "-") + sorts[d.IntN(len(sorts))]
			}
			query := strings.Join(some, "&") + sort + fmt.Sprintf("&_count=%d&_total=accurate", 1+d.IntN(30))
			q := parse(t, rt, query)
			w.st.SetFew([]int{1000, 12, 1}[n%3]) // so that each way to read is gone
			want := w.matching(q)
			got, first := w.walk(rt, query)
			if sort == "" || q.Sort.By == search.SortDate || q.Sort.By == search.SortName {
				w.inOrder(query, q, got)
				slices.Sort(got)
				slices.Sort(want)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("round %d: %s?%s: got %v, want %v", n, rt, query, got, want)
			}
			if !first.Counted || first.Total != int64(len(want)) {
				t.Fatalf("round %d: %s?%s: total %d (%v), want %d", n, rt, query, first.Total, first.Counted, len(want))
			}
			if len(want) == 0 {
				empty++
			}
		}
		if empty > rounds/2 {
			t.Errorf("%d of %d searches found nothing: they say little", empty, rounds)
		}
	})
}

// inOrder holds ids against the order by a value, in which equal ones may stand in any order.
func (w *searchWorld) inOrder(query string, q search.Query, ids []string) {
	w.t.Helper()
	last, none := "", false
	for i, id := range ids {
		k := fhir.Key{Type: q.Type, ID: id}
		key := w.sortKey(q, k)
		bad := key != "" && none || i > 0 && key != "" && (key < last) != q.Sort.Desc && key != last
		if q.Sort.Param != 0 && bad {
			w.t.Errorf("%s: %s stands behind what comes after it", query, k)
		}
		last, none = key, key == ""
	}
}
