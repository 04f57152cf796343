package browsertest_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/internal/npmtest"
)

// look is how a person looks at a node: which node, in which language, on what screen.
type look struct {
	Origin string  `json:"origin"`
	Lang   string  `json:"lang,omitempty"`   // en
	Scheme string  `json:"scheme,omitempty"` // light
	Width  int     `json:"width,omitempty"`  // 1280 pixels
	Zoom   float64 `json:"zoom,omitempty"`
	Script *bool   `json:"script,omitempty"` // false: JavaScript is off
}

// driver is a Chromium and the script that steers it (testdata/driver.mjs).
type driver struct {
	in     io.WriteCloser
	out    *bufio.Reader
	folder string // of the pictures
}

func startDriver(t *testing.T) *driver {
	t.Helper()
	chromium := os.Getenv("CHROMIUM")
	if chromium == "" {
		var err error
		if chromium, err = exec.LookPath("chromium"); err != nil {
			t.Fatalf("there is no chromium on the PATH: run scripts/setup-test.sh, which installs what the tests need (%v)", err)
		}
	}
	pictures, err := filepath.Abs("../../screenshots")
	if err == nil {
		err = os.MkdirAll(pictures, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := npmtest.Command(t, 2*time.Hour, "driver.mjs")
	cmd.Env = append(os.Environ(), "CHROMIUM="+chromium, "SCREENSHOTS="+pictures)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // the browser ends with it, also when this test is killed
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &driver{in: in, out: bufio.NewReader(out), folder: pictures}
}

// take takes a step, reports what it found, and returns what it says.
func (d *driver) take(t *testing.T, step string, l look, args record) record {
	t.Helper()
	line, err := json.Marshal(record{"step": step, "look": l, "args": args})
	if err == nil {
		_, err = d.in.Write(append(line, '\n'))
	}
	if err == nil {
		line, err = d.out.ReadBytes('\n')
	}
	var answer struct {
		Problems []string
		Result   record
	}
	if err == nil {
		err = json.Unmarshal(line, &answer)
	}
	if err != nil {
		t.Fatalf("%s: %v: %.500s", step, err, line)
	}
	for _, p := range answer.Problems {
		t.Error(p)
	}
	return answer.Result
}
