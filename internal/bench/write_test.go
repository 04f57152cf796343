package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/samples"
	"github.com/tributary-sync/tributary/node"
)

// BenchmarkWrites: 16 clients create and update resources one by one over HTTP, each waiting for its answer, on durable SQLite. The figure is
// held against a bare loop that writes the very rows that they wrote, in transactions of 16 changes: what the group commits could be at best. The
// clients are in this process and take their share of its cores, so that they do as little as HTTP lets them. Both run by turns, and of each figure the median is
// reported, of the ratio the least, too. On a machine that is shared the processor's time tells more than the clock.
func BenchmarkWrites(b *testing.B) {
	const rounds = 5
	defer node.FitRuntime(func(string) bool { return false })() // as `tributary serve` does
	var writes, bare, ratio, cpu, bareCPU []float64
	for b.Loop() {
		for range rounds {
			n, took, spent, db := write16(b)
			bareTook, bareSpent := bareLoop(b, db, 16, true)
			writes, bare = append(writes, n/took.Seconds()), append(bare, n/bareTook.Seconds())
			ratio = append(ratio, bareTook.Seconds()/took.Seconds())
			cpu, bareCPU = append(cpu, float64(spent.Microseconds())/n), append(bareCPU, float64(bareSpent.Microseconds())/n)
		}
	}
	b.ReportMetric(median(writes), "writes/s")
	b.ReportMetric(median(bare), "bare-loop/s")
	b.ReportMetric(median(ratio), "of-bare-loop(>=0.6)")
	b.ReportMetric(slices.Min(ratio), "least-of-bare-loop")
	b.ReportMetric(median(cpu), "cpu-us/write")
	b.ReportMetric(median(bareCPU), "bare-cpu-us/write")
}

func median(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

// write16 lets 16 clients write to a new node, and returns how many writes there were, how long they took by the clock and by the processor, and the node's
// database.
func write16(b *testing.B) (writes float64, took, spent time.Duration, db string) {
	b.Helper()
	const clients, each = 16, 250
	n := start(b, "clinic", nil, nil)
	defer n.stop()
	var requests []string
	for s := range samples.All(samples.Config{Seed: 11}, clients*each) {
		r, err := fhir.Parse(s.JSON, 0)
		if err != nil {
			b.Fatal(err)
		}
		created := string(r.Body)
		updated := strings.Replace(created, `{"resourceType":`, `{"implicitRules":"urn:bench","resourceType":`, 1)
		for _, body := range []string{created, updated} {
			requests = append(requests, fmt.Sprintf("PUT /fhir/R4/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/fhir+json\r\nContent-Length: %d\r\n\r\n%s",
				r.Key, n.cfg.Node.Listen, len(body), body))
		}
	}
	begin, used := time.Now(), processor(b)
	var wrong atomic.Pointer[string]
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			if why := converse(n.cfg.Node.Listen, requests[2*c*each:2*(c+1)*each]); why != "" {
				wrong.Store(&why)
			}
		})
	}
	wg.Wait()
	took, spent = time.Since(begin), processor(b)-used
	if why := wrong.Load(); why != nil {
		b.Fatal(*why)
	}
	return float64(len(requests)), took, spent, n.cfg.Store.DSN
}

// converse sends requests one by one over one connection, creates and updates in turn, and returns what went wrong.
func converse(address string, requests []string) string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for i, request := range requests {
		if _, err := io.WriteString(conn, request); err != nil {
			return err.Error()
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			return err.Error()
		}
		answer, err := io.ReadAll(res.Body)
		if want := 201 - i%2; err != nil || res.StatusCode != want {
			return fmt.Sprintf("%d instead of %d, %v: %.300s", res.StatusCode, want, err, answer)
		}
	}
	return ""
}

// processor returns the time that this process has spent on processors.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
