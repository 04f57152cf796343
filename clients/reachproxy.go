package clients

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/tributary-sync/tributary/syncerr"
)

// connected asks a proxy for the way to a host.
func connected(ctx context.Context, conn net.Conn, proxy, to *url.URL) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) { return nil, errors.Join(err, conn.Close()) }
	host := to.Host
	if to.Port() == "" {
		host = net.JoinHostPort(to.Hostname(), "443")
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: host}, Host: host, Header: http.Header{}}
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // a proxy that says nothing
	if err := req.Write(conn); err != nil {
		return fail(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return fail(err)
	}
	_ = res.Body.Close() // the answer to CONNECT has none
	if res.StatusCode != http.StatusOK {
		return fail(syncerr.New(syncerr.Denied, "", "the proxy %s answered %d", proxy.Host, res.StatusCode))
	}
	return conn, nil
}
