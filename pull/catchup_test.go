package pull_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/pull"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// elder is a parent with its real handlers, and the wire to it, on which answers are cut or forged.
type elder struct {
	t      *testing.T
	eng    *engine.Engine
	mux    *http.ServeMux
	secret string
	asked  int                                    // exchanges of a catch-up
	sent   int                                    // copies that came through in them
	cut    int                                    // lines that come through in all of them before the line breaks, once; below 0 for never
	forge  func(r *http.Request, b string) string // what an answer becomes; nil leaves it
	ask    func(n int)                            // called before the n-th exchange of a catch-up
}

func (e *elder) RoundTrip(r *http.Request) (*http.Response, error) {
	r.RemoteAddr = "192.0.2.1:40000"
	r.Header.Del("Accept-Encoding")
	list := r.URL.Path == "/sync/catchup"
	if list {
		if e.asked++; e.ask != nil {
			e.ask(e.asked)
		}
	}
	out := httptest.NewRecorder()
	e.mux.ServeHTTP(out, r)
	res := out.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if e.forge != nil && res.StatusCode == http.StatusOK {
		body = []byte(e.forge(r, string(body)))
	}
	if list {
		lines := bytes.SplitAfter(body, []byte("\n"))
		if e.cut >= 0 && e.cut < len(lines)-1 {
			lines, e.cut = lines[:e.cut], -1
		} else {
			e.cut -= len(lines) - 1
		}
		body = bytes.Join(lines, nil)
		e.sent += strings.Count(string(body), `"key":`)
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Del("Content-Length")
	return res, nil
}

func wall() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func newElder(t *testing.T) *elder {
	t.Helper()
	e := &elder{t: t, eng: engine.New(shelf(t, "parent"), engine.Config{}), mux: http.NewServeMux(), cut: -1}
	ctl := control.New(e.eng, config.Default(), nil, control.Deps{Clock: wall})
	c, err := ctl.AddChild(t.Context(), "child", "")
	if err != nil {
		t.Fatal(err)
	}
	e.secret = c.Credential
	api.New(api.Deps{Engine: e.eng, Control: ctl, Clock: wall}).Register(e.mux)
	return e
}

func basic(id, text string) engine.Write {
	r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Basic","id":%q,"code":{"text":%q}}`, id, text), 0)
	if err != nil {
		panic(err)
	}
	return engine.Write{Op: engine.Update, Key: r.Key, Body: r}
}

func author(t *testing.T, eng *engine.Engine, writes ...engine.Write) {
	t.Helper()
	if _, err := eng.Author(context.Background(), "test", writes); err != nil {
		t.Fatal(err)
	}
}

// knows lets a child know a change of somebody, so that it asks by knowledge: one that knows nothing reads the log.
func knows(t *testing.T, eng *engine.Engine, types []string) {
	t.Helper()
	err := eng.Store().Write(t.Context(), func(tx *store.Tx) error {
		for _, name := range types {
			if err := tx.Learn([]feed.Known{{Type: name, Vector: version.Vector{{Replica: someone, Tick: 1}}}}, false); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

const someone = version.Replica("77777777-7777-4777-8777-777777777777")

// young is a child of an elder.
type young struct {
	*engine.Engine
	p        *pull.Puller
	restored error // what showed that its database is an older copy
}

func (e *elder) child(types []string) *young {
	e.t.Helper()
	y := &young{Engine: engine.New(shelf(e.t, "child"), engine.Config{})}
	knows(e.t, y.Engine, append(slices.Clone(types), "Basic"))
	e.puller(y, types)
	return y
}

// puller gives a child a puller for other types.
func (e *elder) puller(y *young, types []string) {
	self := clients.Self{Node: "child", Replica: func() string { return replica }, PublicKey: "k", Instance: "i"}
	c := clients.NewNode("http://parent", func() (string, error) { return e.secret, nil }, self, e)
	m := resourcemanager.New(func(string) string { return "node" }, map[string]resourcemanager.Client{"node": c})
	restored := func(_ context.Context, why error) error {
		y.restored = why
		return why
	}
	y.p = pull.New(y.Engine, pull.Parent{Source: c, Lister: c, Knowledge: c.Knowledge, Digest: c.Digest, Manager: m, Restored: restored, Hello: c.Hello, Traffic: c.Traffic},
		pull.Config{Types: types, ParentURL: "http://parent", Clock: wall, Batch: 1, Follows: never})
}

func (y *young) has(t *testing.T, typ, id, text string) {
	t.Helper()
	c, ok, err := y.Store().Get(t.Context(), fhir.Key{Type: typ, ID: id})
	if err != nil || (text != "") != (ok && !c.Stamp.Deleted) || !strings.Contains(string(c.Body), text) {
		t.Errorf("%s/%s is %q, %v, want %q", typ, id, c.Body, err, text)
	}
}

// A catch-up whose line breaks behind any of its lines goes on from its last mark: no more than a page comes twice, what is written
// meanwhile comes by the log, and the child stands at the end of it.
func TestCatchUpIsCutAtEachLine(t *testing.T) {
	const copies, page = 17, 10
	e := newElder(t)
	for i := range copies {
		author(t, e.eng, basic(fmt.Sprintf("k%02d", i), "as listed"))
	}
	lines := copies + 3 + 3 + 1 // names, marks and ends, and one that does not come
	for cut := range lines {
		y := e.child(nil)
		e.asked, e.sent, e.cut = 0, 0, cut
		late, edited := fmt.Sprintf("late%d", cut), fmt.Sprintf("edited %d", cut)
		e.ask = func(n int) {
			if n == 2 {
				author(t, e.eng, basic(late, edited), basic("k00", edited), basic("k16", edited))
			}
		}
		before, err := e.eng.Store().Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = y.p.Pass(t.Context(), 0)
		broke := syncerr.KindOf(err) == syncerr.Transient
		if err != nil && !broke {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if broke {
			pos, err := y.Store().Position(t.Context(), "parent", "pull")
			if at, perr := store.ParsePlace(pos.Resume); err != nil || pos.Seq != 0 || pos.Resume != "" && pos.Resume != store.CatchUp && (perr != nil || at.Head != before.Seq) {
				t.Errorf("cut at %d: it stands at %+v, %v %v, the list is of %s", cut, pos, err, perr, before)
			}
			if _, err = y.p.Pass(t.Context(), 0); err != nil {
				t.Fatalf("cut at %d, again: %v", cut, err)
			}
		}
		keys := copies + cut                         // each round has added one
		if e.sent > keys+1+page || e.sent < keys-2 { // one more where the list begins anew behind the edits, two less where they left it
			t.Errorf("cut at %d: %d copies came for %d", cut, e.sent, keys)
		}
		for id, text := range map[string]string{"k00": edited, "k16": edited, late: edited, "k07": "as listed"} {
			y.has(t, "Basic", id, text)
		}
		head, err := e.eng.Store().Head(t.Context())
		if pos, perr := y.Store().Position(t.Context(), "parent", "pull"); err != nil || perr != nil || pos.Cursor != head || pos.Resume != "" {
			t.Errorf("cut at %d: it ends at %+v, the log at %s", cut, pos, head)
		}
	}
}

// Another scope and another log begin a catch-up, which brings only what is not known.
func TestCatchUpOfAnotherScopeAndLog(t *testing.T) {
	e := newElder(t)
	author(t, e.eng, basic("b", "one"))
	y := e.child([]string{"Basic"})
	pass := func(sent int) {
		t.Helper()
		e.sent = 0
		if _, err := y.p.Pass(t.Context(), 0); err != nil || e.sent != sent {
			t.Fatalf("%d copies came, want %d, %v", e.sent, sent, err)
		}
	}
	pass(1)
	r, err := fhir.Parse([]byte(`{"resourceType":"Flag","id":"f","status":"active"}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	author(t, e.eng, engine.Write{Op: engine.Update, Key: r.Key, Body: r})
	pass(0)
	y.has(t, "Flag", "f", "")
	e.puller(y, []string{"Basic", "Flag"})
	pass(1)
	y.has(t, "Flag", "f", "active")
	if err := e.eng.Restored(t.Context(), "test", nil); err != nil { // a new log, and a new replica
		t.Fatal(err)
	}
	author(t, e.eng, basic("b", "two"))
	e.puller(y, []string{"Basic", "Flag"})
	pass(1)
	y.has(t, "Basic", "b", "two")

	if err := e.eng.Restored(t.Context(), "test", nil); err != nil { // a new log again, and nothing that is not known: what that cost has its row
		t.Fatal(err)
	}
	e.puller(y, []string{"Basic", "Flag"})
	run, err := y.p.Pass(t.Context(), 0)
	if err != nil || run.ID == "" || run.Read != 0 || run.Outcome != "done" {
		t.Errorf("got run %+v, %v", run, err)
	}
	rows, err := y.Store().AuditRecords(t.Context(), audit.Query{Operation: audit.Pull, Limit: 1})
	if err != nil || len(rows) != 1 || rows[0].Action != "CATCH-UP" || rows[0].Run != run.ID {
		t.Errorf("got audit %+v, %v; want the catch-up in run %s", rows, err, run.ID)
	}
}

// What no parent can mean is refused with a reason, recorded, and changes nothing.
func TestHostileCatchUp(t *testing.T) {
	own := version.Replica("") // of the child
	list := func(change func(b string) string) func(*http.Request, string) string {
		return func(r *http.Request, b string) string {
			if r.URL.Path == "/sync/catchup" {
				return change(b)
			}
			return b
		}
	}
	knows := func(path, line string) func(*http.Request, string) string {
		return func(r *http.Request, b string) string {
			if r.URL.Path == path {
				i := strings.LastIndex(strings.TrimSuffix(b, "\n"), "\n") + 1
				return b[:i] + strings.ReplaceAll(line, "OWN", string(own)) + "\n" + b[i:]
			}
			return b
		}
	}
	places := func(first, second string) func(*http.Request, string) string { // of the ends of two pages
		return func(r *http.Request, b string) string {
			at := first
			switch {
			case r.URL.Path != "/sync/catchup":
				return b
			case r.URL.Query().Get("resume") != "":
				at = second
			}
			return `{"mark":{"at":"` + at + `"}}` + "\n" + `{"end":{"cursor":"","more":true}}` + "\n"
		}
	}
	for _, c := range []struct {
		name  string
		forge func(*http.Request, string) string
		why   string
	}{
		{"a place that does not move", func(r *http.Request, b string) string {
			if r.URL.Path != "/sync/catchup" {
				return b
			}
			return `{"mark":{"at":"` + r.URL.Query().Get("resume") + `"}}` + "\n" + `{"end":{"cursor":"","more":true}}` + "\n"
		}, "not further"},
		{"a page that goes back", places("1/Basic/1/"+replica+"/7/k", "1/Basic/1/"+replica+"/3/k"), "goes back"},
		{"a page of a list that was frozen later", places("1/Basic/1/"+replica+"/7/k", "2/Basic/1/"+replica+"/8/k"), "is of change 2"},
		{"a place that is none", places("1/Basic/1/"+replica+"/7/k", "further on"), "is no place"},
		{"a type that was not asked for", list(func(b string) string { return strings.ReplaceAll(b, `"key":"Basic/`, `"key":"Flag/`) }), "not asked for"},
		{"rows of a log", list(func(b string) string { return strings.Replace(b, `"seq":0`, `"seq":1`, 1) }), "as change 1"},
		{"another log", list(func(b string) string {
			return strings.Replace(b, `"end":{"cursor":"`, `"end":{"cursor":"`+epoch+`:1","was":"`, 1)
		}), "another log"},
		{"copies behind the last mark", list(func(b string) string {
			return b[:strings.Index(b, `{"end"`)] + `{"end":{"cursor":"","more":true}}` + "\n"
		}), "behind its last mark"},
		{"knowledge of an unknown type", knows("/sync/knowledge", `{"known":{"type":"Nobody","vector":"1-`+replica+`"}}`), "no"},
		{"knowledge of a type not asked for", knows("/sync/knowledge", `{"known":{"type":"Flag","vector":"1-OWN","forgotten":"1-`+replica+`"}}`), "asked"},
		{"knowledge of one type twice", knows("/sync/knowledge", `{"known":{"type":"Basic","vector":"1-`+replica+`"}}`), "twice"},
		{"changes of this node that it never made", knows("/sync/changes", `{"known":{"type":"Basic","vector":"7-OWN"}}`), "claims to know change 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newElder(t)
			author(t, e.eng, basic("b", "one"), basic("c", "one"))
			y := e.child([]string{"Basic"})
			own = y.Store().Identity().Replica
			flag, err := fhir.Parse([]byte(`{"resourceType":"Flag","id":"mine","status":"active"}`), 0)
			if err != nil {
				t.Fatal(err)
			}
			author(t, y.Engine, engine.Write{Op: engine.Update, Key: flag.Key, Body: flag})
			e.forge = c.forge
			_, err = y.p.Pass(t.Context(), 0)
			if err == nil || !strings.Contains(err.Error(), c.why) {
				t.Errorf("got %v, want %q in it", err, c.why)
			}
			rows, err := y.Store().AuditRecords(t.Context(), audit.Query{Outcome: audit.Failed})
			if err != nil || len(rows) == 0 || !strings.Contains(rows[0].Details, c.why) {
				t.Errorf("the audit does not say it: %+v, %v", rows, err)
			}
			y.has(t, "Flag", "mine", "active")
			y.has(t, "Flag", "b", "")
			known, err := y.Store().Knowledge(t.Context(), []string{"Basic"})
			if err != nil || len(known) != 1 || len(known[0].Lacks) > 0 || !known[0].Vector.Equal(version.Vector{{Replica: someone, Tick: 1}}) {
				t.Errorf("it took over %+v, %v", known, err)
			}
		})
	}
}

// A parent that goes back in what it knows, or claims changes that this node never made, is an older copy of itself or this node is: the
// full comparison does not begin.
func TestComparisonWithClaimsOnThisNode(t *testing.T) {
	e := newElder(t)
	author(t, e.eng, basic("b", "one"))
	y := e.child([]string{"Basic"})
	author(t, y.Engine, basic("mine", "never sent"))
	own := y.Store().Identity().Replica
	e.forge = func(r *http.Request, b string) string {
		if r.URL.Path != "/sync/knowledge" {
			return b
		}
		return fmt.Sprintf(`{"known":{"type":"Basic","vector":"9-%s","forgotten":"9-%s"}}`+"\n"+`{"end":{"cursor":""}}`+"\n", own, own)
	}
	if _, err := y.p.Pass(t.Context(), 0); err == nil || y.restored == nil || !strings.Contains(y.restored.Error(), "claims to know change 9") {
		t.Errorf("got %v, and it was told %v", err, y.restored)
	}
	y.has(t, "Basic", "mine", "never sent")
}

// A line of a feed that tells of a revision below the one that was told before goes back.
func TestKnowledgeThatGoesBack(t *testing.T) {
	e := newElder(t)
	author(t, e.eng, basic("b", "one"))
	y := e.child(nil)
	if _, err := y.p.Pass(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	before, err := y.Store().Position(t.Context(), "parent", "pull")
	if err != nil || before.Revision == 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	author(t, e.eng, basic("b", "two"), basic("c", "two"))
	e.forge = func(r *http.Request, b string) string {
		if i := strings.Index(b, `"revision":`); r.URL.Path == "/sync/changes" && i > 0 {
			return b[:i] + `"revision":1}}` + "\n"
		}
		return b
	}
	if err := y.Store().Write(t.Context(), func(tx *store.Tx) error {
		p := before
		p.Revision = 5
		return tx.SetPosition("parent", "pull", p)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := y.p.Pass(t.Context(), 0); syncerr.KindOf(err) != syncerr.Invalid || !strings.Contains(err.Error(), "goes back") {
		t.Errorf("got %v", err)
	}
	if after, err := y.Store().Position(t.Context(), "parent", "pull"); err != nil || after.Revision != 5 {
		t.Errorf("it stands at %+v, %v", after, err)
	}
}
