package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/syncerr"
)

// Reacher looks at the way to an address without asking anything there.
type Reacher func(ctx context.Context, address string) Route

// Route is what was seen on the way to an address.
type Route struct {
	Host      string   // host:port
	Addresses []string // of the host, empty behind a proxy
	Proxy     string   // host:port of the proxy that the environment names, "" for none
	Secure    bool     // it is https
	Expires   int64    // when the first certificate of the chain ends, milliseconds since 1970 UTC; 0 where none was seen
	Issuer    string   // who issued the certificate of the host
	Failed    string   // resolve, connect or tls: the step that failed, "" where all went well
	Err       error    // why
}

// Environment looks at what a node stands on: its configuration, credentials, keys, disk and the ways to its peers. It opens no database, so that it can be
// asked where there is none that opens. now is in milliseconds since 1970 UTC; reach is nil where there is no network to look at.
func Environment(ctx context.Context, cfg config.Config, reach Reacher, now int64) []Check {
	out := checkConfig(cfg)
	out = append(out, checkKeys(cfg)...)
	out = append(out, checkDisk(cfg))
	if reach == nil {
		return out
	}
	for _, w := range ways(cfg) {
		out = append(out, checkWay(w.name, reach(ctx, w.address), now)...)
	}
	return out
}

type way struct{ name, address string }

// ways lists the peers that this node asks by itself, and its own address where a proxy answers there for it.
func ways(cfg config.Config) []way {
	var out []way
	if cfg.Parent.URL != "" {
		out = append(out, way{"parent", cfg.Parent.URL})
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Servers)) {
		if base := cfg.Servers[name].Base(); base != "" {
			out = append(out, way{name, base})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.SData)) {
		out = append(out, way{name, cfg.SData[name].URL})
	}
	if strings.HasPrefix(cfg.Node.URL, "https://") {
		out = append(out, way{"node.url", cfg.Node.URL})
	}
	return out
}

func checkWay(name string, r Route, now int64) []Check {
	k := Check{Name: "network " + name, Level: OK, Detail: r.Host + " takes connections"}
	if len(r.Addresses) > 0 {
		k.Detail = fmt.Sprintf("%s has the address %s and takes connections", r.Host, strings.Join(r.Addresses[:min(3, len(r.Addresses))], ", "))
	}
	if r.Proxy != "" {
		k.Detail = fmt.Sprintf("%s is reached through the proxy %s", r.Host, r.Proxy)
	}
	switch r.Failed {
	case "resolve":
		k.Level, k.Detail = Fail, fmt.Sprintf("the name of %s has no address: %v", r.Host, r.Err)
		k.Hint = "Check the spelling in the configuration, whether this machine is on the network, and its name server (/etc/resolv.conf)"
		return []Check{k}
	case "connect":
		k.Level, k.Detail = Fail, fmt.Sprintf("%s takes no connection: %v", r.Host, r.Err)
		k.Hint = "Is the other side running, and does a firewall let this machine through? This node goes on working and tries again by itself"
		if r.Proxy != "" {
			k.Detail = fmt.Sprintf("the proxy %s does not lead to %s: %v", r.Proxy, r.Host, r.Err)
			k.Hint = "HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the environment of the node name the proxy: correct them, or name the host in NO_PROXY"
		}
		return []Check{k}
	}
	if !r.Secure {
		return []Check{k}
	}
	return []Check{k, checkCertificate(name, r, now)}
}

func checkCertificate(name string, r Route, now int64) Check {
	t := Check{Name: "certificate " + name, Level: OK, Numbers: map[string]int64{"expires": r.Expires}}
	t.Detail = fmt.Sprintf("of %s, issued by %s, is good until %s", r.Host, orUnknown(r.Issuer), UTC(r.Expires))
	left := time.Duration(r.Expires-now) * time.Millisecond
	switch {
	case r.Expires > 0 && left <= 0:
		t.Level, t.Detail = Fail, fmt.Sprintf("of %s ended on %s", r.Host, UTC(r.Expires))
		t.Hint = "Its operator has to renew it; if the date looks wrong, set this machine's clock"
	case r.Failed != "":
		t.Level, t.Detail = Fail, fmt.Sprintf("of %s is not trusted: %v", r.Host, r.Err)
		t.Hint = "Install the certificate of its authority on this machine (on Debian: /usr/local/share/ca-certificates, then update-ca-certificates), or set this machine's clock"
	case left < certWarn:
		t.Level, t.Detail = Warn, fmt.Sprintf("of %s ends in %s, on %s", r.Host, Span(left), UTC(r.Expires))
		t.Hint = "Its operator should renew it before that: afterwards nothing goes over this link"
	}
	return t
}

func orUnknown(s string) string {
	if s == "" {
		return "an authority without a name"
	}
	return s
}

func checkConfig(cfg config.Config) []Check {
	var out []Check
	if err := cfg.Validate(); err != nil {
		out = append(out, problems(err)...)
	}
	for _, w := range cfg.Warnings() {
		out = append(out, Check{Name: "configuration", Level: Warn, Detail: w})
	}
	if cfg.Parent.URL != "" {
		_, warning, err := config.ReadCredential(cfg)
		switch {
		case err != nil:
			out = append(out, failed("credential", err))
		case warning != "":
			out = append(out, Check{Name: "credential", Level: Warn, Detail: warning})
		}
	}
	if len(out) == 0 {
		out = append(out, Check{Name: "configuration", Level: OK, Detail: "nothing to say against it"})
	}
	return out
}

// problems makes one check of each error of a configuration.
func problems(err error) []Check {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []Check{failed("configuration", err)}
	}
	var out []Check
	for _, e := range joined.Unwrap() {
		out = append(out, problems(e)...)
	}
	return out
}

// Broken returns the checks of a configuration that could not be read whole: cfg is what could.
func Broken(ctx context.Context, cfg config.Config, err error, reach Reacher, now int64) []Check {
	out := problems(err)
	for _, k := range Environment(ctx, cfg, reach, now) {
		if k.Name != "configuration" { // it was said already
			out = append(out, k)
		}
	}
	return out
}

// checkKeys looks at the files that make this node itself, and at who may read them.
func checkKeys(cfg config.Config) []Check {
	var out []Check
	for _, name := range []string{"admin.token", "node.key"} {
		path := filepath.Join(cfg.Node.DataDir, name)
		info, err := os.Stat(path)
		k := Check{Name: "keys", Level: OK}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			k.Level, k.Detail = Fail, "there is no "+path
			k.Hint = "If this node had data, check that its disk is mounted, or restore the file from a backup; for a new node run `tributary init`"
		case err != nil:
			k.Level, k.Detail, k.Hint = Fail, err.Error(), "Run the command as the user that runs the node"
		case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
			k.Level, k.Detail, k.Hint = Warn, "other users of this machine can read "+path, "Run chmod 600 on it"
		default:
			continue
		}
		out = append(out, k)
	}
	if _, err := os.Stat(cfg.NoncePath()); err != nil && len(out) == 0 {
		out = append(out, Check{
			Name: "keys", Level: Warn, Detail: "there is no " + cfg.NoncePath() + ", by which the node notices that its database was restored",
			Hint: "The node writes it at its next start; make the folder writable for the user that runs it",
		})
	}
	if len(out) == 0 {
		out = append(out, Check{Name: "keys", Level: OK, Detail: "are there, for the user that runs the node alone"})
	}
	return out
}

func diskOf(cfg config.Config) (Disk, error) {
	out := Disk{Folder: cfg.Node.DataDir, Level: OK}
	if cfg.Store.Driver == config.DriverSQLite && cfg.Store.DSN != "" {
		out.Folder = filepath.Dir(cfg.Store.DSN)
	}
	var err error
	if out.Free, err = carry.FreeSpace(out.Folder); err != nil {
		return out, err
	}
	switch {
	case out.Free < diskFail:
		out.Level = Fail
	case out.Free < diskWarn:
		out.Level = Warn
	}
	return out, nil
}

func checkDisk(cfg config.Config) Check {
	d, err := diskOf(cfg)
	if err != nil {
		return Check{
			Name: "disk", Level: Warn, Detail: fmt.Sprintf("the free space of %s cannot be read: %v", d.Folder, err),
			Hint: "Check that the disk or card is mounted",
		}
	}
	k := Check{Name: "disk", Level: d.Level, Detail: fmt.Sprintf("%d MB free in %s", d.Free>>20, d.Folder), Numbers: map[string]int64{"freeBytes": int64(d.Free)}}
	switch d.Level {
	case Fail:
		k.Hint = "Make room soon: when it is full, nothing new can be saved"
	case Warn:
		k.Hint = "Make room, or move the database to a larger disk"
	}
	return k
}

// Failed makes a failed check of an error, with what to do where the error says it.
func Failed(name string, err error) Check {
	k := failed(name, err)
	if k.Hint == "" && syncerr.KindOf(err) == syncerr.Internal {
		k.Hint = "`tributary support-bundle` writes what those who can help need"
	}
	return k
}
