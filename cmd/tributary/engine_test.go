package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
)

// TestEngine: two nodes that know nothing of each other are brought together by `tributary engine` alone, killed twice in the middle.
func TestEngine(t *testing.T) {
	a, b, hq := newMachine(t, "a", ""), newMachine(t, "b", ""), newMachine(t, "hq", "")
	a.must(t, "load", a.write(t, "p.ndjson", patients(450)))
	b.must(t, "load", b.write(t, "p.ndjson", strings.ReplaceAll(patients(120), `"p`, `"q`)))
	a.serve(t)
	b.serve(t)
	hq.serve(t)
	third := machine{dir: t.TempDir()} // it has no node
	token := func(m machine) string { return filepath.Join(m.dir, "data", "admin.token") }
	args := []string{
		"engine", "--source", a.url() + "/sdata", "--target", b.url(), "--both", "--source-credential-file", token(a), "--target-credential-file", token(b),
	}
	for page := 1; page <= 2; page++ {
		third.killedAt(t, page, args)
	}
	var s control.Status
	if b.value(t, &s, "status"); s.Counts.Resources["Patient"] <= 120 || s.Counts.Resources["Patient"] >= 570 {
		t.Fatalf("the engine was not killed in the middle: the target has %+v", s.Counts.Resources)
	}
	r := third.do(t, append(args, "--event-manager", hq.url(), "--event-manager-credential-file", token(hq), "--run-name", "night", "--json")...)
	var done struct {
		Run, RunStamp string
		Passes        []struct{ Entries, Failed, Unreported int }
	}
	if err := json.Unmarshal([]byte(r.out), &done); err != nil || r.code != 0 || len(done.Passes) != 2 {
		t.Fatalf("exit code %d, %v:\n%s%s", r.code, err, r.out, r.err)
	}
	if n := done.Passes[0].Entries; n >= 450 || n == 0 || done.Passes[1].Entries != 120 {
		t.Errorf("what was taken was not brought again: %+v", done.Passes)
	}
	for _, m := range []machine{a, b} {
		eventually(t, "both have all patients", func() bool { // counts are read now and then
			m.value(t, &s, "status")
			return s.Counts.Resources["Patient"] == 570
		})
	}
	var records []audit.Record
	hq.value(t, &records, "audit", "--limit", "1000", "--run", "night@"+done.RunStamp)
	if len(records) < done.Passes[0].Entries+120 || records[0].Operation != audit.Diagnose || records[0].Run != done.Run {
		t.Errorf("the event manager has %d records of the run", len(records))
	}
	if r := third.do(t, args...); r.code != 0 || !strings.Contains(r.out, "Patient") || !strings.Contains(r.out, "tributary audit --run") {
		t.Errorf("an idle run: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	// A conflict that a person has to decide is exit code 3.
	a.put(t, "Patient/p1", `{"resourceType":"Patient","id":"p1","birthDate":"1990-01-01"}`)
	b.put(t, "Patient/p1", `{"resourceType":"Patient","id":"p1","birthDate":"1991-01-01"}`)
	if r := third.do(t, args...); r.code != 3 || !strings.Contains(r.out, "a person decides") {
		t.Errorf("an open conflict: exit code %d:\n%s%s", r.code, r.out, r.err)
	}

	third.refused(t, 2, []string{"--source and --target"}, "engine", "--source", a.url())
	third.refused(t, 2, []string{"--target", "address"}, "engine", "--source", a.url(), "--target", "b")
	third.refused(t, 2, []string{"--types"}, "engine", "--source", a.url(), "--target", b.url(), "--types", "a/b")
	wrong := third.write(t, "wrong.token", "nonsense\n")
	r = third.do(t, "engine", "--source", a.url(), "--target", b.url(), "--source-credential-file", wrong)
	if r.code != 1 || !strings.Contains(r.err, "401") || !strings.Contains(r.err, "credential") {
		t.Errorf("a credential that is none: exit code %d:\n%s%s", r.code, r.out, r.err)
	}
}

// killedAt runs the engine and kills it when it reports a page.
func (m machine) killedAt(t *testing.T, page int, args []string) {
	t.Helper()
	reached, reports := make(chan struct{}), 0
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody sees that the engine is gone
		if reports++; reports == page {
			close(reached)
			<-r.Context().Done()
		}
	}))
	defer s.Close()
	c := command(context.WithoutCancel(t.Context()), m, append(args, "--event-manager", s.URL+"/events")...)
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-reached:
		if err := c.Process.Kill(); err != nil {
			t.Error(err)
		}
		<-ended
	case err := <-ended:
		t.Fatalf("it ended before page %d: %v\n%s", page, err, log.String())
	}
}
