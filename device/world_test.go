package device_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/node"
)

// world is a node that answers in this process.
type world struct {
	*node.Node
	t   testing.TB
	cfg config.Config
	now time.Time
	// hook counts the statements of write transactions, where it is set.
	hook atomic.Pointer[atomic.Int64]
}

// each runs a test on both databases.
func each(t *testing.T, run func(w *world)) {
	t.Helper()
	testdb.Each(t, func(t *testing.T, driver, dsn string) { run(newWorld(t, driver, dsn)) })
}

func newWorld(t testing.TB, driver, dsn string) *world {
	t.Helper()
	w := &world{t: t, cfg: config.Default(), now: time.Date(2024, 5, 1, 8, 0, 0, 0, time.UTC)}
	w.cfg.Node.Name, w.cfg.Node.DataDir, w.cfg.Node.URL = "clinic", t.TempDir(), "http://clinic.example"
	w.cfg.Store.Driver, w.cfg.Store.DSN = driver, dsn
	deps := node.Deps{Clock: func() time.Time { return w.now }, Volatile: true, Hook: func(string) error {
		if n := w.hook.Load(); n != nil {
			n.Add(1)
		}
		return nil
	}}
	if err := node.Init(context.Background(), w.cfg, deps); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(context.Background(), w.cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	w.Node = n
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// put writes a resource with further members after the id.
func (w *world) put(typ, id, more string) {
	w.t.Helper()
	w.author(engine.Update, typ, id, more)
}

// fill writes count resources of a type, each with an id made by form and further members.
func (w *world) fill(typ string, count int, form string, more func(i int) string) {
	w.t.Helper()
	const batch = 500
	for from := 0; from < count; from += batch {
		var writes []engine.Write
		for i := from; i < min(count, from+batch); i++ {
			text := ""
			if more != nil {
				text = more(i)
			}
			res, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":%q,"id":%q%s}`, typ, fmt.Sprintf(form, i), text), 0)
			if err != nil {
				w.t.Fatal(err)
			}
			writes = append(writes, engine.Write{Op: engine.Update, Key: res.Key, Body: res})
		}
		if _, err := w.Engine().Author(context.Background(), "test", writes); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) remove(typ, id string) {
	w.t.Helper()
	w.author(engine.Delete, typ, id, "")
}

func (w *world) author(op engine.Op, typ, id, more string) {
	w.t.Helper()
	write := engine.Write{Op: op, Key: fhir.Key{Type: typ, ID: id}}
	if op != engine.Delete {
		res, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":%q,"id":%q%s}`, typ, id, more), 0)
		if err != nil {
			w.t.Fatal(err)
		}
		write.Body = res
	}
	if _, err := w.Engine().Author(context.Background(), "test", []engine.Write{write}); err != nil {
		w.t.Fatal(err)
	}
}

// audited counts the rows of an operation with an outcome.
func (w *world) audited(op audit.Operation, outcome audit.Outcome) int {
	w.t.Helper()
	rows, err := w.Engine().Store().AuditRecords(context.Background(), audit.Query{Operation: op, Outcome: outcome, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(rows)
}

// phone is a device with the credential of a registration.
type phone struct {
	w     *world
	token string
	uuid  string
}

// admit adds a registration that may see scope, and its device.
func (w *world) admit(name string, scope ...string) phone {
	w.t.Helper()
	d, err := w.Control().AddDevice(context.Background(), name, scope)
	if err != nil {
		w.t.Fatal(err)
	}
	return phone{w, d.Credential, "device-of-" + name}
}

type item struct {
	Data map[string]any `json:"data"`
	Meta struct {
		Type string `json:"type"`
		Sync struct {
			Event    string `json:"event_type"`
			Key      string `json:"ack_key"`
			Revision uint64 `json:"revision"`
		} `json:"sync"`
	} `json:"meta"`
}

// String says what the item is, as "created Patient/1".
func (i item) String() string {
	return fmt.Sprintf("%s %s/%s", i.Meta.Sync.Event, i.Meta.Type, i.Data["id"])
}

type page struct {
	Items []item `json:"items"`
	Meta  struct {
		Type   string              `json:"type"`
		Count  int                 `json:"count"`
		Left   int                 `json:"count_left"`
		Failed []map[string]string `json:"failed_objects"`
	} `json:"meta"`
}

func (p phone) call(method, path, body string, want int, into any) string {
	p.w.t.Helper()
	r := httptest.NewRequestWithContext(p.w.t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:1234"
	r.Header.Set("Authorization", "Bearer "+p.token)
	if p.uuid != "" {
		r.Header.Set("X-Tributary-Device-UUID", p.uuid)
	}
	rec := httptest.NewRecorder()
	p.w.Handler().ServeHTTP(rec, r)
	if rec.Code != want {
		p.w.t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
	if into != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
			p.w.t.Fatalf("%s: %v in %s", path, err, rec.Body)
		}
	}
	if (want == http.StatusNoContent || want == http.StatusAccepted) && rec.Body.Len() > 0 {
		p.w.t.Fatalf("%d has a body: %s", want, rec.Body)
	}
	return rec.Body.String()
}

// start begins a session that must have that many pages and items.
func (p phone) start(pages, total int) string {
	p.w.t.Helper()
	var got struct {
		Data struct {
			ID     string `json:"id"`
			Queues []struct {
				Data struct {
					Name  string `json:"name"`
					Pages int    `json:"pages"`
					Total int    `json:"total_count"`
				} `json:"data"`
				Meta struct {
					Type  string            `json:"type"`
					Links map[string]string `json:"links"`
				} `json:"meta"`
			} `json:"queues"`
		} `json:"data"`
		Meta struct {
			Type string `json:"type"`
		} `json:"meta"`
	}
	p.call("POST", "/v2/sync/start", "", http.StatusCreated, &got)
	q := got.Data.Queues[0]
	self := "http://clinic.example/v2/sync/" + got.Data.ID + "/queues/main"
	if got.Meta.Type != "sync_session" || q.Meta.Type != "sync_queue" || q.Data.Name != "main" || q.Meta.Links["self"] != self {
		p.w.t.Errorf("%+v", got)
	}
	if q.Data.Pages != pages || q.Data.Total != total {
		p.w.t.Errorf("%d pages, %d items, not %d and %d", q.Data.Pages, q.Data.Total, pages, total)
	}
	return got.Data.ID
}

// nothing starts a session that must not be there.
func (p phone) nothing() {
	p.w.t.Helper()
	p.call("POST", "/v2/sync/start", "", http.StatusNoContent, nil)
}

// page reads a page; nil where the queue is drained.
func (p phone) page(session string) *page {
	p.w.t.Helper()
	out := page{}
	path := "/v2/sync/" + session + "/queues/main"
	r := httptest.NewRequestWithContext(p.w.t.Context(), "GET", path, nil)
	r.RemoteAddr = "192.0.2.7:1234"
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("X-Basecrm-Device-UUID", p.uuid) // either header does
	rec := httptest.NewRecorder()
	p.w.Handler().ServeHTTP(rec, r)
	if rec.Code == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != http.StatusOK {
		p.w.t.Fatalf("%d %s %v", rec.Code, rec.Body, err)
	}
	if len(out.Items) == 0 || out.Meta.Count != len(out.Items) || out.Meta.Type != "collection" {
		p.w.t.Errorf("an empty page, or one that counts wrong: %s", rec.Body)
	}
	return &out
}

// drain reads a session to its end.
func (p phone) drain(session string) (out []item) {
	p.w.t.Helper()
	for got := p.page(session); got != nil; got = p.page(session) {
		out = append(out, got.Items...)
	}
	return out
}

// ack acknowledges items.
func (p phone) ack(items ...item) {
	p.w.t.Helper()
	keys := make([]string, len(items))
	for i, item := range items {
		keys[i] = item.Meta.Sync.Key
	}
	p.ackKeys(keys...)
}

func (p phone) ackKeys(keys ...string) {
	p.w.t.Helper()
	body, err := json.Marshal(map[string]any{"data": map[string]any{"ack_keys": append([]string{}, keys...)}})
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.call("POST", "/v2/sync/ack", string(body), http.StatusAccepted, nil)
}

// sync runs a whole session, acknowledges everything and returns what came, as text.
func (p phone) sync() string {
	p.w.t.Helper()
	var got struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	p.call("POST", "/v2/sync/start", "", http.StatusCreated, &got)
	items := p.drain(got.Data.ID)
	p.ack(items...)
	return text(items)
}

func text(items []item) string {
	var b bytes.Buffer
	for i, item := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(item.String())
	}
	return b.String()
}

func want(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
