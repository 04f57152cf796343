package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
)

// benchmarkSearch asks a node over HTTP, in a large store to which it adds one patient with 200 encounters. The figures are medians of 50
// requests: in a million, a search by identifier takes less than 5 ms, a Patient with _revinclude of its 200 resources less than 20 ms, and the
// page that an operator sees first less than 50 ms.
func benchmarkSearch(b *testing.B, n *running) {
	var batch []engine.Write
	put := func(text string) {
		r, err := fhir.Parse([]byte(text), 0)
		if err != nil {
			b.Fatal(err)
		}
		batch = append(batch, engine.Write{Op: engine.Update, Key: r.Key, Body: r})
	}
	put(`{"resourceType":"Patient","id":"bench","identifier":[{"system":"urn:bench","value":"one"}],"name":[{"family":"Benchmark","given":["Anna"]}],"gender":"female"}`)
	for i := range 200 {
		put(fmt.Sprintf(`{"resourceType":"Encounter","id":"bench-%d","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/bench"},`+
			`"period":{"start":"2024-01-01","end":"2024-01-02"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">%s</div>"}}`, i, strings.Repeat("A visit. ", 100)))
	}
	if _, errs, err := n.Engine().AuthorEach(context.Background(), "bench", batch); err != nil || slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		b.Fatal(err, errs)
	}
	for _, c := range []struct {
		name, path string
		finds      int
		goal       string
	}{
		{"identifier", "/fhir/R4/Patient?identifier=urn:bench%7Cone", 1, "ms(<5)"},
		{"system", "/fhir/R4/Patient?identifier=urn:bench%7C", 1, "ms"},
		{"revinclude", "/fhir/R4/Patient?_id=bench&_revinclude=Encounter:patient", 201, "ms(<20)"},
		{"everything", "/fhir/R4/Patient/bench/$everything?_count=1000", 201, "ms"},
		{"name", "/fhir/R4/Patient?name=benchm&gender=female", 1, "ms"},
		{"chain", "/fhir/R4/Encounter?patient.identifier=urn:bench%7Cone&_count=50", 50, "ms"},
		{"has", "/fhir/R4/Patient?_has:Encounter:patient:date=2024-01&identifier=urn:bench%7Cone", 1, "ms"},
		{"two unselective", "/fhir/R4/Observation?status=final&category=laboratory&_count=20", 20, "ms"},
		{"sorted", "/fhir/R4/Observation?status=final&_sort=-date&_count=20", 20, "ms"},
		{"all", "/fhir/R4/Observation?_count=20", 20, "ms"},
		{"home page", "/", 0, "ms(<50)"},
	} {
		b.Run(c.name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				for range 50 {
					begin := time.Now()
					body := fetch(b, n.url+c.path)
					times = append(times, time.Since(begin))
					if got := strings.Count(body, `"fullUrl"`); got != c.finds {
						b.Fatalf("%d found, want %d: %.400s", got, c.finds, body)
					}
				}
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, c.goal)
			b.ReportMetric(0, "ns/op")
		})
	}
}

func fetch(b *testing.B, url string) string {
	b.Helper()
	resp, err := http.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %d, %v: %.300s", url, resp.StatusCode, err, body)
	}
	return string(body)
}
