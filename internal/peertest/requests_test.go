package peertest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// request is one block of a file in testdata/requests.
type request struct {
	name, method, path string
	header             http.Header
	body               string
}

// readRequests reads one file: blocks that begin with "### name", then the method and the path, header lines, an empty line and
// the body. What stands before the first block is a remark.
func readRequests(t *testing.T, file string) []request {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []request
	for _, block := range strings.Split("\n"+string(text), "\n### ")[1:] {
		head, body, _ := strings.Cut(block, "\n\n")
		lines := strings.Split(strings.TrimSpace(head), "\n")
		if len(lines) < 2 {
			t.Fatalf("%s: %q has no request line", file, lines[0])
		}
		r := request{name: lines[0], header: http.Header{}, body: strings.TrimSpace(body)}
		r.method, r.path, _ = strings.Cut(lines[1], " ")
		for _, line := range lines[2:] {
			name, value, ok := strings.Cut(line, ": ")
			if !ok {
				t.Fatalf("%s: %s: %q is no header", file, r.name, line)
			}
			r.header.Set(name, value)
		}
		if r.header.Get("Content-Type") == "" && (r.method == http.MethodPost || r.method == http.MethodPut) {
			r.header.Set("Content-Type", "application/fhir+json")
		}
		all = append(all, r)
	}
	return all
}

// requestFiles returns the files with requests, in the order of their names.
func requestFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/requests/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no requests: %v", err)
	}
	return files
}

// server is one of the two that get the same requests.
type server struct {
	base    string            // of its FHIR API
	answers map[string]string // what {{name.id}} and {{name.version}} stand for
}

var variable = regexp.MustCompile(`\{\{[a-z0-9.-]+\}\}`)

func (s *server) fill(t *testing.T, text string) string {
	t.Helper()
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		value, ok := s.answers[v]
		if !ok {
			// The request that should have made it failed, which is a difference of its own.
			return "unknown"
		}
		return value
	})
}

// send sends a request and returns the status and the body.
func (s *server) send(t *testing.T, r request) (int, []byte) {
	t.Helper()
	url := s.base
	switch path := s.fill(t, r.path); {
	case strings.HasPrefix(path, "?"):
		url += path
	case path != "":
		url += "/" + path
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, url, strings.NewReader(s.fill(t, r.body)))
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	for name, values := range r.header {
		req.Header.Set(name, s.fill(t, values[0]))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", r.name, err)
	}
	var said struct {
		ID   string
		Meta struct{ VersionID string }
	}
	if json.Unmarshal(body, &said) == nil && resp.StatusCode < 300 {
		s.answers["{{"+r.name+".id}}"], s.answers["{{"+r.name+".version}}"] = said.ID, said.Meta.VersionID
	}
	return resp.StatusCode, bytes.ReplaceAll(bytes.ReplaceAll(body, []byte(s.base+"/"), nil), []byte(s.base), nil)
}

func newServer(base string) *server {
	return &server{base: base, answers: map[string]string{"{{base}}": base}}
}

// fresh returns both servers without any record.
func fresh(t *testing.T, medplum string) (node, peer *server) {
	t.Helper()
	resp, err := http.Post(medplum+"/reset", "text/plain", nil)
	if err == nil {
		err = resp.Body.Close()
	}
	if err == nil && resp.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	if err != nil {
		t.Fatalf("the Medplum server cannot be emptied: %v", err)
	}
	return newServer(startNode(t)), newServer(medplum + "/fhir/R4")
}
