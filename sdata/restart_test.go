package sdata_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/sdata"
	"github.com/tributary-sync/tributary/syncerr"
)

// started is a process of a host's node as far as SData goes: what it keeps in memory begins anew. work is done by do alone.
type started struct {
	*http.ServeMux
	work []func(context.Context)
}

func (h *host) start() *started {
	p := &started{ServeMux: http.NewServeMux()}
	s := sdata.New(h.Engine(), sdata.Config{URL: h.url, Clock: time.Now, Log: slog.New(slog.DiscardHandler), Background: func(work func(context.Context)) bool {
		p.work = append(p.work, work)
		return true
	}})
	s.Register(p.ServeMux, func(do sdata.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := do(w, r); err != nil {
				sdata.WriteError(w, r, syncerr.KindOf(err).HTTPStatus(), err)
			}
		})
	})
	return p
}

// do does what was begun beside requests.
func (p *started) do(ctx context.Context) {
	for _, work := range p.work {
		work(ctx)
	}
	p.work = nil
}

func (p *started) want(t *testing.T, status int, method, path string, body []byte) answer {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(string(body))))
	if w.Code != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	return answer{w.Code, w.Result().Header, w.Body.Bytes()}
}

// TestBatchOverRestart: a batch whose process died is found again and says so; posted again it goes on, and its result stays over restarts until it
// is deleted.
func TestBatchOverRestart(t *testing.T) {
	h := newHost(t, "b", nil)
	page := pageOf("catchUp", []uint64{3}, "", change{node: 1, tick: 1, id: "p1", text: "x"}, change{node: 1, tick: 2, id: "p2", text: "x"})
	const id, run = "6f1c1111-05e8-4f35-8115-e205446667b6", "&runName=Full&runStamp=1"
	const post = "/sdata/Patient/$syncTarget?trackingID=" + id + run
	first := h.start()
	location := first.want(t, 202, "POST", post, page).header.Get("Location")
	first.want(t, 202, "GET", location, nil)

	second := h.start() // the first one died
	got := second.want(t, 503, "GET", location, nil)
	if d := sdata.ReadDiagnoses(got.body); len(d) != 1 || d[0].Severity != sdata.Transient || !strings.Contains(d[0].Message, "did not come to its end") || !strings.Contains(d[0].Message, "Post the page again") {
		t.Errorf("diagnoses %s", got.body)
	}
	second.want(t, 409, "GET", strings.Replace(location, "Full", "Other", 1), nil)
	second.want(t, 409, "POST", strings.Replace(post, "Full", "Other", 1), page)
	if again := second.want(t, 202, "POST", post, page).header.Get("Location"); again != location {
		t.Errorf("posted again, it is at %s", again)
	}
	second.want(t, 202, "POST", post, page) // one job
	if len(second.work) != 1 {
		t.Errorf("%d jobs run", len(second.work))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	second.do(ended) // it stops in good order
	third := h.start()
	third.want(t, 503, "GET", location, nil)
	third.want(t, 202, "POST", post, page)
	third.do(t.Context())
	result := third.want(t, 200, "GET", location, nil)
	if h.has("Patient", "p2") != "x" {
		t.Error("the page was not taken")
	}

	fourth := h.start()
	for range 2 {
		if kept := fourth.want(t, 200, "GET", location, nil); string(kept.body) != string(result.body) {
			t.Errorf("the result is another one: %s", kept.body)
		}
	}
	fourth.want(t, 202, "POST", post, page)
	if len(fourth.work) != 0 {
		t.Error("a finished page is taken again")
	}
	fourth.want(t, 200, "DELETE", location, nil)
	fifth := h.start()
	fifth.want(t, 410, "DELETE", location, nil)
	fifth.want(t, 410, "GET", location, nil)
	fifth.want(t, 410, "POST", post, page)
}

// TestBatchDeletedUnfinished: who does not want what came of a batch deletes it while it runs, after it failed, or after its process died.
func TestBatchDeletedUnfinished(t *testing.T) {
	h := newHost(t, "b", nil)
	page := pageOf("catchUp", []uint64{2}, "", change{node: 1, tick: 1, id: "p", text: "x"})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, between := range map[string]func(p *started) *started{
		"running": func(p *started) *started { return p },
		"failed":  func(p *started) *started { p.do(ended); return p },
		"dead":    func(*started) *started { return h.start() },
	} {
		t.Run(name, func(t *testing.T) {
			p := h.start()
			location := p.want(t, 202, "POST", "/sdata/Patient/$syncTarget?trackingID="+h.Engine().Store().NewUUID(), page).header.Get("Location")
			p = between(p)
			p.want(t, 200, "DELETE", location, nil)
			p.do(ended)
			p.want(t, 410, "GET", location, nil)
			p.want(t, 410, "DELETE", location, nil)
			h.start().want(t, 410, "GET", location, nil)
		})
	}
}

// TestRunnerOverRestart: an engine whose target is started anew in the middle of a page posts that page again, and goes on.
func TestRunnerOverRestart(t *testing.T) {
	a, b := newHost(t, "a", nil), newHost(t, "b", nil)
	a.write("Patient", "p", "x")
	p := b.start()
	posts := 0
	rt := trip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			if posts++; posts == 2 {
				defer func() { p.do(r.Context()) }()
			}
		}
		w := httptest.NewRecorder()
		if r.Body == nil {
			r.Body = http.NoBody
		}
		p.ServeHTTP(w, r)
		if r.Method == http.MethodPost && posts == 1 {
			p = b.start() // it dies with the page
		}
		return w.Result(), nil
	})
	n := a.pass(t, a.client(), newClient(t, b.url+"/sdata", rt))
	if n.Entries != 1 || n.Failed != 0 || posts != 2 || b.has("Patient", "p") != "x" {
		t.Errorf("%+v after %d posts", n, posts)
	}
}
