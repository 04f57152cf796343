package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// asProgram in the environment turns the test binary into the program itself, so that tests drive real processes.
const asProgram = "TEST_AS_TRIBUTARY"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main() // exits
	}
	os.Exit(m.Run())
}

// deadline bounds every wait for another process; on an idle machine none takes a second.
const deadline = 2 * time.Minute

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(deadline)
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("%s: not within %s", what, deadline)
		}
	}
}

// machine is a folder with a node in it.
type machine struct {
	dir, listen string
	env         []string
	log         *safeBuffer // of serve
}

// safeBuffer is a buffer that is read while a node writes into it.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

type result struct {
	out, err string
	code     int
}

func command(ctx context.Context, m machine, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Dir = m.dir
	// Nothing of the tester's own settings may be found.
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TRIBUTARY_") {
			c.Env = append(c.Env, e)
		}
	}
	c.Env = append(append(c.Env, asProgram+"=1"), m.env...)
	return c
}

// app is the program in this process: what only a process shows is tested in internal/processtest. GOGC and GOMAXPROCS
// keep serve from setting them for all tests.
func (m machine) app(in io.Reader, out, errs io.Writer) *app {
	return &app{in: in, out: out, errors: errs, env: append([]string{"GOGC=100", "GOMAXPROCS=1"}, m.env...), clock: time.Now, version: "test"}
}

// do runs a command to its end, in the folder of the machine.
func (m machine) do(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*deadline)
	defer cancel()
	before, err := os.Getwd()
	if err == nil {
		err = os.Chdir(m.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Chdir(before); err != nil {
			t.Fatal(err)
		}
	}()
	var out, errs bytes.Buffer
	code := m.app(strings.NewReader(""), &out, &errs).run(ctx, args)
	return result{out.String(), errs.String(), code}
}

// must runs a command that goes well and returns what it printed.
func (m machine) must(t *testing.T, args ...string) string {
	t.Helper()
	r := m.do(t, args...)
	if r.code != 0 {
		t.Fatalf("tributary %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// value runs a command that goes well with --json and reads what it printed.
func (m machine) value(t *testing.T, into any, args ...string) {
	t.Helper()
	decode(t, m.must(t, append(args, "--json")...), into)
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}

// refused runs a command that fails with a code and one sentence in which all parts stand.
func (m machine) refused(t *testing.T, code int, parts []string, args ...string) {
	t.Helper()
	r := m.do(t, args...)
	lines := strings.Split(strings.TrimSpace(r.err), "\n")
	if r.code != code || len(lines) != 1 || !strings.HasPrefix(lines[0], "tributary: ") {
		t.Errorf("tributary %s: got exit code %d, want %d and one sentence:\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.err)
	}
	for _, p := range append(parts, ". ") {
		if !strings.Contains(r.err, p) {
			t.Errorf("tributary %s: %q does not say %q", strings.Join(args, " "), r.err, p)
		}
	}
	for _, p := range []string{"Usage:", "goroutine ", "bug:"} {
		if strings.Contains(r.out+r.err, p) {
			t.Errorf("tributary %s printed %q:\n%s%s", strings.Join(args, " "), p, r.out, r.err)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// node makes a node in a new folder.
func newMachine(t *testing.T, name, parent string) machine {
	t.Helper()
	m := machine{dir: t.TempDir(), listen: freePort(t), log: new(safeBuffer)}
	args := []string{"init", "--name", name, "--listen", m.listen}
	if parent != "" {
		args = append(args, "--parent", parent)
	}
	m.must(t, args...)
	return m
}

func (m machine) url() string { return "http://" + m.listen }

// serve runs the node until the end of the test, or until stop is called, which wants an orderly end.
func (m machine) serve(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	log := m.log
	ended := make(chan int, 1)
	a := m.app(strings.NewReader(""), log, log)
	go func() { ended <- a.run(ctx, []string{"serve", "--config", filepath.Join(m.dir, "tributary.yaml")}) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case code := <-ended:
				if code != 0 {
					t.Errorf("serve ended with exit code %d:\n%s", code, log.String())
				}
			case <-time.After(deadline):
				t.Errorf("serve did not end within %s", deadline)
			}
		})
	}
	t.Cleanup(stop)
	eventually(t, "serve answers", func() bool {
		select {
		case code := <-ended:
			ended <- code
			t.Fatalf("serve ended:\n%s", log.String())
		default:
		}
		res, err := http.Get(m.url() + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return stop
}

// put writes a resource through the node's FHIR API.
func (m machine) put(t *testing.T, key, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, m.url()+"/fhir/R4/"+key, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		t.Fatalf("PUT %s: %s", key, res.Status)
	}
}

func (m machine) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func patients(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"resourceType":"Patient","id":"p%d","birthDate":"1980-01-01"}`+"\n", i)
	}
	return b.String()
}
