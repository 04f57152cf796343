package api

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
)

// The table of docs/metrics.md is that of the program: no metric more or less, with its labels and its meaning.
func TestMetricsPage(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	m := newMetrics(New(Deps{Clock: time.Now}))
	descs := make(chan *prometheus.Desc, 200)
	m.registry.Describe(descs)
	close(descs)
	form := regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "([^"]+)", (?:unit: "", )?constLabels: \{\}, variableLabels: \{([^}]*)\}`)
	want := map[string]bool{}
	for d := range descs {
		f := form.FindStringSubmatch(d.String())
		if f == nil || !strings.HasPrefix(f[1], "tributary_") {
			continue // those of the library are documented there
		}
		labels := strings.ReplaceAll(f[3], ",", ", ")
		want["| `"+f[1]+"` | "+labels+" | "+f[2]+" |"] = true
	}
	if len(want) < 15 {
		t.Fatalf("the registry has %d metrics", len(want))
	}
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "| `tributary_") && !want[line] {
			t.Errorf("the page has a line that is none of the program's:\n%s", line)
		}
		delete(want, line)
	}
	for line := range want {
		t.Errorf("the page lacks\n%s", line)
	}
}

// Names, units and types are those that Prometheus expects.
func TestMetricsLint(t *testing.T) {
	st, err := store.Create(t.Context(), store.Options{Driver: "sqlite", DSN: testdb.SQLite(t)}, "a", 10)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Node.Name, cfg.Parent.URL = "a", "https://district.example"
	eng := engine.New(st, engine.Config{})
	s := New(Deps{Engine: eng, Clock: time.Now, Version: "1", Control: control.New(eng, cfg, nil, control.Deps{})})
	s.metrics.request("GET", "GET /healthz", 200, time.Millisecond)
	families, err := s.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range families {
		found[f.GetName()] = true
	}
	for _, name := range []string{"tributary_database_size_bytes", "tributary_pass_backlog", "tributary_build_info", "go_goroutines"} {
		if !found[name] {
			t.Errorf("there is no %s", name)
		}
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := s.metrics.text()
	if err != nil || !strings.Contains(string(text), "\ntributary_database_reachable 0\n") {
		t.Errorf("without a database: %v\n%s", err, text)
	}
}
