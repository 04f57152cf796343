package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
)

// BenchmarkWire: the bytes that a pull of the sample records takes in pages of 100, held against their compact JSON.
func BenchmarkWire(b *testing.B) {
	parent := start(b, "parent", nil, nil)
	var plain int
	var batch []engine.Write
	for _, body := range sampleRecords(b) {
		r, err := fhir.Parse(body, 0)
		if err != nil || r.Key.ID == "" {
			continue
		}
		plain += len(r.Body)
		batch = append(batch, engine.Write{Op: engine.Update, Key: r.Key, Body: r})
	}
	for len(batch) > 0 {
		n := min(500, len(batch))
		if _, _, err := parent.Engine().AuthorEach(context.Background(), "bench", batch[:n]); err != nil {
			b.Fatal(err)
		}
		batch = batch[n:]
	}
	secret := func() (string, error) { return parent.AdminToken(), nil }
	self := clients.Self{Node: "bench", Replica: func() string { return "00000000-0000-4000-8000-000000000000" }}
	for b.Loop() {
		c := clients.NewNode(parent.url, secret, self, http.DefaultTransport)
		read, req := 0, feed.Request{Limit: 100, Inline: 16 << 20}
		for more := true; more; {
			end, err := c.Read(context.Background(), req, func(l feed.Line) error {
				if l.Event != nil {
					read += len(l.Event.Content)
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			req.After, more = end.Cursor, end.More
		}
		in, out := c.Traffic()
		b.ReportMetric(float64(in+out)/float64(plain), "of-JSON(<=0.15)")
		b.ReportMetric(float64(plain), "JSON-bytes")
		b.ReportMetric(float64(read)/float64(plain), "read")
	}
}

// sampleRecords returns every resource of the folder SAMPLES_DIR: single files, NDJSON lines and entries of bundles.
func sampleRecords(b *testing.B) [][]byte {
	b.Helper()
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = "../../../shared/fhir-samples"
	}
	var out [][]byte
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".ndjson":
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			s := bufio.NewScanner(f)
			s.Buffer(nil, 16<<20)
			for s.Scan() {
				out = append(out, append([]byte(nil), s.Bytes()...))
			}
			return s.Err()
		case ".json":
			body, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if !strings.Contains(path, "synthea") {
				out = append(out, body)
				return nil
			}
			var bundle struct {
				Entry []struct{ Resource json.RawMessage }
			}
			if err := json.Unmarshal(body, &bundle); err != nil {
				return err
			}
			for _, e := range bundle.Entry {
				out = append(out, e.Resource)
			}
		}
		return nil
	})
	if err != nil || len(out) < 1000 {
		b.Fatalf("SAMPLES_DIR must name the folder of sample records: %d found, %v", len(out), err)
	}
	return out
}
