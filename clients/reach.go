package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tributary-sync/tributary/syncerr"
)

// The steps on the way to a peer.
const (
	StepResolve = "resolve" // its name has an address
	StepConnect = "connect" // it takes a connection
	StepTLS     = "tls"     // it shows a certificate that this machine trusts
)

// Reach is what was seen on the way to an address. Nothing is asked there and no credential is shown.
type Reach struct {
	Host      string   // host:port
	Addresses []string // of the host, empty behind a proxy
	Proxy     string   // host:port of the proxy that the environment names, "" for none
	Secure    bool     // it is https
	Expires   int64    // when the first certificate of the chain ends, milliseconds since 1970 UTC; 0 where none was seen
	Issuer    string   // who issued the certificate of the host
	Failed    string   // the step that failed, "" where all went well
	Err       error    // why
}

// reachWithin bounds each step on the way.
const reachWithin = 10 * time.Second

// Reaches goes the way to an address as a client would, up to where a request would be sent.
func Reaches(ctx context.Context, address string) Reach {
	var out Reach
	fail := func(step string, err error) Reach {
		out.Failed, out.Err = step, err
		return out
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fail(StepResolve, syncerr.New(syncerr.Usage, "look at address", "it is none"))
	}
	out.Secure = u.Scheme == "https"
	port := u.Port()
	if port == "" {
		if port = "80"; out.Secure {
			port = "443"
		}
	}
	out.Host = net.JoinHostPort(u.Hostname(), port)
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	if err != nil {
		return fail(StepConnect, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*reachWithin)
	defer cancel()
	d := net.Dialer{Timeout: reachWithin}
	dial := func() (net.Conn, error) { return d.DialContext(ctx, "tcp", out.Host) }
	if proxy != nil {
		out.Proxy = proxy.Host
		dial = func() (net.Conn, error) { return throughProxy(ctx, proxy, u) }
	} else {
		named, cancel := context.WithTimeout(ctx, reachWithin)
		defer cancel()
		if out.Addresses, err = net.DefaultResolver.LookupHost(named, u.Hostname()); err != nil {
			return fail(StepResolve, err)
		}
	}
	conn, err := dial()
	if err != nil {
		return fail(StepConnect, err)
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	if !out.Secure {
		return out
	}
	if err := out.handshake(ctx, conn, u.Hostname()); err != nil {
		return fail(StepTLS, err)
	}
	return out
}

// handshake looks at the chain also where it is not trusted: what is wrong with it is the question.
func (out *Reach) handshake(ctx context.Context, conn net.Conn, host string) error {
	c := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) // verified below, and nothing is sent
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	chain := c.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return errors.New("it shows no certificate")
	}
	pool := x509.NewCertPool()
	out.Issuer, out.Expires = chain[0].Issuer.CommonName, chain[0].NotAfter.UnixMilli()
	for _, cert := range chain[1:] {
		pool.AddCert(cert)
		out.Expires = min(out.Expires, cert.NotAfter.UnixMilli())
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Intermediates: pool})
	return err
}

// throughProxy opens a way through a proxy (RFC 9110 section 9.3.6): for https to the host, for http to the proxy itself, which is asked later.
func throughProxy(ctx context.Context, proxy, to *url.URL) (net.Conn, error) {
	port := proxy.Port()
	if port == "" {
		port = "80"
	}
	d := net.Dialer{Timeout: reachWithin}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), port))
	if err != nil || to.Scheme != "https" {
		return conn, err
	}
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	return connected(ctx, conn, proxy, to)
}
