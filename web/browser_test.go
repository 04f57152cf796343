package web_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// measured serves the dashboard, and under /measure a page that shows some of its pages, each in a frame of a given width, and
// writes down how wide their content is, what is wider than the frame, and whether the style sheet applies.
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
		fmt.Fprint(out, "<!DOCTYPE html><body>")
		for _, frame := range r.URL.Query()["frame"] {
			width, path, _ := strings.Cut(frame, " ")
			fmt.Fprintf(out, `<iframe src="%s" title="%s" style="width:%spx;height:800px;border:0"></iframe>`, path, frame, width)
		}
		fmt.Fprint(out, `<script>
window.onload = function () {
  document.querySelectorAll("iframe").forEach(function (f) {
    var d = f.contentDocument, w = f.contentWindow.innerWidth, wide = [], p = document.createElement("p");
    d.querySelectorAll("body *").forEach(function (e) { if (e.getBoundingClientRect().right > w + 0.5) wide.push(e.tagName + "." + e.className); });
    d.querySelectorAll(".card").forEach(function (c) {
      var edge = c.getBoundingClientRect().right;
      c.querySelectorAll("*").forEach(function (e) { if (e.getBoundingClientRect().right > edge) wide.push("out of its card: " + e.tagName + "." + e.className); });
    });
    p.textContent = "frame=" + f.title + " width=" + d.documentElement.scrollWidth + " of=" + w + " styled=" +
      (getComputedStyle(d.body).marginTop === "0px") + " page=" + d.title + " wide=[" + wide.slice(0, 5).join(" ") + "]";
    document.body.appendChild(p);
  });
};
</script></body>`)
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
	for _, want := range []string{">clinic-a</h1>", "district-hospital", "outpost-lake", "AllergyIntolerance/0b7c4e9a-41d2-4c55-9a3e-6f0d2a7b8c91"} {
		if !strings.Contains(dom, want) {
			t.Errorf("the document in the browser does not contain %q", want)
		}
	}

	frames := url.Values{}
	for _, width := range []string{"320", "390", "1200"} {
		for _, path := range []string{"/", "/audit", "/conflicts", "/conflicts/" + uuid, "/parked", "/runs", "/explain", "/explain/Patient/p-5"} {
			frames.Add("frame", width+" "+path)
		}
	}
	out := chromium(t, "--virtual-time-budget=20000", "--window-size=1400,900", "--dump-dom", srv.URL+"/measure?"+frames.Encode())
	result := regexp.MustCompile(`frame=(\d+) (\S+) width=(\d+) of=(\d+) styled=(true|false) page=([^<]*) wide=\[([^<]*)\]`)
	measured := result.FindAllStringSubmatch(out, -1)
	if len(measured) != len(frames["frame"]) {
		t.Fatalf("measured %d of %d pages:\n%s", len(measured), len(frames["frame"]), out)
	}
	for _, m := range measured {
		if m[3] != m[1] || m[4] != m[1] || m[5] != "true" || !strings.HasSuffix(m[6], " · clinic-a") || m[7] != "" {
			t.Errorf("%s does not fit: %s", m[2], m[0])
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
