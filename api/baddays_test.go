package api_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// While the disk is full or the database away, writes are refused with when to come back, reads go on, and all resumes by
// itself.
func TestBadDays(t *testing.T) {
	for _, tt := range []struct {
		kind   syncerr.Kind
		status int
		code   string
	}{{syncerr.StorageFull, 507, "no-store"}, {syncerr.Unavailable, 503, "transient"}} {
		t.Run(tt.kind.String(), func(t *testing.T) {
			var bad atomic.Bool
			st, err := store.Create(context.Background(), store.Options{DSN: testdb.SQLite(t), Volatile: true, Hook: func(string) error {
				if bad.Load() {
					return syncerr.New(tt.kind, "write", "the disk said no")
				}
				return nil
			}}, "clinic", 10)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			w := &world{t: t, st: st}
			w.serve(engine.New(st, engine.Config{}))
			w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201)
			bad.Store(true)
			for _, a := range []answer{
				w.do("PUT", "/fhir/R4/Patient/p", patient("p", "B")),
				w.do("POST", "/fhir/R4/Patient", patient("p", "B")),
				w.do("DELETE", "/fhir/R4/Patient/p", ""),
				w.do("POST", "/fhir/R4", sent("transaction", item("", "PUT", "Patient/p", patient("p", "B")))),
			} {
				if a.want(tt.status).issue(tt.code, "the disk said no").header.Get("Retry-After") == "" {
					t.Errorf("%s: no Retry-After", a.call)
				}
			}
			w.do("GET", "/fhir/R4/Patient/p", "").want(200).contains(`"family":"A"`)
			w.do("GET", "/fhir/R4/Patient", "").want(200)
			w.do("GET", "/healthz", "").want(200)
			w.do("GET", "/fhir/R4/Patient/p", "", far).want(401) // its audit row cannot be written; it is refused all the same
			bad.Store(false)
			w.do("PUT", "/fhir/R4/Patient/p", patient("p", "B")).want(200)
		})
	}
}

// A caller who has gone is not an error of the server.
func TestCallerWhoHasGone(t *testing.T) {
	w := newWorld(t)
	gone := func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	}
	if a := w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A"), gone); len(a.body) != 0 {
		t.Errorf("it was answered: %s", a.body)
	}
	w.do("GET", "/fhir/R4/Patient/p", "").want(404)
}
