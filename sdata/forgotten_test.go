package sdata_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/sdata"
	"github.com/tributary-sync/tributary/syncerr"
)

func (h *host) remove(ids ...string) {
	h.t.Helper()
	for _, id := range ids {
		w := engine.Write{Op: engine.Delete, Key: fhir.Key{Type: "Patient", ID: id}}
		if _, err := h.Engine().Author(context.Background(), "test", []engine.Write{w}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// many writes so many Patients, p000 and on.
func (h *host) many(n int) {
	h.t.Helper()
	var all []engine.Write
	for i := range n {
		res, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Patient","id":"p%03d","text":{"status":"generated","div":"from a"}}`, i), 0)
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, engine.Write{Op: engine.Update, Key: res.Key, Body: res})
	}
	if _, err := h.Engine().Author(context.Background(), "test", all); err != nil {
		h.t.Fatal(err)
	}
}

// collect lets an hour go by and takes the tombstones out, so many as there have to be.
func (h *host) collect(tombstones int) {
	h.t.Helper()
	h.later.Add(int64(time.Hour))
	got, err := h.Engine().Collect(h.t.Context(), engine.Collecting{Keep: time.Minute})
	if err != nil || got.Tombstones != tombstones {
		h.t.Fatalf("collected %+v, %v; want %d tombstones", got, err, tombstones)
	}
}

// counted asks for pages of so many entries.
func (h *host) counted(n int) http.RoundTripper {
	return trip(func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "$syncSource(") && !r.URL.Query().Has("count") {
			q := r.URL.Query()
			q.Set("count", fmt.Sprint(n))
			r.URL.RawQuery = q.Encode()
		}
		return h.RoundTrip(r)
	})
}

// TestForgottenDeletions: two nodes are brought together by the engine alone. One deletes, and collects what it deleted, before the other hears of it
// (MS10): what was deleted goes at the other one, what was changed there since stays, and what it made stays. The engine is ended at each of its exchanges
// in turn, and the next one ends the same.
func TestForgottenDeletions(t *testing.T) {
	for at := 0; ; at++ { // 0 ends it nowhere
		a, b := newHost(t, "a", lastWriter), newHost(t, "b", lastWriter)
		a.many(103)
		a.pass(t, a.client(), b.client())
		a.remove("p007", "p050", "p101", "p102")
		a.write("Patient", "p009", "edited at a")
		a.collect(4)
		b.write("Patient", "p050", "edited at b")
		b.write("Patient", "made", "at b")
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		ending := func(rt http.RoundTripper) http.RoundTripper {
			return trip(func(r *http.Request) (*http.Response, error) {
				if calls++; calls == at {
					cancel()
					return nil, context.Canceled
				}
				return rt.RoundTrip(r)
			})
		}
		_, err := runner(newClient(t, a.url+"/sdata", ending(a.counted(1))), newClient(t, b.url+"/sdata", ending(b))).Pass(ctx, "Patient")
		cancel()
		if killed := errors.Is(err, context.Canceled); err != nil && !killed {
			t.Fatal(err)
		}
		over := err == nil && at > 0
		for range 2 {
			a.pass(t, newClient(t, a.url+"/sdata", a.counted(1)), b.client())
			a.pass(t, b.client(), a.client())
		}
		for id, want := range map[string]string{
			"p007": "gone", "p101": "gone", "p102": "gone", "p050": "edited at b", "made": "at b", "p008": "from a", "p009": "edited at a", "p100": "from a",
		} {
			if x, y := a.has("Patient", id), b.has("Patient", id); x != want || y != want {
				t.Errorf("ended at exchange %d: %s is %q at a and %q at b, want %q", at, id, x, y, want)
			}
		}
		a.same(b)
		if n := a.pass(t, a.client(), b.client()); n.Entries != 0 || n.Pages != 1 {
			t.Errorf("ended at exchange %d: an idle round brings %+v", at, n)
		}
		rows := b.audit(audit.Query{Run: sdata.RunID("test", "2024-05-01T10:00:00Z"), Operation: audit.Receive, Type: "Patient", ID: "p007", Limit: 100})
		if len(rows) == 0 || !strings.Contains(rows[0].Details, "removed by a full comparison") {
			t.Errorf("ended at exchange %d: %d rows of the audit tell what was removed", at, len(rows))
		}
		if over {
			if calls < 10 {
				t.Fatalf("a pass with 2 lists had %d exchanges", calls)
			}
			return
		}
	}
}

// TestForgottenMeanwhile: deletions that are collected while a pass is under way are in no page behind that, though the digest of the pass has them.
func TestForgottenMeanwhile(t *testing.T) {
	a, b := newHost(t, "a", nil), newHost(t, "b", nil)
	for i := range 3 {
		a.write("Patient", fmt.Sprint("p", i), "x")
	}
	a.pass(t, a.client(), b.client())
	a.remove("p0")
	digest := b.must(200, "GET", "/sdata/Patient/$syncDigest", nil).body
	page, location, _ := a.select1(digest, "")
	if len(page.Entries) != 1 || page.Present != nil {
		t.Fatalf("the page has %d entries, %+v", len(page.Entries), page.Present)
	}
	a.collect(1)
	got := a.must(410, "GET", location, nil)
	if d := sdata.ReadDiagnoses(got.body); len(d) != 1 || !strings.Contains(d[0].Message, "deletions were collected here since") {
		t.Errorf("diagnoses %s", got.body)
	}
	a.pass(t, a.client(), b.client())
	if b.has("Patient", "p0") != "gone" {
		t.Errorf("b has %q", b.has("Patient", "p0"))
	}
}

// TestForgottenNotCompared: a page behind a list that was passed over is refused, and nothing of it is taken.
func TestForgottenNotCompared(t *testing.T) {
	a, b := newHost(t, "a", nil), newHost(t, "b", nil)
	a.write("Patient", "p", "x")
	a.pass(t, a.client(), b.client())
	a.remove("p")
	a.collect(1)
	a.write("Patient", "q", "x")
	digest := b.must(200, "GET", "/sdata/Patient/$syncDigest", nil).body
	list, _, listed := a.select1(digest, "")
	if list.Present == nil || len(list.Entries) != 0 || list.Next == "" {
		t.Fatalf("the first page is %+v", list)
	}
	changes := a.must(200, "GET", list.Next, nil).body
	b.apply(409, changes)
	if b.has("Patient", "q") != "" || b.has("Patient", "p") != "x" {
		t.Error("something of the page was taken")
	}
	b.apply(400, bytes.Replace(listed, []byte("catchUp"), []byte("immediate"), 1))
	b.apply(200, listed)
	b.apply(200, changes)
	if b.has("Patient", "q") != "x" || b.has("Patient", "p") != "gone" {
		t.Errorf("q is %q, p %q", b.has("Patient", "q"), b.has("Patient", "p"))
	}
}

// TestForgottenPlainPeer: a peer that is no node and missed deletions which are collected is refused, since SData has no words for them; one that knows nothing of
// the network is not. What it still has and sends comes back to no life.
func TestForgottenPlainPeer(t *testing.T) {
	h := newHost(t, "node", func(cfg *config.Config) { cfg.Conflicts.Default = "replica-priority" })
	p := newPlain(t, endpoint(1))
	p.put(uuid1, document(uuid1, "theirs"))
	p.put(uuid2, document(uuid2, "theirs"))
	h.pass(t, p.client(), h.client())
	h.pass(t, h.client(), p.client())
	h.remove(uuid1)
	h.collect(1)
	h.write("Patient", "more", "x")
	_, err := runner(h.client(), p.client()).Pass(t.Context(), "Patient")
	if syncerr.KindOf(err) != syncerr.Conflict || !strings.Contains(err.Error(), "the target was away too long") {
		t.Fatalf("the pass ended with %v", err)
	}
	if p.rows[sdata.UUIDOf("Patient", "more")].payload != "" {
		t.Error("the peer was given something")
	}
	// It sends all that it has again.
	page := runnerPage(t, p)
	h.apply(200, page)
	if h.has("Patient", uuid1) != "" || h.has("Patient", uuid2) != "theirs" {
		t.Errorf("what was deleted is %q", h.has("Patient", uuid1))
	}
	fresh := newPlain(t, endpoint(2))
	if n := h.pass(t, h.client(), fresh.client()); n.Entries != 2 || len(fresh.rows) != 2 {
		t.Errorf("a fresh peer gets %+v", n)
	}
	h.remove("more") // and learns what is deleted from now on, before it is collected and afterwards
	h.pass(t, h.client(), fresh.client())
	h.collect(1)
	h.write("Patient", "last", "x")
	if n := h.pass(t, h.client(), fresh.client()); n.Entries != 1 || !fresh.rows[sdata.UUIDOf("Patient", "more")].deleted {
		t.Errorf("%+v", n)
	}
}

// runnerPage returns all that a plain peer has, as one page.
func runnerPage(t *testing.T, p *plain) []byte {
	t.Helper()
	first, err := p.client().Select(t.Context(), "Patient", sdata.Run{Name: "test"}, digestOf())
	if err != nil {
		t.Fatal(err)
	}
	return first.Body
}
