package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// benchmarkMemory: the resident memory of the built program a minute after its start with an empty store, the most of it while it
// pulls a large store of so many resources, and the size of the program.
func benchmarkMemory(b *testing.B, parent *running, count int) {
	bin := build(b)
	info, err := os.Stat(bin)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		idle := serve(b, bin, "idle", nil)
		c, err := parent.Control().AddChild(context.Background(), fmt.Sprintf("child%d", b.N), "")
		if err != nil {
			b.Fatal(err)
		}
		child := serve(b, bin, "child", []string{"TRIBUTARY_PARENT__URL=" + parent.url, "TRIBUTARY_PARENT__CREDENTIAL=" + c.Credential})
		begin := time.Now()
		most, looks := 0.0, 0
		took := await(b, 100*time.Millisecond, time.Hour, func() bool {
			most = max(most, rss(b, child.pid))
			looks++ // a status counts the whole store: asking too often would be what is measured
			return looks%20 == 0 && child.changes(b) >= count
		})
		b.ReportMetric(most, fmt.Sprintf("MB-pulling-%dk(<150)", count/1000))
		b.ReportMetric(float64(count)/took.Seconds(), "resources/s")
		await(b, time.Second, 2*time.Minute, func() bool { return time.Since(begin) > time.Minute })
		b.ReportMetric(rss(b, idle.pid), "MB-idle(<40)")
		b.ReportMetric(float64(info.Size())/1e6, "MB-program(<40)")
	}
}

func build(b *testing.B) string {
	b.Helper()
	bin := filepath.Join(b.TempDir(), "tributary")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "../../cmd/tributary")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return bin
}

type process struct {
	pid int
	url string
}

func serve(b *testing.B, bin, name string, env []string) process {
	b.Helper()
	dir := b.TempDir()
	r, l := prepare(b, "unused", nil, nil) // takes a free port
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command(bin, "init", "--dir", dir, "--name", name, "--listen", addr).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(bin, "serve", "--config", filepath.Join(dir, "tributary.yaml"))
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	p := process{pid: cmd.Process.Pid, url: "http://" + addr}
	await(b, 50*time.Millisecond, 20*time.Second, func() bool {
		res, err := http.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return p
}

// rss returns the resident memory of a process in MB.
func rss(b *testing.B, pid int) float64 {
	b.Helper()
	s, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(s)
	if m == nil {
		b.Fatal("no VmRSS")
	}
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1000
}

// changes returns the position of the process's newest change.
func (p process) changes(b *testing.B) int {
	b.Helper()
	res, err := http.Get(p.url + "/control/v1/status")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	var s struct {
		Counts struct {
			Changes int `json:"changes"`
		} `json:"counts"`
	}
	if json.NewDecoder(res.Body).Decode(&s) != nil {
		return 0
	}
	return s.Counts.Changes
}
