package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/store"
)

// heaviest is how many bytes a page may have on the wire: at 20 kbit/s that is 24 seconds.
const heaviest = 60_000

// packed returns a page as a browser gets it.
func (w *world) packed(path string) (size int, body string) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br")
	out := w.do(r)
	if e := out.Header().Get("Content-Encoding"); e != "gzip" {
		w.t.Fatalf("%s comes as %q", path, e)
	}
	size = out.Body.Len()
	z, err := gzip.NewReader(out.Body)
	w.must(err)
	var b bytes.Buffer
	_, err = b.ReadFrom(z)
	w.must(err)
	return size, b.String()
}

func TestPagesAreLight(t *testing.T) {
	w, uuid := busy(t, "clinic-a")
	for i := range 250 {
		w.edit(w.eng, patient(fmt.Sprintf("0b7c4e9a-41d2-4c55-9a3e-%012d", i*7919), "Banda"))
	}
	for _, path := range everyPage(uuid) {
		size, body := w.packed(path)
		t.Logf("%s: %d bytes, %d compressed", path, len(body), size)
		if size > heaviest {
			t.Errorf("%s has %d bytes, more than %d", path, size, heaviest)
		}
	}
	rest := 0
	for _, m := range regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(w.page("/"), -1) {
		rest += w.get(m[1]).Body.Len()
		if h := w.get(m[1]).Header().Get("Cache-Control"); h != "private, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", m[1], h)
		}
	}
	if rest == 0 || rest > 25_000 {
		t.Errorf("what all pages share has %d bytes", rest)
	}
	if h := w.get("/assets/live.js?v=000000000000").Header().Get("Cache-Control"); h != "private, max-age=3600" {
		t.Errorf("another version is kept: %q", h)
	}
}

func TestAPageThatDidNotChangeIsNotSentAgain(t *testing.T) {
	w, _ := busy(t, "clinic-a")
	tag := w.get("/").Header().Get("ETag")
	again := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("If-None-Match", tag)
		r.Header.Set("Accept-Encoding", "gzip")
		return w.do(r)
	}
	w.page("/")
	w.clock.Add(3 * time.Second)
	if out := again(); out.Code != http.StatusNotModified || out.Body.Len() != 0 || out.Header().Get("ETag") != tag {
		t.Errorf("status %d, %d bytes, tag %s instead of %s", out.Code, out.Body.Len(), out.Header().Get("ETag"), tag)
	}
	w.edit(w.eng, patient("new", "Banda"))
	if out := again(); out.Code != http.StatusOK || out.Header().Get("ETag") == tag {
		t.Errorf("after a change: status %d", out.Code)
	}
}

// A page that stands open shows what has changed, and asks with the tag of what it has.
func TestThePageRenewsItself(t *testing.T) {
	w, _ := busy(t, "clinic-a")
	var asked, tagged atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			if n := asked.Add(1); n == 2 {
				w.edit(w.eng, `{"resourceType":"Medication","id":"m-1"}`)
				w.clock.Add(time.Minute) // the counts of records may be some seconds old
			}
			if strings.HasPrefix(r.Header.Get("If-None-Match"), `W/"`) {
				tagged.Add(1)
			}
		}
		w.handler.ServeHTTP(out, r)
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	browser := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=100000", "--dump-dom", srv.URL+"/")
	page, err := browser.Output()
	if err != nil {
		t.Fatalf("chromium: %v; `make test` installs what the tests need", err)
	}
	dom := string(page)
	if !strings.Contains(dom, `translate="no">Medication<`) || asked.Load() < 3 || tagged.Load() < 1 {
		t.Errorf("asked %d times, %d of them with a tag; the page:\n%s", asked.Load(), tagged.Load(), dom)
	}
}

// A node with many children stays as light: Home shows those of which nothing was heard for longest, Network a page of them.
func TestPagesOfANodeWithManyChildrenAreLight(t *testing.T) {
	w := newWorld(t, "nation", "")
	w.write(func(tx *store.Tx) error {
		for i := range 300 {
			p := store.Participant{ID: fmt.Sprintf("id-%d", i), Kind: store.KindChild, Name: fmt.Sprintf("clinic-%d", i), Credential: fmt.Sprint(i)}
			if err := tx.AddChild(p); err != nil {
				return err
			}
			p.LastSeen = tx.Now() - int64(i)*60_000
			if err := tx.SaveParticipant(p); err != nil {
				return err
			}
		}
		return nil
	})
	for path, want := range map[string][]string{
		"/":        {">clinic-299<", "and 292 more, heard of more lately", "300 other nodes sync with it"},
		"/network": {">clinic-299<", "300 nodes are below this one.", "page=2"},
	} {
		size, body := w.packed(path)
		t.Logf("%s: %d bytes, %d compressed", path, len(body), size)
		contains(t, path, body, want...)
		if size > heaviest/4 || strings.Contains(body, ">clinic-1<") && path == "/" {
			t.Errorf("%s has %d bytes", path, size)
		}
	}
}
