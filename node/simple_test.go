package node_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
)

// registry is a source that can only answer: a list of places.
type registry struct {
	*running
	text   atomic.Pointer[string]
	status atomic.Int32
}

// besideRegistry starts a node with a registry whose missing records are deletions.
func besideRegistry(t *testing.T, change func(*config.Server)) *registry {
	t.Helper()
	r := &registry{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s := r.status.Load(); s != 0 {
			w.WriteHeader(int(s))
			return
		}
		_, _ = w.Write([]byte(*r.text.Load()))
	}))
	t.Cleanup(web.Close)
	r.running = start(t, "nation", nil, node.Deps{}, func(c *config.Config) {
		s := config.Server{
			Feed: []string{web.URL + "/list"}, Changes: config.FromList, Absent: config.AbsentDelete, Every: config.Duration(time.Hour),
			List: config.List{Items: "rows", Total: "n", Resource: `{"resourceType":"Location","id":"{c}","name":"{name}"}`}, Pull: []config.TypeRule{{Type: "Location"}},
		}
		if change != nil {
			change(&s)
		}
		c.Servers, c.Conflicts.Default = map[string]config.Server{"registry": s}, reconcile.Merging
	})
	return r
}

// lists sets what the registry has: ids, with a name of all.
func (r *registry) lists(name string, ids ...string) {
	rows := make([]string, len(ids))
	for i, id := range ids {
		rows[i] = fmt.Sprintf(`{"c":%q,"name":%q}`, id, name)
	}
	r.says(fmt.Sprintf(`{"rows":[%s],"n":%d}`, strings.Join(rows, ","), len(ids)))
}

func (r *registry) says(text string) { r.text.Store(&text) }

// asked runs a pass, which must fail with the words, or go well where they are empty.
func (r *registry) asked(t *testing.T, words string) {
	t.Helper()
	_, err := r.Sync(context.Background(), "pull")
	if (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
		t.Fatalf("%v, want %q", err, words)
	}
}

// live returns how many places the node has.
func (r *registry) live(t *testing.T) int64 {
	t.Helper()
	_, _, n, err := r.Engine().Store().List(context.Background(), "Location", 0, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func numbered(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint("p", i))
	}
	return out
}

// What a source does not list any more is deleted, but never because it answers with less than it has.
func TestAbsenceIsDeletionOnlyWhereItIsSure(t *testing.T) {
	r := besideRegistry(t, nil)
	r.lists("a", numbered(100)...)
	r.asked(t, "")
	if n := r.live(t); n != 100 {
		t.Fatal(n)
	}
	r.lists("a", numbered(95)...)
	r.asked(t, "")
	if n := r.live(t); n != 95 {
		t.Fatal(n)
	}
	all := numbered(95)
	for what, set := range map[string]func(){
		"nothing any more":    func() { r.lists("b") },
		"85 of 95 documents":  func() { r.lists("b", all[:10]...) },
		"records and gave 95": func() { r.says(strings.Replace(*r.text.Load(), `"n":95`, `"n":200`, 1)) },
		"no whole JSON":       func() { text := *r.text.Load(); r.says(text[:len(text)/2]) },
		"it answered 500":     func() { r.status.Store(500) },
		"it answered 401":     func() { r.status.Store(401) },
		"it answered 404":     func() { r.status.Store(404) },
		"no list of records":  func() { r.says(`{"error":"later"}`) },
		"does not say":        func() { r.says(`{"rows":[]}`) },
		"has no value for":    func() { r.says(strings.Replace(*r.text.Load(), `"c":"p0"`, `"d":"p0"`, 1)) },
	} {
		r.status.Store(0)
		r.lists("a", all...)
		set()
		for range 2 {
			r.asked(t, what)
		}
		if n := r.live(t); n != 95 {
			t.Fatalf("%s: %d", what, n)
		}
	}
	runs, err := r.Control().Runs(context.Background(), "", 100)
	failed := 0
	for _, run := range runs {
		if run.Outcome == "failed" && run.Error != "" {
			failed++
		}
	}
	if err != nil || failed != 20 {
		t.Errorf("%d failed runs, %v", failed, err)
	}
	r.status.Store(0)
	r.lists("c", all...) // what it has is taken all the same, and everything is well again
	r.asked(t, "")
	if parked, err := r.Engine().Store().Parked(context.Background(), store.ParkedFilter{}); err != nil || len(parked) != 0 {
		t.Errorf("%+v %v", parked, err)
	}
	r.named(t, "p0", "c")
	before := len(auditOf(t, r))
	r.asked(t, "")
	if after := len(auditOf(t, r)); after != before {
		t.Errorf("an idle pass wrote %d rows", after-before)
	}
}

func auditOf(t *testing.T, r *registry) []audit.Record {
	t.Helper()
	rows, err := r.Engine().Store().AuditRecords(context.Background(), audit.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// named checks the name of a place.
func (r *registry) named(t *testing.T, id, name string) {
	t.Helper()
	c, ok, err := r.Engine().Store().Get(context.Background(), fhir.Key{Type: "Location", ID: id})
	if err != nil || !ok || !strings.Contains(string(c.Body), fmt.Sprintf("%q", name)) {
		t.Errorf("%s: %s %v", id, c.Body, err)
	}
}

// A record that cannot be read is parked once and harms no other, and versions stand under a replica of the source.
func TestUnreadableRecords(t *testing.T) {
	r := besideRegistry(t, func(s *config.Server) { s.Absent = config.AbsentKeep })
	r.says(`{"rows":[{"c":"a","name":"A"},{"name":"no code"},{"c":"b","name":"B"},17],"n":4}`)
	for range 3 {
		r.asked(t, "")
	}
	if n := r.live(t); n != 2 {
		t.Error(n)
	}
	parked, err := r.Engine().Store().Parked(context.Background(), store.ParkedFilter{})
	if err != nil || len(parked) != 1 || parked[0].Peer != "registry" || !strings.Contains(parked[0].Reason, "record") {
		t.Errorf("%+v %v", parked, err)
	}
	rows := 0
	for _, rec := range auditOf(t, r) {
		if rec.Outcome == audit.Parked {
			rows++
		}
	}
	if rows != 1 {
		t.Errorf("%d rows tell of what is parked", rows)
	}
	c, _, err := r.Engine().Store().Get(context.Background(), fhir.Key{Type: "Location", ID: "a"})
	names, nerr := r.Engine().Store().Names(context.Background(), nil)
	if err != nil || nerr != nil || c.Stamp.Version.Replica == r.Engine().Store().Identity().Replica || c.Stamp.Author != c.Stamp.Version.Replica {
		t.Errorf("%+v %v %v", c.Stamp, names, err)
	}
	r.lists("A", "a", "b")
	r.asked(t, "")
	if parked, err = r.Engine().Store().Parked(context.Background(), store.ParkedFilter{}); err != nil || len(parked) != 0 {
		t.Errorf("%+v %v", parked, err)
	}
	r.lists("A", "b")
	r.asked(t, "")
	if n := r.live(t); n != 2 {
		t.Errorf("%d: absence is no deletion unless it is configured", n)
	}
}

// A server with a history that says that nearly everything was deleted is taken for a broken one where a limit is set.
func TestEverythingDeleted(t *testing.T) {
	s := beside{&emrtest.FHIRServer{Clock: time.Now}, t}
	web := httptest.NewServer(s)
	defer web.Close()
	n := start(t, "nation", nil, node.Deps{}, func(c *config.Config) {
		c.Servers = map[string]config.Server{"registry": {
			URL: web.URL + "/fhir", Changes: config.FromHistory, AbsentLimit: 20, Every: config.Duration(time.Hour), Pull: []config.TypeRule{{Type: "Location"}},
		}}
	})
	r := &registry{running: n}
	for _, id := range numbered(50) {
		s.write(fhir.Key{Type: "Location", ID: id}, "en")
	}
	r.asked(t, "")
	for _, id := range numbered(8) {
		s.Put(fhir.Key{Type: "Location", ID: id}, nil)
	}
	r.asked(t, "")
	if n := r.live(t); n != 42 {
		t.Fatal(n)
	}
	for _, id := range numbered(50)[8:40] {
		s.Put(fhir.Key{Type: "Location", ID: id}, nil)
	}
	for range 2 {
		r.asked(t, "32 of 42 documents were deleted")
	}
	if n := r.live(t); n != 42 {
		t.Error(n)
	}
}

// MS12 (reference/seed-protocols.md section 3.8): a source that can only answer changes the name of a place while a person here changes its phone:
// there is no conflict, and both changes stand. Of one that changes what the person changed as well, there is one.
func TestMS12SimpleParticipant(t *testing.T) {
	r := besideRegistry(t, func(s *config.Server) {
		s.List.Resource = `{"resourceType":"Location","id":"{c}","name":"{name}","telecom":[{"system":"phone","use":"work","value":"{phone|text}"}]}`
	})
	says := func(name, phone string) {
		r.says(fmt.Sprintf(`{"rows":[{"c":"a","name":%q,"phone":%q}],"n":1}`, name, phone))
	}
	edit := func(name, phone string) {
		t.Helper()
		body, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Location","id":"a","name":%q,"telecom":[{"system":"phone","use":"work","value":%q}]}`, name, phone), 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Engine().Author(context.Background(), "test", []engine.Write{{Op: engine.Update, Key: body.Key, Body: body}}); err != nil {
			t.Fatal(err)
		}
	}
	open := func() int {
		t.Helper()
		found, err := r.Control().Conflicts(context.Background(), control.ConflictQuery{Status: store.ConflictOpen})
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	says("North", "1")
	r.asked(t, "")
	edit("North", "2")
	says("North and West", "1")
	r.asked(t, "")
	r.named(t, "a", "North and West")
	r.named(t, "a", "2")
	if n := open(); n != 0 {
		t.Errorf("%d conflicts", n)
	}
	edit("North and East", "2")
	says("North and South", "1")
	r.asked(t, "")
	if n := open(); n != 1 {
		t.Errorf("%d conflicts of one name changed twice", n)
	}
}
