package load

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// samples returns a folder of the sample data; where it is missing the test fails.
func samples(t *testing.T, folder string) string {
	t.Helper()
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "fhir-samples")
	}
	dir = filepath.Join(dir, folder)
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the sample data are missing (set SAMPLES_DIR): %v", err)
	}
	return dir
}

// Every reference of the Synthea data leads to something that was loaded: those of the 2019 bundles are urn:uuid: across files,
// those of the 2023 export are conditional.
func TestSynthea(t *testing.T) {
	s := &shelf{}
	r, err := run(t, s, []string{samples(t, "synthea-2019-bundles"), samples(t, "synthea-2023-ndjson")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Total(); got.Loaded != 7684 || r.Refused != 0 || r.Unsolved != 0 || r.Outside != 0 || r.Rewrote != 4940+7607 {
		t.Errorf("got %+v, refused %v, unresolved %v, %d outside, %d rewritten", got, r.Refusals, r.Kept, r.Outside, r.Rewrote)
	}
	if len(s.bodies) != 7660 {
		t.Errorf("got %d resources, want 7660", len(s.bodies))
	}
	dangling := 0
	for key, body := range s.bodies {
		for _, ref := range fhir.References(body) {
			k, local := fhir.LocalKey(ref.Text)
			if _, there := s.bodies[k.String()]; local && there {
				continue
			}
			if strings.HasPrefix(ref.Text, "urn:") || strings.Contains(ref.Text, "?identifier=") || local {
				dangling++
				t.Logf("%s -> %s", key, ref.Text)
			}
		}
	}
	if dangling > 0 {
		t.Errorf("%d references lead nowhere", dangling)
	}
}

// The official examples are single files of all types, and bundles of all kinds. What is refused is known, each with its reason.
func TestExamples(t *testing.T) {
	s := &shelf{search: `{"resourceType":"Bundle","type":"searchset"}`}
	r, err := run(t, s, []string{samples(t, "hl7-r4-examples")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The one transaction that also deletes by a search and calls an operation, neither of which is loading.
	for _, f := range r.Refusals {
		if filepath.Base(f.File) != "Bundle-bundle-transaction.json" ||
			!strings.Contains(f.Reason, "does not name Type/id") && !strings.Contains(f.Reason, "is an operation") && !strings.Contains(f.Reason, "belongs to the transaction") {
			t.Errorf("refused: %s %s %s: %s", filepath.Base(f.File), f.Place, f.What, f.Reason)
		}
	}
	if r.Refused != 8 || r.Total().Loaded < 1000 || r.Files != 720 {
		t.Errorf("got %d files, %+v and %d refused", r.Files, r.Total(), r.Refused)
	}
	for key, body := range s.bodies {
		var id struct{ ResourceType, ID string }
		if err := json.Unmarshal(body, &id); err != nil || id.ResourceType+"/"+id.ID != key {
			t.Errorf("%s holds %s/%s (%v)", key, id.ResourceType, id.ID, err)
		}
	}
}

func TestErrors(t *testing.T) {
	empty := t.TempDir()
	one := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(one, []byte(`{"resourceType":"Patient","id":"p"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		status     int
		kind       syncerr.Kind
		says       string
	}{
		{"no such path", filepath.Join(empty, "x"), 0, syncerr.Usage, "there is no file or folder"},
		{"nothing in it", empty, 0, syncerr.Usage, "nothing to load"},
		{"disk full", one, 507, syncerr.StorageFull, "Run the same command again"},
		{"database away", one, 503, syncerr.Transient, "Run the same command again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &shelf{refuse: func(string) int { return tt.status }}
			_, err := run(t, s, []string{tt.path}, nil)
			if err == nil || syncerr.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v (%s), want %s and %q", err, syncerr.KindOf(err), tt.kind, tt.says)
			}
		})
	}
	t.Run("nobody answers", func(t *testing.T) {
		_, err := run(t, &shelf{}, []string{one}, func(o *Options) { o.Base = "http://127.0.0.1:1/fhir/R4" })
		var e *syncerr.Error
		if !errors.As(err, &e) || e.Kind != syncerr.Transient || e.Hint == "" {
			t.Errorf("got %v, want a transient error with a hint", err)
		}
	})
}

func TestProgressAddsUp(t *testing.T) {
	var last Progress
	r, err := run(t, &shelf{}, []string{samples(t, "synthea-2019-bundles")}, func(o *Options) {
		o.Progress = func(p Progress) {
			if p.Bytes < last.Bytes || p.Bytes > p.Total {
				t.Fatalf("progress went from %d to %d of %d", last.Bytes, p.Bytes, p.Total)
			}
			last = p
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if last.Bytes != last.Total || last.Resources != r.Total().Loaded || !last.Writing {
		t.Errorf("ended at %+v with %+v", last, r.Total())
	}
}
