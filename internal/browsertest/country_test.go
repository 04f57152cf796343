package browsertest_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/samples"
)

// The records by which a country has something to look at.
const (
	deferred = "AllergyIntolerance/5d0c3f64-3c0e-4c8a-9d0b-6b1d7e2f4a10" // edited at two clinics: a person has to decide
	settled  = "Patient/0e7b2a51-9f34-4d0c-8a76-2b6c1d3e4f58"            // edited at two clinics: merged
	dangling = "Encounter/7c1de2f0-55aa-4b1c-8a01-c0ffee000001"          // refers to a patient whom nobody sent yet
	awaited  = "Patient/7c1de2f0-55aa-4b1c-8a01-c0ffee000002"            // whom it refers to
	tooLarge = "DocumentReference/7c1de2f0-55aa-4b1c-8a01-c0ffee000003"  // more than the district takes
)

// country is a nation with one district and three clinics after four weeks of work: two of them in touch, one cut off for two days; a
// conflict that was decided and one that waits for a person, something that the district refused, and something that waits for a record.
type country struct {
	*network
	nation, district, lake, hill, island *running
}

func newCountry(t *testing.T) *country {
	w := &country{network: newNetwork(t)}
	const past = 28 * 24 * time.Hour
	w.clock.setBack(past)
	small := func(c *config.Config) { c.Limits.Resource = 128 << 10 }
	w.nation = w.add("nation", "", small)
	w.district = w.add("district", "nation", small)
	w.lake = w.add("clinic-lake", "district", nil)
	w.hill = w.add("clinic-hill", "district", func(c *config.Config) { c.References = config.HoldReferences })
	w.island = w.add("clinic-island", "district", nil)

	clinics := []*running{w.lake, w.hill, w.island}
	titles := []string{"Lakeside Health Centre", "Hillside Clinic", "Island Dispensary"}
	makers := make([]*samples.Generator, len(clinics))
	for i, c := range clinics {
		makers[i] = samples.New(samples.Config{Seed: 8, Region: samples.Regions()[0], Clinic: titles[i]})
		c.save(makers[i].Base())
	}
	w.lake.put(patient(settled, "+255 700 000 001", "1 Market Road"))
	w.lake.put(allergy(deferred, "Penicillin", "low"))
	for _, step := range []time.Duration{9, 7, 5, 3, 2} { // days; clinic-island is cut off before the last two
		w.clock.pass(step * 24 * time.Hour)
		w.island.cable.cut.Store(step == 2)
		for i, c := range clinics {
			if last := c.save(makers[i].Patient()); !c.cable.cut.Load() {
				w.arrived(last)
			}
		}
	}
	for range 5 {
		w.clock.pass(5 * time.Hour)
		w.arrived(w.lake.save(makers[0].Patient()))
	}
	w.quarrel()
	w.clock.pass(4 * time.Hour)
	w.district.put(encounter(dangling, awaited))
	w.lake.put(record{
		"resourceType": "DocumentReference", "id": id(tooLarge), "status": "current",
		"content": []any{record{"attachment": record{"contentType": "image/png", "data": strings.Repeat("AAAA", 40<<10)}}},
	})
	w.until("clinic-lake and clinic-hill have parked something", func() bool {
		return len(w.lake.parked()) == 1 && len(w.hill.parked()) == 1
	})
	w.clock.arrive()
	w.arrived(w.lake.save(makers[0].Patient()))
	return w
}

// quarrel edits two records at two clinics before one knows of the other, and waits until the district has met both.
func (w *country) quarrel() {
	w.t.Helper()
	w.rival(patient(settled, "+255 700 000 002", "1 Market Road"), patient(settled, "+255 700 000 001", "27 Harbour Street"))
	w.rival(allergy(deferred, "Penicillin V", "high"), allergy(deferred, "Amoxicillin", "low"))
}

// rival has clinic-lake and clinic-hill write two copies of a record before one knows of the other's, and waits until the district
// has found the conflict.
func (w *country) rival(lake, hill record) {
	w.t.Helper()
	key := lake["resourceType"].(string) + "/" + lake["id"].(string)
	known := len(w.district.conflicts(control.ConflictQuery{}))
	w.lake.cable.cut.Store(true)
	w.lake.put(lake)
	w.clock.pass(20 * time.Minute)
	w.hill.put(hill)
	w.until("the nation has what clinic-hill wrote", func() bool { return same(w.nation.get(key), w.hill.get(key)) })
	w.lake.cable.cut.Store(false)
	w.lake.sync()
	w.until("the district found the conflict", func() bool { return len(w.district.conflicts(control.ConflictQuery{})) == known+1 })
	w.lake.sync()
}

// inTouch returns the nodes whose link to the parent is not cut.
func (w *country) inTouch() []*running {
	var out []*running
	for _, n := range []*running{w.nation, w.district, w.lake, w.hill, w.island} {
		if !n.cable.cut.Load() {
			out = append(out, n)
		}
	}
	return out
}

// arrived waits until all nodes that are in touch have these records.
func (w *country) arrived(keys ...string) {
	w.t.Helper()
	for _, key := range keys {
		for _, n := range w.inTouch() {
			w.until(n.name+" has "+key, func() bool { return n.get(key) != nil })
		}
	}
}

func (r *running) parked() []control.Parked {
	r.t.Helper()
	list, err := r.Control().Parked(context.Background(), control.ParkedQuery{})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func (r *running) audit(q audit.Query) []audit.Record {
	r.t.Helper()
	list, err := r.Control().Audit(context.Background(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// silent returns the names of the nodes below of which nothing was heard for too long, sorted.
func (r *running) silent() []string {
	r.t.Helper()
	n, err := r.Control().Network(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, s := range n.Silent {
		out = append(out, s.Name)
	}
	slices.Sort(out)
	return out
}

func (r *running) conflicts(q control.ConflictQuery) []control.Conflict {
	r.t.Helper()
	list, err := r.Control().Conflicts(context.Background(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// sync runs a pass each way now.
func (r *running) sync() {
	r.t.Helper()
	if _, err := r.Sync(context.Background(), control.Both); err != nil {
		r.t.Fatalf("%s: %v", r.name, err)
	}
}

// save writes generated resources in one transaction and returns the key of the last.
func (r *running) save(set []samples.Resource) string {
	r.t.Helper()
	bodies, keys := make([][]byte, len(set)), make([]string, len(set))
	for i, s := range set {
		bodies[i], keys[i] = s.JSON, s.Type+"/"+s.ID
	}
	r.transaction(bodies, keys)
	return keys[len(keys)-1]
}

// same reports whether two nodes answer with one version of a record.
func same(a, b record) bool {
	return a != nil && b != nil && a["meta"].(map[string]any)["versionId"] == b["meta"].(map[string]any)["versionId"]
}

func id(key string) string {
	k, err := fhir.ParseKey(key)
	if err != nil {
		panic(err)
	}
	return k.ID
}

func patient(key, phone, street string) record {
	return record{
		"resourceType": "Patient", "id": id(key), "active": true, "gender": "female", "birthDate": "1991-04-02",
		"name":    []any{record{"use": "official", "family": "Mwakasege", "given": []any{"Neema"}}},
		"telecom": []any{record{"system": "phone", "use": "mobile", "value": phone}},
		"address": []any{record{"use": "home", "line": []any{street}, "city": "Mbeya"}},
	}
}

func encounter(key, subject string) record {
	return record{"resourceType": "Encounter", "id": id(key), "status": "finished", "class": record{"code": "AMB"}, "subject": record{"reference": subject}}
}

func allergy(key, substance, criticality string) record {
	return record{
		"resourceType": "AllergyIntolerance", "id": id(key), "criticality": criticality,
		"clinicalStatus": record{"coding": []any{record{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}}},
		"code":           record{"text": substance},
		"patient":        record{"reference": settled},
		"reaction":       []any{record{"manifestation": []any{record{"text": "Urticaria"}}}},
	}
}
