package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/fhir"
)

// Bounds of settings that are numbers. Longer waits than maxWait are cut by proxies on the way.
const (
	maxName     = 64
	maxWait     = Duration(10 * time.Minute)
	minSpan     = Duration(time.Second)
	maxPage     = 10_000
	maxFeedPage = 1_000
	minResource = Size(1 << 10)
	maxResource = Size(64 << 20)
	maxBody     = Size(1 << 30)
)

// checker collects problems.
type checker struct{ problems []error }

func (k *checker) add(path, hint, format string, args ...any) {
	k.problems = append(k.problems, problem(path, hint, format, args...))
}

// Validate returns every problem of the configuration, joined, each a Usage error that names the setting, what is wrong and
// what to do; nil if there is none. It reads no file: see ReadCredential and ReadDSN.
func (c Config) Validate() error { return errors.Join(c.check()...) }

func (c Config) check() []error {
	var k checker
	k.node(c.Node)
	k.store(c.Store)
	k.parent(c)
	k.schedule(c)
	k.rules("pull.types", "pull.enabled", c.Pull.Types)
	k.rules("push.types", "push.enabled", c.Push.Types)
	k.servers(c)
	k.sdata(c)
	k.oneOf("references", string(c.References), string(AcceptReferences), string(HoldReferences), string(FetchReferences))
	k.conflicts(c)
	k.numbers(c)
	return k.problems
}

func (k *checker) node(n Node) {
	const name = "Use 1 to 64 letters, digits, dots, hyphens and underscores, for example clinic-a"
	switch {
	case n.Name == "":
		k.add("node.name", name, "the node has no name")
	case !validName(n.Name):
		k.add("node.name", name, "%.80q is not a name", n.Name)
	}
	host, port, err := net.SplitHostPort(n.Listen)
	if number, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || strconv.FormatUint(number, 10) != port || strings.ContainsAny(host, " /") {
		k.add("node.listen", "Write for example 127.0.0.1:8080, or :8080 for every interface", "%.80q is not host:port", n.Listen)
	}
	if n.URL != "" {
		k.url("node.url", "https://clinic-a.example", n.URL)
	}
}

func validName(s string) bool {
	return len(s) <= maxName && fhir.ValidID(strings.ReplaceAll(s, "_", "-")) && !strings.HasPrefix(s, "-") && !strings.HasPrefix(s, ".")
}

func (k *checker) store(s Store) {
	if s.Driver == DriverSQLite && s.DSNFile != "" {
		k.add("store.dsn_file", "Write the path of the database file into store.dsn, or set store.driver to mysql", "it is for mysql only")
		return
	}
	if s.DSN != "" && s.DSNFile != "" {
		k.add("store.dsn_file", "Keep one of the two", "store.dsn is given as well")
	}
	switch s.Driver {
	case DriverSQLite:
		if s.DSN == "" {
			k.add("store.dsn", "Write for example data/tributary.db", "the path of the database file is missing")
		} else if looksRemote(s.DSN) {
			k.add("store.driver", "Set it to mysql, or write a path such as data/tributary.db into store.dsn", "it is sqlite, and store.dsn is the address of a server")
		} else if notAPath(s.DSN) {
			k.add("store.dsn", "Write for example data/tributary.db", "for sqlite this is the path of a file, without file:, :memory: or ?")
		}
	case DriverMySQL:
		const form = "Write user:password@tcp(host:3306)/database into a file that store.dsn_file names"
		if s.DSN == "" && s.DSNFile == "" {
			k.add("store.dsn_file", form, "the address of the mysql database is missing")
		} else if s.DSN != "" && !isMySQL(s.DSN) {
			k.add("store.dsn", form, "this is not the address of a mysql database")
		}
	default:
		hint := "Use sqlite (a file, nothing to install) or mysql (MySQL or MariaDB)"
		if strings.EqualFold(s.Driver, "mariadb") {
			hint = "Write mysql, which is for MariaDB too"
		}
		k.add("store.driver", hint, "%.40q is no database that tributary knows", s.Driver)
	}
}

func notAPath(dsn string) bool {
	return strings.HasPrefix(dsn, "file:") || strings.Contains(dsn, ":memory:") || strings.ContainsAny(dsn, "?\x00") || looksRemote(dsn)
}

// looksRemote reports whether a DSN is for a server, so that its password is not shown as if it were a path.
func looksRemote(dsn string) bool {
	return strings.Contains(dsn, "://") || strings.Contains(dsn, "@tcp(") || strings.Contains(dsn, "@unix(") ||
		(strings.Contains(dsn, "@") && isMySQL(dsn))
}

func (k *checker) parent(c Config) {
	if c.Parent.URL == "" {
		return
	}
	u := k.url("parent.url", "https://district.example", c.Parent.URL)
	if u != nil && isSelf(u, c.Node) {
		k.add("parent.url", "Name the parent's URL, or leave it out if this node has no parent", "it is the node itself")
	}
	if c.Parent.CredentialFile == "" && c.Parent.Credential == "" {
		k.add("parent.credential_file", "Run tributary child add "+placeholder(c.Node.Name)+" at the parent, put what it prints into a file and name that here",
			"parent.url is given without a credential")
	}
	if strings.ContainsAny(c.Parent.Credential, " \t\r\n") {
		k.add("parent.credential", "Set TRIBUTARY_PARENT__CREDENTIAL to what tributary child add printed", "it contains blanks")
	}
}

func placeholder(name string) string {
	if !validName(name) {
		return "NAME"
	}
	return name
}

func (k *checker) schedule(c Config) {
	k.span("pull.wait", c.Pull.Wait, 0, maxWait)
	k.span("pull.every", c.Pull.Every, 0, 0)
	k.span("push.every", c.Push.Every, 0, 0)
	if c.Pull.Wait == 0 && c.Pull.Every == 0 && c.Pull.Enabled {
		k.add("pull.every", "Set pull.wait to 30s, or pull.every to for example 5m", "with pull.wait 0 as well the node would ask its parent without a pause")
	}
	if c.Pull.Page < 1 || c.Pull.Page > maxPage {
		k.add("pull.page", "500 suits most links", "%d is not from 1 to %d", c.Pull.Page, maxPage)
	}
}

// span checks a time: 0, or from a second (or least) to most, where most 0 is no limit.
func (k *checker) span(path string, d, least, most Duration) {
	least = max(least, minSpan)
	switch {
	case d == 0:
	case d < least:
		k.add(path, fmt.Sprintf("Use 0 or at least %s", least), "%s is too short", d)
	case most > 0 && d > most:
		k.add(path, fmt.Sprintf("Use at most %s", most), "%s is too long", d)
	}
}

func (k *checker) numbers(c Config) {
	k.span("history.keep", c.History.Keep, Duration(time.Hour), 0)
	k.span("audit.retention", c.Audit.Retention, Duration(time.Hour), 0)
	k.span("network.silent_after", c.Network.SilentAfter, Duration(time.Minute), 0)
	if c.Feed.PageSize < 1 || c.Feed.PageSize > maxFeedPage {
		k.add("feed.page_size", "100 suits most readers", "%d is not from 1 to %d", c.Feed.PageSize, maxFeedPage)
	}
	for i, n := range c.Feed.Anonymous {
		if !n.IsValid() {
			k.add(fmt.Sprintf("feed.anonymous[%d]", i), "Write for example 10.0.0.0/8", "this is not a network")
		}
	}
	if c.Limits.Resource < minResource || c.Limits.Resource > maxResource {
		k.add("limits.resource", "16MiB suits most nodes", "%s is not from %s to %s", c.Limits.Resource, minResource, maxResource)
	}
	if c.Limits.Body < c.Limits.Resource || c.Limits.Body > maxBody {
		k.add("limits.body", "64MiB suits most nodes", "%s is not from limits.resource (%s) to %s", c.Limits.Body, c.Limits.Resource, maxBody)
	}
	k.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "text", "json")
}

func (k *checker) oneOf(path, value string, known ...string) {
	if slices.Contains(known, value) {
		return
	}
	hint := "Use one of " + strings.Join(known, ", ")
	if s := suggest(value, known); s != "" && value != "" {
		hint = fmt.Sprintf("Did you mean %s? There are %s", s, strings.Join(known, ", "))
	}
	k.add(path, hint, "%.40q is not known", value)
}

// sorted returns a map's keys in order, so that problems come in the same order every time.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
