package clients

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestReaches(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was asked") }))
	secure.StartTLS()
	defer secure.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	tests := []struct {
		name, address, failed, says string
	}{
		{"plain", plain.URL, "", ""},
		{"nobody", closed.URL, StepConnect, "refused"},
		{"no such name", "https://nothing.invalid", StepResolve, "nothing.invalid"},
		{"no address", "://", StepResolve, "none"},
		{"unknown authority", secure.URL, StepTLS, "authority"},
		{"no TLS at all", strings.Replace(plain.URL, "http", "https", 1), StepTLS, "tls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Reaches(t.Context(), tt.address)
			if got.Failed != tt.failed || (tt.failed != "") != (got.Err != nil) || got.Err != nil && !strings.Contains(got.Err.Error(), tt.says) {
				t.Errorf("got %+v", got)
			}
			if tt.name == "unknown authority" && got.Expires != secure.Certificate().NotAfter.UnixMilli() {
				t.Errorf("got expiry %d, want that of the certificate though nobody trusts it", got.Expires)
			}
		})
	}
}

func TestThroughProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan *http.Request, 2)
	answers := make(chan string, 2)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				asked <- r
			}
			fmt.Fprint(c, <-answers)
			_ = c.Close()
		}
	}()
	proxy := &url.URL{Scheme: "http", Host: l.Addr().String(), User: url.UserPassword("u", "p")}
	to := &url.URL{Scheme: "https", Host: "district.example"}
	answers <- "HTTP/1.1 200 fine\r\n\r\n"
	conn, err := throughProxy(t.Context(), proxy, to)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if r := <-asked; r.Method != http.MethodConnect || r.Host != "district.example:443" || r.Header.Get("Proxy-Authorization") != "Basic dTpw" {
		t.Errorf("got %s %s %v", r.Method, r.Host, r.Header)
	}
	answers <- "HTTP/1.1 407 who are you\r\nContent-Length: 0\r\n\r\n"
	if _, err := throughProxy(t.Context(), proxy, to); err == nil || !strings.Contains(err.Error(), "407") || strings.Contains(err.Error(), "u:p") {
		t.Errorf("got %v", err)
	}
	<-asked
	ended, stop := context.WithCancel(t.Context())
	go func() { <-asked; stop() }()
	if _, err := throughProxy(ended, proxy, to); err == nil { // it says nothing
		t.Error("a proxy that says nothing was a way")
	}
	answers <- ""
}
