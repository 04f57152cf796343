package device_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// A session of another device is refused and audited, whoever owns that device.
func TestForeignSession(t *testing.T) {
	each(t, func(w *world) {
		w.put("Patient", "1", "")
		p, other := w.admit("phone", "*"), w.admit("tablet", "*")
		s := p.start(1, 1)
		other.start(1, 1)
		changed := phone{w, p.token, "reinstalled"}
		for n, thief := range []phone{other, changed} {
			body := thief.call("GET", "/v2/sync/"+s+"/queues/main", "", http.StatusForbidden, nil)
			if !strings.Contains(body, "another device") || w.audited(audit.Refuse, audit.Refused) != n+1 {
				w.t.Errorf("%s, %d refusals", body, w.audited(audit.Refuse, audit.Refused))
			}
		}
		for _, id := range []string{"none", "..%2f", strings.Repeat("x", 5000)} {
			p.call("GET", "/v2/sync/"+id+"/queues/main", "", http.StatusNotFound, nil)
		}
		p.call("HEAD", "/v2/sync/"+s+"/queues/main", "", http.StatusNotFound, nil)
		if got := text(p.drain(s)); got != "created Patient/1" {
			w.t.Errorf("the owner gets %s", got)
		}
	})
}

// A device may use its sessions and nothing else, and nobody else may use them.
func TestWhoMay(t *testing.T) {
	w := newWorld(t, "sqlite", testdb.SQLite(t))
	w.put("Patient", "1", "")
	p := w.admit("phone", "*")
	for _, call := range []string{"GET /fhir/R4/Patient/1", "GET /ws/atomfeed/all/recent", "GET /control/v1/status", "GET /metrics", "GET /sync/changes", "POST /fhir/R4/Patient"} {
		method, path, _ := strings.Cut(call, " ")
		p.call(method, path, "{}", http.StatusForbidden, nil)
	}
	child, err := w.Control().AddChild(context.Background(), "below", "")
	if err != nil {
		t.Fatal(err)
	}
	for token, status := range map[string]int{child.Credential: 403, w.AdminToken(): 403, "nobody": 401, "": 401} {
		stranger := phone{w, token, "x"}
		for _, call := range []string{"POST /v2/sync/start", "GET /v2/sync/x/queues/main", "POST /v2/sync/ack", "GET /v2/sync/x"} {
			method, path, _ := strings.Cut(call, " ")
			body := stranger.call(method, path, `{"data":{"ack_keys":["x"]}}`, status, nil)
			if !strings.HasPrefix(body, `{"errors":[{"error":{"code":"denied"`) {
				t.Errorf("%s: %s", call, body)
			}
		}
	}
	if w.audited(audit.Refuse, audit.Refused) == 0 {
		t.Error("nothing was audited")
	}
	p.call("GET", "/v2/sync/start", "", http.StatusNotFound, nil)
}

// Bodies that are no acknowledgements are refused, and harm nothing.
func TestBadAcknowledgements(t *testing.T) {
	w := newWorld(t, "sqlite", testdb.SQLite(t))
	w.put("Patient", "1", "")
	p := w.admit("phone", "*")
	got := p.drain(p.start(1, 1))
	for _, body := range []string{"", "{}", "null", "[]", `{"data":null}`, `{"data":{}}`, `{"data":{"ack_keys":null}}`, `{"data":{"ack_keys":"x"}}`, `{"data":{"ack_keys":[1]}}`, `{"data":{"ack_keys":[]}}x`} {
		p.call("POST", "/v2/sync/ack", body, http.StatusBadRequest, nil)
	}
	key := got[0].Meta.Sync.Key
	for _, edited := range []string{strings.Replace(key, "Patient/1-", "Patient/1-9", 1), strings.Replace(key, "Patient/1", "Patient/2", 1), key[:len(key)-1], key + "0", strings.Replace(key, "-", "d-", 1)} {
		p.ackKeys(edited)
	}
	many := make([]string, 2500)
	for i := range many {
		many[i] = fmt.Sprintf("Patient/%d-1-%024d", i, i)
	}
	p.ackKeys(append(many, key)...)
	p.nothing()
	if rows := w.audited(audit.Device, audit.Refused); rows != 8 {
		t.Errorf("%d rows", rows)
	}
	never := phone{w, p.token, "never-came"}
	never.ackKeys(key)
	never.start(1, 1)
}

// A registration that was removed is refused at once; one that comes under ever new ids keeps the newest few; old sessions end.
func TestBounds(t *testing.T) {
	w := newWorld(t, "sqlite", testdb.SQLite(t))
	w.put("Patient", "1", "")
	p := w.admit("phone", "*")
	for i := range 7 {
		w.now = w.now.Add(time.Second)
		phone{w, p.token, fmt.Sprint("id", i)}.start(1, 1)
	}
	d, err := w.Control().Devices(context.Background())
	if err != nil || len(d) != 1 || len(d[0].Devices) != 5 || d[0].Devices[0].UUID != "id6" || d[0].Devices[4].UUID != "id2" {
		t.Errorf("%+v %v", d, err)
	}
	p.uuid = "id6"
	first := p.start(1, 1)
	for range 6 {
		w.now = w.now.Add(time.Second)
		p.start(1, 1)
	}
	p.page(first)
	for range 2 {
		w.now = w.now.Add(time.Second)
		p.start(1, 1)
	}
	w.now = w.now.Add(time.Second)
	p.call("GET", "/v2/sync/"+first+"/queues/main", "", http.StatusNotFound, nil)
	last := p.start(1, 1)
	w.now = w.now.Add(25 * time.Hour)
	p.start(1, 1)
	p.call("GET", "/v2/sync/"+last+"/queues/main", "", http.StatusNotFound, nil)

	if err := w.Control().RemoveDevice(context.Background(), "phone"); err != nil {
		t.Fatal(err)
	}
	p.call("POST", "/v2/sync/start", "", http.StatusUnauthorized, nil)
	if err := w.Control().RemoveDevice(context.Background(), "phone"); syncerr.KindOf(err) != syncerr.NotFound {
		t.Error(err)
	}
	again := w.admit("phone", "*") // it begins from nothing
	again.uuid = "id6"
	if got := again.sync(); got != "created Patient/1" {
		t.Error(got)
	}
	if _, err := w.Control().AddDevice(context.Background(), "phone", []string{"*"}); syncerr.KindOf(err) != syncerr.Conflict {
		t.Error(err)
	}
	for _, scope := range [][]string{nil, {""}, {"Patients"}, {"*?active=true"}, {"Patient?nonsense=1"}, {"Patient?_sort=date"}, {"Patient?_count=1"}, {"Patient?%"}, {"program?x=1"}} {
		if _, err := w.Control().AddDevice(context.Background(), "other", scope); syncerr.KindOf(err) != syncerr.Usage {
			t.Errorf("%q: %v", scope, err)
		}
	}
	for _, name := range []string{"", "-x", "a b", strings.Repeat("x", 65)} {
		if _, err := w.Control().AddDevice(context.Background(), name, []string{"*"}); syncerr.KindOf(err) != syncerr.Usage {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// After a database was put back the node does not know what devices have: they get everything again, and keys of the other life count
// for nothing.
func TestRestored(t *testing.T) {
	w := newWorld(t, "sqlite", testdb.SQLite(t))
	w.put("Patient", "1", "")
	p := w.admit("phone", "*")
	p.sync()
	w.put("Patient", "2", "")
	late := p.drain(p.start(1, 1))
	if err := w.Engine().Store().Reincarnate(context.Background(), func(*store.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	p.ack(late...)
	want(t, p.sync(), "created Patient/2, created Patient/1")
	p.nothing()
}
