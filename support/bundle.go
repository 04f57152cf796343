package support

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

// How many rows of each list a bundle has, the newest.
const (
	maxRuns     = 200
	maxAudit    = 300 // of any outcome, and as many of what failed
	maxWaiting  = 300 // parked, held, conflicts
	countWithin = 30 * time.Second
)

// Source is what a bundle is made of.
type Source struct {
	Config  config.Config
	Version string // of the program
	Control *control.Control
	Log     *Log                   // nil where nothing was logged
	Metrics func() ([]byte, error) // in the text format of Prometheus; nil for none
	Random  func(b []byte) error   // fills the key of the tokens
	Running bool                   // the node runs: its goroutines are told
	Checks  []control.Check        // made elsewhere; nil: Control is asked
	Problem error                  // why there is no Control
}

const readme = `This is a support bundle of a Tributary node, made to be sent to people who help from afar.

It holds no patient data: no content of any resource, no name, no identifier, no id of a resource, no search, no credential. What a person or another
system wrote (reasons, errors, filters, templates, device criteria) is not in it either: of such a text it tells what kind of thing it speaks of
("cause"), and a token beginning with ~. The same token is the same text, or the same resource, within this bundle. The key of the tokens was thrown
away when the bundle was made, so nobody can find out from it what a token stands for. Rows of the audit have their number ("row"): at the
node, "tributary audit --json" shows the same row in full to who may see it.

It does tell: names and addresses (host and port) of nodes and of servers beside them, counts, sizes, times, versions, resource types, settings.

  version.json      the program, the machine, the schema, the database server
  settings.json     the configuration, reduced to what may be told
  status.json       how the node stands
  doctor.json       what doctor finds
  runs.json         the last passes
  audit.json        the last rows of the audit, and the last of those that failed
  waiting.json      what is parked, held, in conflict
  database.json     sizes, rows of each table
  schema.sql        the tables as the database has them
  metrics.txt       what /metrics answers
  log.txt           the last lines of the log since the node was started
  goroutines.txt    what the running program is doing
  missing.txt       what could not be collected, and why
`

// maker collects the files of one bundle.
type maker struct {
	tokens
	files   []control.File
	missing []string
}

// Bundle returns the files of a bundle. What cannot be collected is named in missing.txt, with the kind of the cause: a bundle is wanted most where
// something is broken. It returns an error only where ctx has ended, or no key can be drawn.
func Bundle(ctx context.Context, s Source) ([]control.File, error) {
	m := &maker{tokens: tokens{key: make([]byte, 32), names: names(s.Config)}}
	if err := s.Random(m.key); err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, "make support bundle", err)
	}
	m.add("README.txt", readme)
	m.json("settings.json", m.settings(s.Config))
	if s.Problem != nil {
		m.miss("node", s.Problem)
	}
	if s.Control != nil {
		m.node(ctx, s)
	} else {
		m.json("version.json", program(s.Version))
	}
	checks := s.Checks
	if checks == nil && s.Control != nil {
		var err error
		if checks, err = s.Control.Doctor(ctx, false); err != nil {
			m.miss("doctor", err)
		}
	}
	m.json("doctor.json", m.checks(checks))
	if s.Metrics != nil {
		if text, err := s.Metrics(); err != nil {
			m.miss("metrics", err)
		} else {
			m.add("metrics.txt", string(text))
		}
	}
	if s.Log != nil {
		m.add("log.txt", strings.Join(s.Log.Lines(), "\n")+"\n")
	}
	if s.Running {
		m.add("goroutines.txt", goroutines())
	}
	m.add("missing.txt", strings.Join(append(m.missing, ""), "\n"))
	return m.files, ctx.Err()
}

func (m *maker) add(name, text string) {
	m.files = append(m.files, control.File{Name: name, Text: text})
}

func (m *maker) miss(what string, err error) {
	m.missing = append(m.missing, what+": "+syncerr.KindOf(err).String()+": "+Causes(err.Error()))
}

func (m *maker) json(name string, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		m.miss(name, err)
		return
	}
	m.add(name, string(b)+"\n")
}

// names lists what nodes and servers are called in a configuration, and their addresses.
func names(c config.Config) []string {
	out := []string{"operator", "local", "anonymous", "parent", c.Node.Name, Place(c.Node.URL), Place(c.Parent.URL)}
	for name, s := range c.Servers {
		out = append(out, name, Place(s.Base()))
	}
	for name, t := range c.SData {
		out = append(out, name, "sdata/"+name, Place(t.URL))
	}
	for name := range c.Conflicts.Priority {
		out = append(out, name)
	}
	return out
}

type versions struct {
	Program  string `json:"program"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	CPUs     int    `json:"cpus"`
	Memory   uint64 `json:"memoryBytes"` // what the program took from the system
	Replica  string `json:"replica,omitempty"`
	Epoch    string `json:"epoch,omitempty"`
	Schema   int64  `json:"schema,omitempty"`
	Driver   string `json:"driver,omitempty"`
	Database string `json:"database,omitempty"`
}

func program(version string) versions {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return versions{Program: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Memory: mem.Sys}
}

// node collects what only an open database can tell.
func (m *maker) node(ctx context.Context, s Source) {
	st, err := s.Control.Status(ctx)
	if err != nil {
		m.miss("status", err)
		m.json("version.json", program(s.Version))
	} else {
		for _, c := range st.Children {
			m.names = append(m.names, c.Name)
		}
		v := program(s.Version)
		v.Replica, v.Epoch, v.Schema, v.Driver, v.Database = string(st.Node.Replica), st.Node.Epoch, st.Node.Schema, st.Node.Driver, st.Node.Database
		m.json("version.json", v)
		m.json("status.json", m.status(st))
	}
	if runs, err := s.Control.Runs(ctx, "", maxRuns); err != nil {
		m.miss("runs", err)
	} else {
		m.json("runs.json", m.runs(runs))
	}
	var rows []auditRow
	for _, q := range []audit.Query{{Limit: maxAudit}, {Failures: true, Limit: maxAudit}} {
		records, err := s.Control.Audit(ctx, q)
		if err != nil {
			m.miss("audit", err)
		}
		rows = append(rows, m.audit(records)...)
	}
	m.json("audit.json", rows)
	m.waiting(ctx, s.Control)
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	sizes, tables, err := s.Control.Database(ctx)
	if err != nil {
		m.miss("database", err)
	}
	rowsOf := map[string]int64{}
	var schema strings.Builder
	for _, t := range tables {
		rowsOf[t.Name] = t.Rows
		schema.WriteString(t.Definition + ";\n\n")
	}
	m.json("database.json", map[string]any{"bytes": sizes, "rows": rowsOf})
	m.add("schema.sql", schema.String())
}

// arguments are what a dump of goroutines shows of the values that functions were called with: numbers, but nobody needs them.
var arguments = regexp.MustCompile(`\((?:0x|\{|\.\.\.|[0-9])[^\n]*\)|\+0x[0-9a-f]+`)

// goroutines returns what the program is doing, without the values of arguments.
func goroutines() string {
	var b bytes.Buffer
	const withWaits = 2
	if err := pprof.Lookup("goroutine").WriteTo(&b, withWaits); err != nil {
		return Causes(err.Error())
	}
	return arguments.ReplaceAllString(b.String(), "")
}
