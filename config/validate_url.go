package config

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// url checks the base URL of a node and returns it, or nil where it is none. Its text is repeated only where it cannot
// hold a password.
func (k *checker) url(path, example, s string) *url.URL {
	u, err := url.Parse(s)
	switch {
	case strings.Contains(s, "@"):
		k.add(path, "Remove what stands before the @; a secret for the parent goes into parent.credential_file", "a URL here has no user and no @")
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		k.add(path, "Write for example "+example, "%.100q is not an http or https URL", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		k.add(path, "Write for example "+example, "the URL goes on after the path with ? or #")
	case !validPort(u):
		k.add(path, "Use a port from 1 to 65535", "%.100q has no valid port", s)
	default:
		return u
	}
	return nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

// isSelf reports whether a URL leads back to the node: its own URL, or the loopback port on which it listens.
func isSelf(u *url.URL, n Node) bool {
	if own, err := url.Parse(n.URL); err == nil && n.URL != "" && sameBase(u, own) {
		return true
	}
	host, port, err := net.SplitHostPort(n.Listen)
	if err != nil || port == "0" || port != portOf(u) || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(host)
	local := host == "" || strings.EqualFold(host, "localhost") || (ip != nil && (ip.IsLoopback() || ip.IsUnspecified()))
	return strings.EqualFold(host, u.Hostname()) || (local && isLoopback(u.Hostname()))
}

func sameBase(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b) && trimSlash(a.Path) == trimSlash(b.Path)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback())
}

func trimSlash(s string) string { return strings.TrimRight(s, "/") }
