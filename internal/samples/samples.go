// Package samples generates realistic clinic records as FHIR R4 JSON: people of several regions with the whole of their
// record, coded with LOINC, SNOMED CT, ICD-10, CVX, ATC and UCUM.
//
// It owns the text of the records and nothing else: it reads no file, clock or network, keeps no state between
// generators, and must not depend on other packages of the project, so that tests of all of them can use it.
//
// It keeps two invariants. The bytes depend on the Config alone and stay the same for ever (whole numbers only, no map
// iteration, the PCG generator). Every reference points to a resource that was generated before, so a reader who
// stops anywhere holds a set without dangling references.
//
// All people, identifiers and telephone numbers are invented; every record carries the security label HTEST.
package samples

import (
	"hash/fnv"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	defaultClinic = "Riverside Health Centre"
	daySeconds    = 24 * 60 * 60
)

// Config says what is generated. Equal values give equal bytes.
type Config struct {
	// Seed chooses the people; any value.
	Seed uint64
	// Region is one of Regions, or "" for clinics and people of all of them.
	Region string
	// Clinic is the name of the clinic's Organization and goes into all ids, so that two clinics with one seed have
	// different people; "" means Riverside Health Centre.
	Clinic string
	// Start is the day on which the records were taken out of the clinic: nothing is dated later. The zero value
	// means 2026-01-01. Only its UTC date counts.
	Start time.Time
}

// Resource is one generated FHIR R4 resource.
type Resource struct {
	// Type and ID are the resource's type and logical id, a version 4 UUID (RFC 9562 section 5.4).
	Type, ID string
	// JSON is the resource as compact JSON; it belongs to the caller.
	JSON []byte
}

// Generator makes the records of one Config. It is not safe for concurrent use; use one for each goroutine.
type Generator struct {
	w     writer
	r     rng
	cat   catalog
	today int
	mixed bool
	base  []Resource
	sites []*site
	out   []Resource
}

// Regions returns the values that Config.Region takes besides "".
func Regions() []string {
	all := regions()
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].key
	}
	return names
}

// New returns a generator that stands before the first patient. cfg.Region must be "" or one of Regions.
func New(cfg Config) *Generator {
	if cfg.Clinic == "" {
		cfg.Clinic = defaultClinic
	}
	if cfg.Start.IsZero() {
		cfg.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	names := fnv.New64a()
	names.Write([]byte(cfg.Region + "\x00" + cfg.Clinic)) // a hash never fails to write
	g := &Generator{cat: newCatalog(), today: int(cfg.Start.Unix() / daySeconds), mixed: cfg.Region == ""}
	g.w.b = make([]byte, 0, 16<<10)
	g.r.seed(cfg.Seed, names.Sum64())
	all := regions()
	for i := range all {
		if cfg.Region == "" || cfg.Region == all[i].key {
			g.addSite(&all[i], cfg.Clinic)
		}
	}
	if len(g.sites) == 0 {
		panic("bug: samples: region is not one of " + strings.Join(Regions(), ", "))
	}
	g.base, g.out = g.out, nil
	// The patients have their own stream of numbers: they stay the same if the base set changes.
	g.r.seed(cfg.Seed, ^names.Sum64())
	return g
}

// Base returns the organisations, locations, practitioners and their roles that all patients refer to. It may be called
// at any time and always returns the same resources.
func (g *Generator) Base() []Resource {
	out := slices.Clone(g.base)
	for i := range out {
		out[i].JSON = slices.Clone(out[i].JSON)
	}
	return out
}

// Patient returns the next patient with the whole record: the Patient first, then everything else in an order in which
// references point only backwards or to Base.
func (g *Generator) Patient() []Resource {
	g.out = make([]Resource, 0, 48)
	g.patient()
	out := g.out
	g.out = nil
	return out
}

// All yields n resources: those of Base, then patient after patient, of whom the last may be cut short. It holds one
// patient in memory.
func All(cfg Config, n int) iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		g := New(cfg)
		left := n
		for set := g.base; left > 0; set = g.Patient() {
			for _, res := range set[:min(left, len(set))] {
				if !yield(res) {
					return
				}
			}
			left -= len(set)
		}
	}
}

// slug returns the letters and digits of name in lower case with single hyphens between, fit for a host name.
func slug(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case c < unicode.MaxASCII && (unicode.IsLetter(c) || unicode.IsDigit(c)):
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := strings.Trim(b.String(), "-")
	if s == "" {
		return "clinic"
	}
	return s[:min(len(s), 40)]
}
