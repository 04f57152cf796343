package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/store"
)

const childSecret = "the-childs-secret"

func (w *world) addChild() {
	w.t.Helper()
	sum := sha256.Sum256([]byte(childSecret))
	err := w.st.Write(context.Background(), func(tx *store.Tx) error {
		return tx.AddChild(store.Participant{ID: "c1", Name: "north", Credential: hex.EncodeToString(sum[:])})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// far is a caller from another machine.
func far(r *http.Request) { r.RemoteAddr, r.Host = "192.0.2.7:5000", "node.example" }

func bearer(secret string) func(*http.Request) {
	return func(r *http.Request) {
		far(r)
		r.Header.Set("Authorization", "Bearer "+secret)
	}
}

func TestAccess(t *testing.T) {
	w := newWorld(t, func(d *api.Deps) { d.Anonymous = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} })
	w.addChild()
	w.do("PUT", "/fhir/R4/Patient/p", patient("p", "A")).want(201)
	anonymous := func(r *http.Request) { far(r); r.RemoteAddr = "198.51.100.9:1" }
	callers := []struct {
		name   string
		change func(*http.Request)
	}{
		{"nobody", far}, {"wrong", bearer("guess")}, {"anonymous", anonymous}, {"child", bearer(childSecret)}, {"operator", bearer(adminToken)}, {"local", as},
	}
	for _, tt := range []struct {
		method, url, body string
		want              string // for each caller in their order
	}{
		{"GET", "/healthz", "", "200 200 200 200 200 200"},
		{"GET", "/readyz", "", "200 200 200 200 200 200"},
		{"GET", "/metrics", "", "401 401 401 403 200 200"},
		{"GET", "/ws/atomfeed/all/recent", "", "401 401 200 200 200 200"},
		{"GET", "/fhir/R4/metadata", "", "401 401 401 200 200 200"},
		{"GET", "/fhir/R4/Patient/p", "", "401 401 401 200 200 200"},
		{"GET", "/fhir/R4/Patient", "", "401 401 401 200 200 200"},
		{"GET", "/fhir/R4/Patient/p/_history", "", "401 401 401 200 200 200"},
		{"GET", "/fhir/R4/nothing/at/all/here", "", "401 401 401 404 404 404"},
		{"PUT", "/fhir/R4/Patient/p", patient("p", "A"), "401 401 401 200 200 200"},
		{"POST", "/fhir/R4/Patient", patient("p", "A"), "401 401 401 201 201 201"},
		{"DELETE", "/fhir/R4/Patient/q", "", "401 401 401 204 204 204"},
		{"POST", "/fhir/R4", sent("batch"), "401 401 401 200 200 200"},
		{"GET", "/sync/changes", "", "401 401 401 400 400 401"}, // 400: no Tributary-Protocol
		{"GET", "/control/v1/runs", "", "401 401 401 403 200 200"},
	} {
		want := strings.Fields(tt.want)
		for i, c := range callers {
			a := w.do(tt.method, tt.url, tt.body, c.change)
			if got := http.StatusText(a.status); got != http.StatusText(atoi(want[i])) {
				t.Errorf("%s %s as %s: got %d, want %s: %.200s", tt.method, tt.url, c.name, a.status, want[i], a.body)
			}
			if a.status == 401 {
				a.issue("security")
				if a.header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%s %s: 401 without WWW-Authenticate", tt.method, tt.url)
				}
			}
		}
	}
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}

func TestLoopbackRule(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, from, host, header, value string
		want                            int
	}{
		{"localhost", "127.0.0.1:1", "localhost:8080", "", "", 200},
		{"localhost without a port", "127.0.0.1:1", "LOCALHOST", "", "", 200},
		{"the address", "127.0.0.1:1", "127.0.0.1:8080", "", "", 200},
		{"another loopback address as source", "127.8.8.8:1", "127.0.0.1", "", "", 200},
		{"IPv6", "[::1]:1", "[::1]:8080", "", "", 200},
		{"IPv6 without a port", "[::1]:1", "[::1]", "", "", 200},
		{"mapped", "[::ffff:127.0.0.1]:1", "localhost", "", "", 200},
		{"from elsewhere", "192.0.2.1:1", "localhost", "", "", 401},
		{"no address", "", "localhost", "", "", 401},
		{"rebound name", "127.0.0.1:1", "evil.example:8080", "", "", 401},
		{"name that begins alike", "127.0.0.1:1", "localhost.evil.example", "", "", 401},
		{"another loopback address as host", "127.0.0.1:1", "127.0.0.2", "", "", 401},
		{"no host", "127.0.0.1:1", "", "", "", 401},
		{"proxy", "127.0.0.1:1", "localhost", "X-Forwarded-For", "192.0.2.1", 401},
		{"proxy that names nobody", "127.0.0.1:1", "localhost", "X-Forwarded-Proto", "", 401},
		{"proxy by the standard", "127.0.0.1:1", "localhost", "Forwarded", "for=192.0.2.1", 401},
		{"proxy with a real address", "127.0.0.1:1", "localhost", "X-Real-IP", "192.0.2.1", 401},
		{"proxy that says so", "127.0.0.1:1", "localhost", "Via", "1.1 proxy", 401},
		{"wrong credential", "127.0.0.1:1", "localhost", "Authorization", "Bearer x", 401},
		{"basic", "127.0.0.1:1", "localhost", "Authorization", "Basic " + adminToken, 401},
		{"empty secret", "127.0.0.1:1", "localhost", "Authorization", "Bearer ", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.do("GET", "/fhir/R4/metadata", "", func(r *http.Request) {
				r.RemoteAddr, r.Host = tt.from, tt.host
				if tt.header != "" {
					r.Header.Set(tt.header, tt.value)
				}
			}).want(tt.want)
		})
	}
}

func TestNoOperatorWithoutToken(t *testing.T) {
	w := newWorld(t, func(d *api.Deps) { d.AdminToken = "" })
	w.do("GET", "/metrics", "", bearer("")).want(401)
	w.do("GET", "/metrics", "", bearer(" ")).want(401)
}

// Pages of other sites cannot write through a browser on this machine.
func TestCrossOrigin(t *testing.T) {
	w := newWorld(t)
	for origin, want := range map[string]int{"": 201, "http://localhost:8080": 201, "http://evil.example": 401, "http://localhost:9999": 401, "null": 401} {
		a := w.do("POST", "/fhir/R4/Patient", patient("p", "A"), func(r *http.Request) {
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		})
		if a.status != want {
			t.Errorf("Origin %q: got %d, want %d", origin, a.status, want)
		}
	}
	w.do("POST", "/fhir/R4/Patient", patient("p", "A"), header("Sec-Fetch-Site", "cross-site")).want(401)
	w.do("GET", "/fhir/R4/Patient", "", header("Origin", "http://evil.example")).want(200)
	w.do("POST", "/fhir/R4/Patient", patient("p", "A"), bearer(adminToken), header("Origin", "http://evil.example")).want(403)
}

func TestRefusalsAreAudited(t *testing.T) {
	w := newWorld(t)
	w.addChild()
	w.do("POST", "/control/v1/sync?x=secret", "", bearer(childSecret)).want(403)
	for range 200 {
		w.do("GET", "/fhir/R4/Patient?identifier=secret", "", far).want(401)
	}
	rows, err := w.st.AuditRecords(t.Context(), audit.Query{Operation: audit.Refuse, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 50 || len(rows) > 130 {
		t.Errorf("%d rows for 201 refusals", len(rows))
	}
	first := rows[len(rows)-1]
	if first.Peer != "north" || first.HTTPStatus != 403 || first.URL != "/control/v1/sync" || first.Outcome != audit.Refused || first.Success {
		t.Errorf("%+v", first)
	}
	for _, r := range rows {
		if strings.Contains(r.URL+r.Details, "secret") {
			t.Errorf("%+v tells the query", r)
		}
	}
	if rows[0].Peer != "192.0.2.7" {
		t.Errorf("%+v does not say from where", rows[0])
	}
}

// Logs and metrics carry no query, no body and no id of a patient. The ids have letters only: a
// number that happens to stand in a metric is not one of them.
func TestLogsCarryNothingOfAPatient(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(d *api.Deps) { d.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	w.do("PUT", "/fhir/R4/Patient/pat-quorl", patient("pat-quorl", "Meier")).want(201)
	w.do("GET", "/fhir/R4/Patient/pat-quorl", "").want(200)
	w.do("GET", "/fhir/R4/Patient?identifier=pat-quorl", "").want(200)
	w.do("PUT", "/fhir/R4/Patient/pat-quorl", `{"resourceType":"Patient","id":"pat-vexid"}`).want(400)
	w.do("FROB-pat-quorl", "/fhir/R4/Patient/pat-quorl", "").want(405)
	metrics := w.do("GET", "/metrics", "").want(200).contains(`tributary_http_requests_total{method="GET",route="GET /fhir/R4/{type}/{id}",status="200"} 1`).
		contains(`tributary_resources{type="Patient"} 1`).contains("tributary_changes_head 1").contains("tributary_parked 0")
	for _, text := range []string{log.String(), string(metrics.body)} {
		for _, word := range []string{"quorl", "vexid", "Meier", "identifier="} {
			if strings.Contains(text, word) {
				t.Errorf("%q stands in %s", word, text)
			}
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 6 {
		t.Errorf("%d log events for 6 requests", n)
	}
	for _, word := range []string{`"msg":"request"`, `"method":"PUT"`, `"route":"PUT /fhir/R4/{type}/{id}"`, `"status":201`, `"duration"`, `"bytes"`} {
		if !strings.Contains(log.String(), word) {
			t.Errorf("%s does not stand in the log", word)
		}
	}
}

func TestPanicIsAnswered(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t)
	s := api.New(api.Deps{Engine: w.eng, Clock: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil))})
	w.mux.Handle("GET /broken", s.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken inside") }), api.ForOperators))
	w.mux.Handle("GET /fine", s.Protect(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("page")) }), api.ForOperators))
	if a := w.do("GET", "/broken", "").want(500); bytes.Contains(a.body, []byte("inside")) {
		t.Errorf("it tells what happened inside: %s", a.body)
	}
	if !strings.Contains(log.String(), "broken inside") {
		t.Error("the log does not tell the cause")
	}
	w.do("GET", "/fine", "").want(200).contains("page")
	w.do("GET", "/fine", "", far).want(401)
	w.mux.Handle("GET /cut", s.Protect(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = rw.Write([]byte("half"))
		panic("in the middle")
	}), api.ForOperators))
	func() {
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("a half answer ends as if it were whole: %v", err)
			}
		}()
		w.do("GET", "/cut", "")
	}()
}

// A browser on another machine asks for a password: the operator's token opens the pages, anything else does not.
func TestBrowserPassword(t *testing.T) {
	w := newWorld(t)
	s := api.New(api.Deps{Engine: w.eng, Clock: time.Now, AdminToken: adminToken})
	page := s.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), api.ForOperators)
	for _, c := range []struct {
		name, password string
		want           int
	}{{"the token", adminToken, http.StatusNoContent}, {"another", "guess", http.StatusUnauthorized}, {"none", "", http.StatusUnauthorized}} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "http://clinic.example/", nil)
			if c.password != "" {
				r.SetBasicAuth("anybody", c.password)
			}
			rec := httptest.NewRecorder()
			page.ServeHTTP(rec, r)
			if rec.Code != c.want {
				t.Errorf("got %d, want %d", rec.Code, c.want)
			}
			if h := rec.Header().Get("WWW-Authenticate"); rec.Code == http.StatusUnauthorized && !strings.HasPrefix(h, "Basic ") {
				t.Errorf("WWW-Authenticate: %q does not make a browser ask", h)
			}
		})
	}
}
