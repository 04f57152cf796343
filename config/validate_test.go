package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/reconcile"
)

// sound returns a configuration of a clinic with a parent.
func sound() Config {
	c := Default()
	c.Node.Name = "clinic-a"
	c.Parent = Parent{URL: "https://district.example", CredentialFile: "data/parent.token"}
	return c
}

func ref(b bool) *bool { return &b }

func TestValidate(t *testing.T) {
	rows := []struct {
		name   string
		change func(*Config)
		want   []string // a part of each problem, in order; none: valid
	}{
		{"sound", func(*Config) {}, nil},
		{"no parent", func(c *Config) { c.Parent = Parent{} }, nil},
		{"no name", func(c *Config) { c.Node.Name = "" }, []string{"node.name: the node has no name"}},
		{"blank in name", func(c *Config) { c.Node.Name = "clinic a" }, []string{`node.name: "clinic a" is not a name. Use 1 to 64 letters`}},
		{"long name", func(c *Config) { c.Node.Name = strings.Repeat("a", 65) }, []string{"node.name"}},
		{"name of 64", func(c *Config) { c.Node.Name = strings.Repeat("a", 64) }, nil},
		{"name begins with a hyphen", func(c *Config) { c.Node.Name = "-a" }, []string{"node.name"}},
		{"listen without port", func(c *Config) { c.Node.Listen = "127.0.0.1" }, []string{"node.listen: \"127.0.0.1\" is not host:port. Write for example 127.0.0.1:8080"}},
		{"listen is a URL", func(c *Config) { c.Node.Listen = "http://localhost:80" }, []string{"node.listen"}},
		{"listen port too high", func(c *Config) { c.Node.Listen = ":65536" }, []string{"node.listen"}},
		{"listen port by name", func(c *Config) { c.Node.Listen = ":http" }, []string{"node.listen"}},
		{"listen on any free port", func(c *Config) { c.Node.Listen = "[::1]:0" }, nil},
		{"own url is no URL", func(c *Config) { c.Node.URL = "clinic.example" }, []string{`node.url: "clinic.example" is not an http or https URL. Write for example https://clinic-a.example`}},
		{"own url with a query", func(c *Config) { c.Node.URL = "https://a.example/x?y=1" }, []string{"node.url: the URL goes on"}},
		{"driver unknown", func(c *Config) { c.Store.Driver = "postgres" }, []string{`store.driver: "postgres" is no database that tributary knows. Use sqlite`}},
		{"driver mariadb", func(c *Config) { c.Store.Driver = "MariaDB" }, []string{"Write mysql, which is for MariaDB too"}},
		{"sqlite without path", func(c *Config) { c.Store.DSN = "" }, []string{"store.dsn: the path of the database file is missing"}},
		{"sqlite in memory", func(c *Config) { c.Store.DSN = ":memory:" }, []string{"store.dsn: for sqlite this is the path of a file"}},
		{"sqlite with options", func(c *Config) { c.Store.DSN = "a.db?mode=ro" }, []string{"store.dsn: for sqlite"}},
		{"sqlite with the address of a server", func(c *Config) { c.Store.DSN = "root:s3cr3t@tcp(h:1)/d" }, []string{"store.driver: it is sqlite, and store.dsn is the address of a server. Set it to mysql"}},
		{"mysql without dsn", func(c *Config) { c.Store = Store{Driver: DriverMySQL} }, []string{"store.dsn_file: the address of the mysql database is missing. Write user:password@tcp(host:3306)/database"}},
		{"mysql as a URL", func(c *Config) { c.Store = Store{Driver: DriverMySQL, DSN: "mysql://root:s3cr3t@h/d"} }, []string{"store.dsn: this is not the address"}},
		{"mysql without database", func(c *Config) { c.Store = Store{Driver: DriverMySQL, DSN: "root:s3cr3t@tcp(h:1)/"} }, []string{"store.dsn: this is not the address"}},
		{"mysql", func(c *Config) { c.Store = Store{Driver: DriverMySQL, DSN: "root:p/w@1@tcp(h:1)/d?tls=true"} }, nil},
		{"mysql by socket", func(c *Config) { c.Store = Store{Driver: DriverMySQL, DSN: "root@unix(/run/mysqld.sock)/d"} }, nil},
		{"mysql with the path of a file", func(c *Config) { c.Store.Driver = DriverMySQL }, []string{"store.dsn: this is not the address"}},
		{"mysql, no port", func(c *Config) { c.Store = Store{Driver: DriverMySQL, DSN: "root:p@tcp/d"} }, nil},
		{"two addresses", func(c *Config) { c.Store = Store{Driver: DriverMySQL, DSN: "root@tcp(h:1)/d", DSNFile: "x"} }, []string{"store.dsn_file: store.dsn is given as well. Keep one"}},
		{"sqlite by a file of its path", func(c *Config) { c.Store.DSNFile = "x" }, []string{"store.dsn_file: it is for mysql only. Write the path"}},
		{"sqlite with the address of this machine's server", func(c *Config) { c.Store.DSN = "root:s3cr3t@/d" }, []string{"store.driver: it is sqlite, and store.dsn is the address"}},
		{"parent is no URL", func(c *Config) { c.Parent.URL = "ftp://x" }, []string{`parent.url: "ftp://x" is not an http or https URL`}},
		{"parent without host", func(c *Config) { c.Parent.URL = "https:///x" }, []string{"parent.url"}},
		{"parent with a password", func(c *Config) { c.Parent.URL = "https://me:s3cr3t@x.example" }, []string{"parent.url: a URL here has no user and no @. Remove what stands before the @"}},
		{"parent with a bad port", func(c *Config) { c.Parent.URL = "https://x.example:0" }, []string{"has no valid port"}},
		{"parent without credential", func(c *Config) { c.Parent.CredentialFile = "" }, []string{"parent.credential_file: parent.url is given without a credential. Run tributary child add clinic-a"}},
		{"credential from the environment", func(c *Config) { c.Parent.CredentialFile, c.Parent.Credential = "", "s3cr3t" }, nil},
		{"credential with blanks", func(c *Config) { c.Parent.Credential = "s3cr3t x" }, []string{"parent.credential: it contains blanks"}},
		{"parent is the node", func(c *Config) { c.Node.URL, c.Parent.URL = "https://A.example:443/", "https://a.example" }, []string{"parent.url: it is the node itself"}},
		{"parent is the node's port", func(c *Config) { c.Parent.URL = "http://localhost:8080" }, []string{"parent.url: it is the node itself"}},
		{"parent is another port", func(c *Config) { c.Parent.URL = "http://localhost:8081" }, nil},
		{"no pause", func(c *Config) { c.Pull.Wait = 0 }, []string{"pull.every: with pull.wait 0 as well"}},
		{"no pause, but no pull", func(c *Config) { c.Pull.Wait, c.Pull.Enabled = 0, false }, nil},
		{"wait too long", func(c *Config) { c.Pull.Wait = Duration(11 * 60e9) }, []string{"pull.wait: 11m is too long. Use at most 10m"}},
		{"every too short", func(c *Config) { c.Push.Every = 5 }, []string{"push.every: 5ns is too short. Use 0 or at least 1s"}},
		{"negative", func(c *Config) { c.History.Keep = -1 }, []string{"history.keep: -1ns is too short. Use 0 or at least 1h"}},
		{"page", func(c *Config) { c.Pull.Page = 10_001 }, []string{"pull.page: 10001 is not from 1 to 10000"}},
		{"no types", func(c *Config) { c.Push.Types = nil }, []string{"push.types: the list is empty. Remove the line for all types, or set push.enabled: false"}},
		{"type unknown", func(c *Config) { c.Pull.Types = []TypeRule{{Type: "patient"}} }, []string{`pull.types[0].type: "patient" is not a resource type of FHIR R4. Did you mean Patient?`}},
		{"type unlike any", func(c *Config) { c.Pull.Types = []TypeRule{{Type: "Xyzzyxyzzy"}} }, []string{"Use a type of https://hl7.org/fhir/R4/resourcelist.html"}},
		{"type missing", func(c *Config) { c.Pull.Types = []TypeRule{{Client: "node"}} }, []string{"pull.types[0].type: the type is missing"}},
		{"type twice", func(c *Config) { c.Pull.Types = []TypeRule{{Type: "*"}, {Type: "*"}} }, []string{`pull.types[1].type: "*" stands at pull.types[0] already`}},
		{"client unknown", func(c *Config) { c.Push.Types[0].Client = "fihr" }, []string{`push.types[0].client: "fihr" is not known. Did you mean fhir? There are node, fhir, rest`}},
		{"policy unknown", func(c *Config) { c.Conflicts.Default = "source-win" }, []string{`conflicts.default: "source-win" is not known. Did you mean source-wins?`}},
		{"policy merge", func(c *Config) {
			c.Conflicts.Types = map[string]reconcile.Policy{"Patient": "merge,last-writer-wins", "Group": "merge, source-wins"}
		}, nil},
		{"policy behind what needs none", func(c *Config) { c.Conflicts.Types = map[string]reconcile.Policy{"Patient": "defer,merge"} }, []string{`conflicts.types.Patient: "defer,merge" is not known. Use one of merge, source-wins, destination-wins, replica-priority, last-writer-wins, defer`}},
		{"merge, then what hides", func(c *Config) { c.Conflicts.Default, c.Pull.Enabled = "merge,destination-wins", false }, []string{"destination-wins would hide"}},
		{"merge by default, nothing pulled", func(c *Config) { c.Pull.Enabled = false }, nil},
		{"policy for all", func(c *Config) { c.Conflicts.Types = map[string]reconcile.Policy{"*": "defer"} }, []string{"conflicts.types.*: there is no such resource type. Use conflicts.default"}},
		{"policy for an unknown type", func(c *Config) { c.Conflicts.Types = map[string]reconcile.Policy{"Pateint": "defer"} }, []string{"Did you mean Patient?"}},
		{"priority", func(c *Config) { c.Conflicts.Priority = map[string]int{"b": 0, "a b": 1} }, []string{`conflicts.priority."a b": this is not the name`, "conflicts.priority.b: 0 is not a priority"}},
		{"feed page", func(c *Config) { c.Feed.PageSize = 0 }, []string{"feed.page_size: 0 is not from 1 to 1000"}},
		{"network", func(c *Config) { c.Feed.Anonymous = []CIDR{{}} }, []string{"feed.anonymous[0]: this is not a network"}},
		{"resource limit", func(c *Config) { c.Limits.Resource = 1 }, []string{"limits.resource: 1 is not from 1KiB to 64MiB"}},
		{"body below resource", func(c *Config) { c.Limits.Body = 1 << 20 }, []string{"limits.body: 1MiB is not from limits.resource (16MiB) to 1GiB"}},
		{"references", func(c *Config) { c.References = "holds" }, []string{"references: \"holds\" is not known. Did you mean hold?"}},
		{"log", func(c *Config) { c.Log = Log{Level: "", Format: "jsno"} }, []string{"log.level: \"\" is not known. Use one of debug", "log.format: \"jsno\" is not known. Did you mean json?"}},
		{
			"all at once", func(c *Config) { *c = Config{} },
			[]string{"node.name", "node.listen", "store.driver", "pull.page", "pull.types", "push.types", "references", "conflicts.default", "feed.page_size", "limits.resource", "log.level", "log.format"},
		},
		{"defer of a type that is only pushed", func(c *Config) {
			c.Pull.Types = append(c.Pull.Types, TypeRule{Type: "Patient", Enabled: ref(false)})
			c.Conflicts.Types = map[string]reconcile.Policy{"Patient": reconcile.Defer, "Consent": reconcile.Defer}
		}, []string{"conflicts.types.Patient: defer would hide the parent's changes for ever, because Patient is pushed and not pulled. Pull the type as well"}},
		{"destination-wins by default, two types only pushed", func(c *Config) {
			c.Conflicts.Default = reconcile.DestinationWins
			c.Pull.Types = append(c.Pull.Types, TypeRule{Type: "Patient", Enabled: ref(false)}, TypeRule{Type: "Consent", Enabled: ref(false)})
		}, []string{"conflicts.default: destination-wins would hide the parent's changes for ever, because Consent and Patient are pushed and not pulled"}},
		{"defer by default, nothing pulled", func(c *Config) { c.Conflicts.Default, c.Pull.Enabled = reconcile.Defer, false }, []string{"because Account, ActivityDefinition and 144 other types are pushed"}},
		{"last-writer-wins of a type that is only pushed", func(c *Config) { c.Pull.Enabled = false }, nil},
		{"destination-wins both ways", func(c *Config) { c.Conflicts.Default = reconcile.DestinationWins }, nil},
		{"defer without a parent", func(c *Config) { c.Conflicts.Default, c.Pull.Enabled, c.Parent = reconcile.Defer, false, Parent{} }, nil},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			c := sound()
			r.change(&c)
			got := lines(t, c.Validate())
			if len(got) != len(r.want) {
				t.Fatalf("got %d problems %q, want %d", len(got), got, len(r.want))
			}
			for i := range got {
				if !strings.Contains(got[i], r.want[i]) {
					t.Errorf("got %q, want %q in it", got[i], r.want[i])
				}
				if strings.Contains(got[i], "s3cr3t") {
					t.Errorf("%q shows a secret", got[i])
				}
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	rows := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"sound", func(*Config) {}, ""},
		{"plain http", func(c *Config) { c.Parent.URL = "http://district.example" }, "parent.url: plain http shows"},
		{"plain http on this machine", func(c *Config) { c.Parent.URL = "http://127.0.0.1:9000" }, ""},
		{"plain http on this machine by name", func(c *Config) { c.Parent.URL = "http://localhost:9000" }, ""},
		{"plain http on this machine, IPv6", func(c *Config) { c.Parent.URL = "http://[::1]:9000" }, ""},
		{"credential without a parent", func(c *Config) { c.Parent.URL = "" }, "parent.credential_file: has no effect"},
		{"destination-wins, only pulled", func(c *Config) {
			c.Conflicts.Types = map[string]reconcile.Policy{"Location": reconcile.DestinationWins}
			c.Push.Types = []TypeRule{{Type: "Patient"}}
		}, "conflicts.types.Location: destination-wins keeps this node's edits from the parent for ever, because Location is pulled and not pushed"},
		{"defer, only pulled", func(c *Config) { c.Conflicts.Default, c.Push.Enabled = reconcile.Defer, false }, ""},
		{"feed for all", func(c *Config) { c.Feed.Anonymous = []CIDR{{netip.MustParsePrefix("0.0.0.0/0")}} }, "feed.anonymous[0]: 0.0.0.0/0 lets everybody read"},
		{"feed for some", func(c *Config) { c.Feed.Anonymous = []CIDR{{netip.MustParsePrefix("10.0.0.0/8")}} }, ""},
	}
	for _, r := range rows {
		c := sound()
		r.change(&c)
		got := strings.Join(c.Warnings(), "\n")
		if (r.want == "") != (got == "") || !strings.HasPrefix(got, r.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: got %q, want %q", r.name, got, r.want)
		}
	}
}
