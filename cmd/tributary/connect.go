package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/carry"
	client "github.com/tributary-sync/tributary/clients/control"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/syncerr"
)

// link is how a command reaches its node.
type link struct {
	*client.Client
	cfg   config.Config
	base  string            // URL of the node
	http  http.RoundTripper // with the operator's credential
	close func() error

	running bool // the node runs; else it is opened in this process
	sticks  carry.Node
}

// operator wraps what a command does with the node: it reaches the node over HTTP where it runs, and opens it in this process
// where it does not, so that every command works either way.
func (a *app) operator(do func(ctx context.Context, l link, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) (err error) {
		cfg, err := a.configuration()
		if err != nil {
			return err
		}
		l, err := a.connect(c.Context(), cfg)
		if err != nil {
			return err
		}
		defer func() {
			if cerr := l.close(); err == nil {
				err = cerr
			}
		}()
		return do(c.Context(), l, args)
	}
}

func (a *app) connect(ctx context.Context, cfg config.Config) (link, error) {
	address := dialAddress(cfg.Node.Listen)
	running := func() bool { return answers(ctx, address) }
	if running() {
		return reach(ctx, cfg, "http://"+address)
	}
	release, err := lock(ctx, cfg, running)
	if err != nil {
		return link{}, err
	}
	if release == nil {
		return reach(ctx, cfg, "http://"+address)
	}
	n, err := a.open(ctx, cfg)
	if err != nil {
		return link{}, errors.Join(err, release())
	}
	l := link{cfg: cfg, base: "http://" + address, http: bearer{token: n.AdminToken(), next: inProcess{n.Handler()}}}
	l.Client, l.close = client.New(l.base, "", l.http), func() error { return errors.Join(n.Close(), release()) }
	if l.sticks, err = n.Control().Carrier(); err != nil {
		return link{}, errors.Join(err, l.close())
	}
	return l, nil
}

// reach returns the way to a node that runs.
func reach(ctx context.Context, cfg config.Config, base string) (link, error) {
	token, err := adminToken(cfg)
	if err != nil {
		return link{}, err
	}
	rt := &http.Transport{MaxIdleConnsPerHost: 4}
	if err := isNode(ctx, base, rt); err != nil {
		return link{}, err
	}
	l := link{cfg: cfg, base: base, running: true, http: bearer{token: token, next: rt}}
	l.Client, l.close = client.New(base, "", l.http), func() error {
		rt.CloseIdleConnections()
		return nil
	}
	l.sticks = l.Client.Carrier()
	return l, nil
}

// open opens the node in this process.
func (a *app) open(ctx context.Context, cfg config.Config) (*node.Node, error) {
	file, err := config.Open(a.configPath, a.env)
	if err != nil {
		return nil, err
	}
	return node.New(ctx, cfg, node.Deps{Clock: a.clock, Version: a.version, File: file})
}

// dialAddress returns the address on which a node that listens there is reached from the same machine.
func dialAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

func answers(ctx context.Context, address string) bool {
	d := net.Dialer{Timeout: 3 * time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close() // it was opened only to see that it opens
	return true
}

// isNode asks before the credential is shown to whoever answers there.
func isNode(ctx context.Context, base string, rt http.RoundTripper) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return syncerr.Wrap(syncerr.Usage, "reach the node", err)
	}
	res, err := rt.RoundTrip(req)
	if err == nil {
		defer res.Body.Close()
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(res.Body, 64)); err == nil && res.StatusCode == http.StatusOK && string(body) == "ok\n" {
			return nil
		}
	}
	if ctx.Err() != nil {
		return syncerr.New(syncerr.Transient, "reach the node", "%s does not answer within 10 s", base).WithHint("Look at the log of the node, or start it again")
	}
	return syncerr.New(syncerr.Unsupported, "reach the node", "something else than a Tributary node answers at %s", base).
		WithHint("Stop that program, or choose another port in node.listen")
}

// adminToken reads the operator's credential of the node on this machine.
func adminToken(cfg config.Config) (string, error) {
	path := filepath.Join(cfg.Node.DataDir, "admin.token")
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", syncerr.New(syncerr.NotFound, "read the operator's credential", "there is no %s, but something answers on %s", path, cfg.Node.Listen).
			WithHint("If that is another program, choose another port in node.listen; for a new node run `tributary init`")
	case err != nil:
		return "", syncerr.New(syncerr.Denied, "read the operator's credential", "%w", err).
			WithHint("Run the command as the user that runs the node")
	}
	return strings.TrimSpace(string(b)), nil
}

// bearer adds the operator's credential.
type bearer struct {
	token string
	next  http.RoundTripper
}

// RoundTrip sends a copy of the request, because a RoundTripper must not change it.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// inProcess answers requests by a handler, without a socket.
type inProcess struct{ handler http.Handler }

// RoundTrip serves the request and returns the whole answer.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.RemoteAddr, r.RequestURI, r.Host = "127.0.0.1:0", r.URL.RequestURI(), r.URL.Host
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := &recorder{header: http.Header{}}
	p.handler.ServeHTTP(w, r)
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: nopCloser{bytes.NewReader(w.body.Bytes())}, ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

type nopCloser struct{ *bytes.Reader }

// Close does nothing: there is no connection.
func (nopCloser) Close() error { return nil }

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the header that is filled in.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader keeps the first status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
}

// Write keeps the body.
func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}
