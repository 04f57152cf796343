package control_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	client "github.com/tributary-sync/tributary/clients/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// What the calls mean is tested against the real handlers, in package api; here are the answers that a node would never give.
func TestAnswersThatAreNone(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		kind   syncerr.Kind
		says   string
	}{
		{"another web page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>router</html>")) }, syncerr.Unsupported, "not that of a node"},
		{"an error without words", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, syncerr.NotFound, "404 Not Found"},
		{"an error with words", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInsufficientStorage)
			_, _ = w.Write(fhir.Outcome(syncerr.New(syncerr.StorageFull, "write", "the disk is full")))
		}, syncerr.StorageFull, "write: the disk is full"},
		{"a proxy without its server", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, syncerr.Transient, "502"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				t.Error("the client followed a redirect with its credential")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, syncerr.Internal, "302 Found"},
		{"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
		}, syncerr.Transient, "does not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.answer)
			defer srv.Close()
			_, err := client.New(srv.URL, "token", srv.Client().Transport).Status(t.Context())
			if err == nil || syncerr.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v (%s), want %s and %q", err, syncerr.KindOf(err), tt.kind, tt.says)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := client.New(base, "", http.DefaultTransport)
	_, err = c.Status(context.Background())
	if syncerr.KindOf(err) != syncerr.Transient || !strings.Contains(err.Error(), base+" does not answer") || !strings.Contains(err.Error(), "tributary serve") {
		t.Errorf("got %v", err)
	}
	if _, err := client.New("://", "", http.DefaultTransport).Status(context.Background()); syncerr.KindOf(err) != syncerr.Usage {
		t.Errorf("got %v for no address", err)
	}
}

func TestTheCredentialIsSent(t *testing.T) {
	for token, want := range map[string]string{"": "", "abc": "Bearer abc"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != want || r.URL.Path != "/under/control/v1/children/a b" || r.Method != http.MethodDelete {
				t.Errorf("got %s %s with %q, want %q", r.Method, r.URL.Path, got, want)
			}
			w.WriteHeader(http.StatusNoContent)
		}))
		if err := client.New(srv.URL+"/under/", token, srv.Client().Transport).RemoveChild(t.Context(), "a b"); err != nil {
			t.Error(err)
		}
		srv.Close()
	}
}
