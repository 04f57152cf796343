package web_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chromium runs the browser once, on a profile of its own, and returns what it printed.
func chromium(t *testing.T, args ...string) string {
	t.Helper()
	binary, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("there is no chromium on the PATH: run make test, which installs what the tests need (%v)", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	flags := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
	}
	cmd := exec.CommandContext(ctx, binary, append(flags, args...)...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium %s: %v\n%s", strings.Join(args, " "), err, problems.String())
	}
	return out.String()
}

// measured serves the dashboard, and under /measure a page that shows one of its pages in a frame of a given width and writes
// down how wide its content is, what is wider than the frame, and whether the style sheet applies.
func measured(t *testing.T, dashboard http.Handler) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(out http.ResponseWriter, r *http.Request) {
		inner := httptest.NewRecorder()
		dashboard.ServeHTTP(inner, r)
		for name, values := range inner.Header() {
			if r.Header.Get("Sec-Fetch-Dest") == "iframe" && name == "Content-Security-Policy" {
				values = []string{strings.Replace(values[0], "frame-ancestors 'none'", "frame-ancestors 'self'", 1)}
			}
			out.Header()[name] = values
		}
		out.WriteHeader(inner.Code)
		_, _ = out.Write(inner.Body.Bytes())
	})
	mux.HandleFunc("/measure", func(out http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(out, `<!DOCTYPE html><body><iframe id="f" src="%s" style="width:%spx;height:800px;border:0"></iframe><p id="result"></p><script>
document.getElementById("f").onload = function () {
  var d = this.contentDocument, w = this.contentWindow.innerWidth, wide = [];
  d.querySelectorAll("body *").forEach(function (e) { if (e.getBoundingClientRect().right > w + 0.5) wide.push(e.tagName + "." + e.className); });
  document.getElementById("result").textContent = "width=" + d.documentElement.scrollWidth + " of=" + w +
    " styled=" + (getComputedStyle(d.body).marginTop === "0px") + " title=" + d.title + " wide=[" + wide.slice(0, 5).join(" ") + "]";
};
</script></body>`, r.URL.Query().Get("path"), r.URL.Query().Get("width"))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// The overview is shown by a real browser: as a document, at the width of a phone and of a desk, and as a picture.
func TestInABrowser(t *testing.T) {
	w, uuid := busy(t, "clinic-a")
	srv := measured(t, w.handler)

	dom := chromium(t, "--dump-dom", srv.URL+"/")
	for _, want := range []string{"<h1>clinic-a</h1>", "district-hospital", "outpost-lake", "AllergyIntolerance/a-1"} {
		if !strings.Contains(dom, want) {
			t.Errorf("the document in the browser does not contain %q", want)
		}
	}

	result := regexp.MustCompile(`id="result">width=(\d+) of=(\d+) styled=(true|false) title=(.*) wide=\[(.*)\]`)
	for _, width := range []string{"320", "390", "1200"} {
		for _, path := range []string{"/", "/audit", "/conflicts", "/conflicts/" + uuid, "/parked", "/runs", "/explain", "/explain/Patient/p-5"} {
			if width == "320" && path != "/" {
				continue
			}
			out := chromium(t, "--virtual-time-budget=10000", "--window-size=1400,900", "--dump-dom", srv.URL+"/measure?width="+width+"&path="+path)
			m := result.FindStringSubmatch(out)
			if m == nil {
				t.Fatalf("%s at %s: nothing was measured:\n%s", path, width, out)
			}
			got, err := strconv.Atoi(m[1])
			if err != nil || m[2] != width || m[3] != "true" || !strings.Contains(m[4], "clinic-a") {
				t.Errorf("%s at %s: got %s", path, width, m[0])
			}
			if most, _ := strconv.Atoi(width); got > most || m[5] != "" {
				t.Errorf("%s is %d wide at %s; too wide: %s", path, got, width, m[5])
			}
		}
	}

	// TRIBUTARY_SCREENSHOTS names a folder that keeps the pictures, for the README.
	dir := os.Getenv("TRIBUTARY_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	for _, shot := range []struct{ name, path, size string }{
		{"phone", "/", "390,844"},
		{"desk", "/", "1200,800"},
		{"long-phone", "/", "390,3400"},
		{"long-desk", "/", "1200,2300"},
		{"conflict", "/conflicts/" + uuid, "1200,800"},
	} {
		file := filepath.Join(dir, shot.name+".png")
		chromium(t, "--window-size="+shot.size, "--screenshot="+file, srv.URL+shot.path)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.DecodeConfig(bytes.NewReader(data))
		if err != nil || fmt.Sprintf("%d,%d", img.Width, img.Height) != shot.size || len(data) < 5000 {
			t.Errorf("%s: %dx%d, %d bytes, %v, want %s", shot.name, img.Width, img.Height, len(data), err, shot.size)
		}
	}
}
