// Package processtest tests the built program from outside: real processes, real sockets, both databases, kill -9.
package processtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/internal/testdb"
)

func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tributary")
	cmd := exec.Command("go", "build", "-o", bin, "../../cmd/tributary")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// proc is one node as its own process. It keeps its folder and port when it is killed and started again.
type proc struct {
	t    *testing.T
	bin  string
	name string
	dir  string
	addr string
	env  []string
	cmd  *exec.Cmd
	log  *os.File
}

func newProc(t *testing.T, bin, name string, env ...string) *proc {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &proc{t: t, bin: bin, name: name, dir: t.TempDir(), addr: l.Addr().String(), env: env}
	p.log, err = os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		p.log.Close()
		if t.Failed() {
			b, _ := os.ReadFile(p.log.Name())
			t.Logf("log of %s:\n%s", name, b[max(0, len(b)-4000):])
		}
	})
	p.run("init", "--dir", p.dir, "--name", name, "--listen", p.addr)
	return p
}

func (p *proc) url() string { return "http://" + p.addr }

func (p *proc) command(args ...string) *exec.Cmd {
	if args[0] != "init" {
		args = append(args, "--config", filepath.Join(p.dir, "tributary.yaml"))
	}
	cmd := exec.Command(p.bin, args...)
	cmd.Env = append(os.Environ(), p.env...)
	return cmd
}

// run runs a command of the program and returns what it prints; exit code 3 (something parked or in conflict) is no failure.
func (p *proc) run(args ...string) []byte {
	p.t.Helper()
	var out, errs bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 3 {
		p.t.Fatalf("%s %s: %v\n%s%s", p.name, strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes()
}

func (p *proc) start() {
	p.t.Helper()
	p.cmd = p.command("serve")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	await(p.t, 2*time.Minute, p.name+" to answer", func() bool {
		res, err := http.Get(p.url() + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// kill is kill -9: the process gets no chance to tidy up.
func (p *proc) kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

type status struct {
	Counts struct {
		Total     int64 `json:"total"`
		Deleted   int64 `json:"deleted"`
		Parked    int64 `json:"parked"`
		Held      int64 `json:"held"`
		Conflicts int64 `json:"conflicts"`
	} `json:"counts"`
}

func (p *proc) status() status {
	var s status
	res, err := http.Get(p.url() + "/control/v1/status")
	if err != nil {
		return s
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		return status{}
	}
	return s
}

func await(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(most); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", most, what)
		}
	}
}

func samples(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SAMPLES_DIR")
	if dir == "" {
		dir = "../../../shared/fhir-samples"
	}
	if _, err := os.Stat(filepath.Join(dir, "NOTICE.md")); err != nil {
		t.Fatalf("SAMPLES_DIR must name the folder of sample records: %v", err)
	}
	return dir
}

// A node has one place more for goroutines that run than the runtime would give it, and less garbage, but for what the environment asks for.
func TestRuntimeIsFitted(t *testing.T) {
	bin := build(t)
	for _, name := range []string{"GOMAXPROCS", "GOGC"} {
		t.Setenv(name, "") // what it was comes back
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		env             string
		places, garbage int
	}{{"GOGC=90", runtime.GOMAXPROCS(0) + 1, 90}, {"GOMAXPROCS=7", 7, 35}} {
		p := newProc(t, bin, "clinic", tt.env)
		p.start()
		res, err := http.Get(p.url() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{fmt.Sprintf("\ngo_sched_gomaxprocs_threads %d\n", tt.places), fmt.Sprintf("\ngo_gc_gogc_percent %d\n", tt.garbage)} {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("with %s the metrics lack %q", tt.env, want)
			}
		}
	}
}

// Three processes, SQLite under MariaDB under SQLite, converge on all sample records while the middle one is killed and started
// again and again, and go on converging afterwards.
func TestThreeProcessesSurviveKill(t *testing.T) {
	bin := build(t)
	nation := newProc(t, bin, "nation")
	nation.start()
	district := newProc(t, bin, "district", "TRIBUTARY_STORE__DRIVER=mysql", "TRIBUTARY_STORE__DSN="+testdb.MySQL(t),
		"TRIBUTARY_PARENT__URL="+nation.url(), "TRIBUTARY_PARENT__CREDENTIAL="+credential(nation, "district"))
	district.start()
	clinic := newProc(t, bin, "clinic", "TRIBUTARY_PARENT__URL="+district.url(), "TRIBUTARY_PARENT__CREDENTIAL="+credential(district, "clinic"))
	clinic.start()

	done := make(chan struct{})
	load := clinic.command("load", samples(t))
	load.Stdout, load.Stderr = clinic.log, clinic.log
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(done)
		_ = load.Wait()
	}()
	kills := 0
	tick := time.NewTicker(1500 * time.Millisecond)
	defer tick.Stop()
	for loading := true; loading || kills < 4; {
		select {
		case <-done:
			loading = false
			done = nil
		case <-tick.C:
			district.kill()
			kills++
			district.start()
		}
	}
	if code := load.ProcessState.ExitCode(); code != 0 && code != 3 {
		t.Fatalf("load: exit %d", code)
	}
	want := clinic.status().Counts
	if want.Total < 8000 {
		t.Fatalf("only %d resources were loaded", want.Total)
	}
	same := func() bool {
		return nation.status().Counts.Total == want.Total && district.status().Counts.Total == want.Total
	}
	await(t, 8*time.Minute, fmt.Sprintf("%d resources to reach the nation (kills: %d)", want.Total, kills), same)

	// An edit at the top comes down while the middle is killed once more.
	put(t, nation, "Basic", "from-the-top", `{"resourceType":"Basic","id":"from-the-top","code":{"text":"news"}}`)
	district.kill()
	put(t, clinic, "Basic", "from-below", `{"resourceType":"Basic","id":"from-below","code":{"text":"news"}}`)
	district.start()
	await(t, 3*time.Minute, "edits on both sides to cross", func() bool {
		return get(clinic, "Basic/from-the-top") == 200 && get(nation, "Basic/from-below") == 200
	})
	compare(t, nation, district, clinic)
}

func credential(parent *proc, name string) string {
	var c struct {
		Credential string `json:"credential"`
	}
	out := parent.run("child", "add", name, "--json")
	if err := json.Unmarshal(out, &c); err != nil || c.Credential == "" {
		parent.t.Fatalf("child add: %v\n%s", err, out)
	}
	return c.Credential
}

func put(t *testing.T, p *proc, typ, id, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, p.url()+"/fhir/R4/"+typ+"/"+id, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("put: %s", res.Status)
	}
}

func get(p *proc, path string) int {
	res, err := http.Get(p.url() + "/fhir/R4/" + path)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// compare checks that all nodes have the same version and hash of every resource, by reading each node's whole feed.
func compare(t *testing.T, nodes ...*proc) {
	t.Helper()
	first := stamps(t, nodes[0])
	for _, p := range nodes[1:] {
		other := stamps(t, p)
		if len(other) != len(first) {
			t.Errorf("%s has %d resources, %s has %d", nodes[0].name, len(first), p.name, len(other))
		}
		for k, v := range first {
			if other[k] != v {
				t.Errorf("%s: %s has %s, %s has %s", k, nodes[0].name, v, p.name, other[k])
			}
		}
	}
}

func stamps(t *testing.T, p *proc) map[string]string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(p.dir, "data", "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	after := ""
	for more := true; more; {
		req, err := http.NewRequest(http.MethodGet, p.url()+"/sync/changes?limit=5000&inline=0&after="+after, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Tributary-Protocol", "1")
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(res.Body)
		for {
			var line struct {
				Key     string `json:"key"`
				Version string `json:"version"`
				Hash    string `json:"hash"`
				End     *struct {
					Cursor string `json:"cursor"`
					More   bool   `json:"more"`
				} `json:"end"`
			}
			if err := d.Decode(&line); err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			if line.End != nil {
				after, more = line.End.Cursor, line.End.More
				break
			}
			if line.Key != "" {
				out[line.Key] = line.Version + " " + line.Hash
			}
		}
		res.Body.Close()
	}
	return out
}
