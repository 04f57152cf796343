package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/store"
)

const adminToken = "the-operators-token"

// world is a node's API over a database of its own, called in process.
type world struct {
	t   testing.TB
	st  *store.Store
	eng *engine.Engine
	mux *http.ServeMux
}

func newWorld(t testing.TB, change ...func(*api.Deps)) *world {
	t.Helper()
	opts := store.Options{DSN: filepath.Join(t.TempDir(), "n.db"), Volatile: true, Clock: ticking()}
	st, err := store.Create(context.Background(), opts, "clinic", 10)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, st: st, mux: http.NewServeMux()}
	w.serve(engine.New(st, engine.Config{}), change...)
	return w
}

// ticking is a clock that goes on by a millisecond whenever it is read, so that no two writes share a time.
func ticking() func() time.Time {
	var n atomic.Int64
	return func() time.Time { return time.UnixMilli(1_800_000_000_000 + n.Add(1)) }
}

func (w *world) serve(eng *engine.Engine, change ...func(*api.Deps)) {
	w.eng, w.mux = eng, http.NewServeMux()
	d := api.Deps{
		Engine: eng, Clock: time.Now, Control: control.New(eng, config.Config{}, nil, control.Deps{}), AdminToken: adminToken,
		Version: "test", URL: "http://node.example",
	}
	for _, c := range change {
		c(&d)
	}
	api.New(d).Register(w.mux)
}

// answer is a response with its body read.
type answer struct {
	t      testing.TB
	call   string
	status int
	header http.Header
	body   []byte
}

// as is who calls by default: an application on this machine.
func as(r *http.Request) {
	r.RemoteAddr, r.Host = "127.0.0.1:40000", "localhost:8080"
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func (w *world) do(method, path, body string, change ...func(*http.Request)) answer {
	w.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, in)
	as(r)
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	for _, c := range change {
		c(r)
	}
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	return answer{w.t, method + " " + path, rec.Code, rec.Header(), rec.Body.Bytes()}
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%.200s: got %d, want %d: %.500s", a.call, a.status, status, a.body)
	}
	return a
}

// issue checks that the body is an OperationOutcome of that code whose text has the words.
func (a answer) issue(code string, words ...string) answer {
	a.t.Helper()
	var o struct {
		ResourceType string
		Issue        []struct{ Severity, Code, Diagnostics string }
	}
	if err := json.Unmarshal(a.body, &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) != 1 || o.Issue[0].Severity != "error" {
		a.t.Fatalf("%s: no OperationOutcome: %v: %.300s", a.call, err, a.body)
	}
	if o.Issue[0].Code != code {
		a.t.Errorf("%s: issue code %q, want %q (%s)", a.call, o.Issue[0].Code, code, o.Issue[0].Diagnostics)
	}
	for _, word := range words {
		if !strings.Contains(o.Issue[0].Diagnostics, word) {
			a.t.Errorf("%s: %q does not say %q", a.call, o.Issue[0].Diagnostics, word)
		}
	}
	if got := a.header.Get("Content-Type"); got != "application/fhir+json; charset=utf-8" {
		a.t.Errorf("%s: Content-Type %q", a.call, got)
	}
	return a
}

type link struct{ Relation, URL string }

type entry struct {
	FullURL  string `json:"fullUrl"`
	Resource json.RawMessage
	Search   struct{ Mode string }
	Request  struct{ Method, URL string }
	Response struct {
		Status, Location, Etag, LastModified string
		Outcome                              json.RawMessage
	}
}

type bundle struct {
	ResourceType, Type string
	Total              *int64
	Link               []link
	Entry              []entry
}

func (b bundle) link(relation string) string {
	for _, l := range b.Link {
		if l.Relation == relation {
			return l.URL
		}
	}
	return ""
}

func (a answer) bundle(kind string) bundle {
	a.t.Helper()
	var b bundle
	if err := json.Unmarshal(a.want(200).body, &b); err != nil || b.ResourceType != "Bundle" || b.Type != kind {
		a.t.Fatalf("%s: no Bundle of type %s: %v: %.300s", a.call, kind, err, a.body)
	}
	return b
}

func patient(id, family string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"identifier":[{"system":"urn:s","value":%q}],"name":[{"family":%q}]}`, id, id, family)
}

// version returns the version that an ETag names.
func (a answer) version() string {
	return strings.TrimSuffix(strings.TrimPrefix(a.header.Get("ETag"), `W/"`), `"`)
}

func (a answer) contains(text string) answer {
	a.t.Helper()
	if !bytes.Contains(a.body, []byte(text)) {
		a.t.Errorf("%s: %.500s does not contain %s", a.call, a.body, text)
	}
	return a
}
