package bench

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/samples"
)

// BenchmarkWrites: 16 clients create and update resources one by one over HTTP, each waiting for its answer, on durable SQLite. The figure is
// held against a bare loop that writes the very rows that they wrote, in transactions of 16 changes: what the group commits could be at best.
func BenchmarkWrites(b *testing.B) {
	const clients, each = 16, 250
	for b.Loop() {
		b.StopTimer()
		n := start(b, "clinic", nil, nil)
		var keys []fhir.Key
		var bodies []string
		for s := range samples.All(samples.Config{Seed: 11}, clients*each) {
			r, err := fhir.Parse(s.JSON, 0)
			if err != nil {
				b.Fatal(err)
			}
			keys, bodies = append(keys, r.Key), append(bodies, string(r.Body))
		}
		transport := &http.Transport{MaxIdleConnsPerHost: clients}
		client := &http.Client{Transport: transport}
		b.StartTimer()
		begin := time.Now()
		var wrong atomic.Pointer[string]
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				for i := range each {
					at := c*each + i
					for round := range 2 { // a create, and an update of it
						text := bodies[at]
						if round == 1 {
							text = strings.Replace(text, `{"resourceType":`, `{"implicitRules":"urn:bench","resourceType":`, 1)
						}
						if why := put(client, n.url+"/fhir/R4/"+keys[at].String(), text, 201-round); why != "" {
							wrong.Store(&why)
							return
						}
					}
				}
			})
		}
		wg.Wait()
		took := time.Since(begin)
		b.StopTimer()
		transport.CloseIdleConnections()
		if why := wrong.Load(); why != nil {
			b.Fatal(*why)
		}
		n.stop()
		bare := bareLoop(b, n.cfg.Store.DSN, clients)
		const writes = 2 * clients * each
		b.ReportMetric(writes/took.Seconds(), "writes/s")
		b.ReportMetric(writes/bare.Seconds(), "bare-loop/s")
		b.ReportMetric(bare.Seconds()/took.Seconds(), "of-bare-loop(>=0.6)")
		b.StartTimer()
	}
}

// put returns what went wrong, empty where the answer has the status.
func put(client *http.Client, url, body string, status int) string {
	req, err := http.NewRequest(http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	res, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		return fmt.Sprintf("%s: %d %v %.300s", url, res.StatusCode, err, answer)
	}
	return ""
}
