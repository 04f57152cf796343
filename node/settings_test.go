package node_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/samples"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/syncerr"
)

// filed is a node whose settings stand in a file.
type filed struct {
	*running
	t    *testing.T
	path string
	env  []string
	deps node.Deps
}

// startFiled starts a node of that parent, nil for none, with those settings.
func startFiled(t *testing.T, parent *running, settings string, deps node.Deps) *filed {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &filed{t: t, path: filepath.Join(dir, "tributary.yaml"), deps: deps}
	text := fmt.Sprintf("# mine\nnode: {name: child, listen: %q}\n", l.Addr())
	if parent != nil {
		c, err := parent.Control().AddChild(t.Context(), "child", "")
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("parent: {url: %q} # the district\n\n", parent.cfg.Node.URL)
		f.env = []string{"TRIBUTARY_PARENT__CREDENTIAL=" + c.Credential}
	}
	f.save(text + settings)
	cfg := f.load()
	if err := node.Init(t.Context(), cfg, f.deps); err != nil {
		t.Fatal(err)
	}
	f.running = serve(t, cfg, f.deps, l)
	return f
}

func (f *filed) save(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *filed) text() string {
	f.t.Helper()
	b, err := os.ReadFile(f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

func (f *filed) load() config.Config {
	f.t.Helper()
	cfg, err := config.Load(f.path, f.env)
	if err != nil {
		f.t.Fatal(err)
	}
	if f.deps.File, err = config.Open(f.path, f.env); err != nil {
		f.t.Fatal(err)
	}
	return cfg
}

// again stops the node and starts it from its file.
func (f *filed) again() {
	f.t.Helper()
	f.stop()
	l, err := net.Listen("tcp", f.cfg.Node.Listen)
	if err != nil {
		f.t.Fatal(err)
	}
	f.running = serve(f.t, f.load(), f.deps, l)
}

func (f *filed) settings() control.Settings {
	f.t.Helper()
	s, err := f.Control().Settings(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// change makes types go or not: "+Patient" and "-Patient", "+*" for all others.
func (f *filed) wish(pull, push string) control.SettingsChange {
	f.t.Helper()
	s := f.settings()
	ch := control.SettingsChange{Basis: s.Basis}
	for way, text := range map[*config.Way]string{&s.Pull: pull, &s.Push: push} {
		others, types := way.Others(), map[string]bool{}
		for word := range strings.FieldsSeq(text) {
			if types[word[1:]] = word[0] == '+'; word[1:] == config.AllTypes {
				others = word[0] == '+'
			}
		}
		delete(types, config.AllTypes)
		if text != "" {
			*way = way.With(others, types)
		}
	}
	if ch.Pull, ch.Push = &s.Pull, &s.Push; push == "" {
		ch.Push = nil
	}
	return ch
}

func (f *filed) preview(ch control.SettingsChange) control.SettingsPreview {
	f.t.Helper()
	p, err := f.Control().PreviewSettings(context.Background(), ch)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

func (f *filed) change(ch control.SettingsChange) control.Settings {
	f.t.Helper()
	s, err := f.Control().As("ada").ChangeSettings(context.Background(), ch)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func (r *running) count(t *testing.T, types ...string) (n int64) {
	t.Helper()
	c, err := r.Engine().Store().Counts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range types {
		n += c.Resources[name]
	}
	return n
}

// eventually waits for something that a loop does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// moved sums up what the passes of a direction moved.
func (r *running) moved(t *testing.T, direction string) (in, out int64) {
	t.Helper()
	runs, err := r.Engine().Store().Runs(context.Background(), direction, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		in, out = in+run.BytesIn, out+run.BytesOut
	}
	return in, out
}

// ended waits until the newest pass that moved as much has ended.
func (r *running) ended(t *testing.T, direction string, read int64) {
	t.Helper()
	eventually(t, "the pass did not end", func() bool {
		runs, err := r.Engine().Store().Runs(context.Background(), direction, 1)
		return err == nil && len(runs) > 0 && runs[0].Outcome == "done" && runs[0].Read >= read
	})
}

// sampled writes the records of invented people, and returns how many resources of each type they have.
func (r *running) sampled(t *testing.T, people int, clinic string) map[string]int64 {
	t.Helper()
	n := map[string]int64{}
	var writes []engine.Write
	for s := range samples.All(samples.Config{Seed: 7, Clinic: clinic}, people) {
		res, err := fhir.Parse(s.JSON, 0)
		if err != nil {
			t.Fatal(err)
		}
		writes = append(writes, engine.Write{Op: engine.Update, Key: res.Key, Body: res})
		n[res.Key.Type]++
	}
	for len(writes) > 0 {
		some := min(len(writes), 200)
		if _, err := r.Engine().Author(context.Background(), "test", writes[:some]); err != nil {
			t.Fatal(err)
		}
		writes = writes[some:]
	}
	return n
}

func near(t *testing.T, what string, estimate, truth int64) {
	t.Helper()
	t.Logf("%s: %d bytes estimated, %d moved", what, estimate, truth)
	if estimate*100 < truth*75 || estimate*100 > truth*125 {
		t.Errorf("%s: %d bytes were estimated, %d moved: more than a quarter off", what, estimate, truth)
	}
}

func (r *running) settingsAudit(t *testing.T) []audit.Record {
	t.Helper()
	rows, err := r.Engine().Store().AuditRecords(context.Background(), audit.Query{Operation: audit.Admin, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var out []audit.Record
	for _, row := range rows {
		if row.Action == "SETTINGS" {
			out = append(out, row)
		}
	}
	return out
}

// What is synchronised changes while the node runs: what was said before comes and goes, the file and the next start say the same, and it is audited.
func TestSettingsChangeLive(t *testing.T) {
	var fetches atomic.Int64
	parent := start(t, "parent", nil, node.Deps{}, nil)
	theirs := parent.sampled(t, 4000, "Parent Clinic")
	child := startFiled(t, parent, "pull:\n  types:\n  - type: Patient # people\n  # no more: the link is slow\npush: {enabled: false}\n", node.Deps{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/sync/fetch" {
			fetches.Add(1)
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	mine := child.sampled(t, 1500, "Child Clinic")
	eventually(t, "the patients did not come", func() bool { return child.count(t, "Patient") == theirs["Patient"]+mine["Patient"] })

	// More is pulled: as much as was said, and nothing else.
	ch := child.wish("+Observation +Encounter", "")
	p := child.preview(ch)
	want := theirs["Observation"] + theirs["Encounter"]
	if p.Fetch == nil || p.Fetch.Unknown != nil || p.Fetch.AtMost || p.Fetch.Resources != want || p.Send != nil || len(p.Changes) != 2 {
		t.Fatalf("want %d: %+v, %+v", want, p, p.Fetch)
	}
	before, _ := child.moved(t, "pull")
	s := child.change(ch)
	eventually(t, "what is wanted now did not come", func() bool {
		return child.count(t, "Observation", "Encounter") == mine["Observation"]+mine["Encounter"]+want
	})
	child.ended(t, "pull", want)
	after, _ := child.moved(t, "pull")
	near(t, "pull", p.Fetch.Bytes, after-before)
	if n := fetches.Load(); n > 0 {
		t.Errorf("%d exchanges for contents that a list brings", n)
	}
	if n := child.count(t, "Condition"); n != mine["Condition"] || theirs["Condition"] == 0 {
		t.Errorf("something else came, too: %d conditions", n)
	}
	if !s.Pull.Goes("Observation") || s.Basis == ch.Basis || child.preview(child.wish("+Observation", "")).Fetch != nil {
		t.Errorf("%+v", s)
	}

	// The file says it as its owner would have, and so does the next start.
	if text := child.text(); !strings.Contains(text, "  - type: Patient # people\n  - {type: Encounter}\n  - {type: Observation}\n  # no more: the link is slow\n") || !strings.HasPrefix(text, "# mine\n") {
		t.Errorf("the file is\n%s", text)
	}
	rows := child.settingsAudit(t)
	if len(rows) != 1 || rows[0].Peer != "ada" || rows[0].Details != "pull of Encounter: off -> on; pull of Observation: off -> on" {
		t.Errorf("%+v", rows)
	}
	child.again()
	if now := child.settings(); !now.Sync.Equal(s.Sync) || now.Basis != s.Basis || now.Differs || len(child.settingsAudit(t)) != 1 {
		t.Errorf("after a start: %+v", now)
	}

	// All of it goes up: what came from the parent does not.
	all := child.wish("", "+*")
	p = child.preview(all)
	var sum int64
	for _, n := range mine {
		sum += n
	}
	if p.Send == nil || p.Send.AtMost || p.Send.Resources != sum || p.Fetch != nil {
		t.Fatalf("want %d: %+v, %+v", sum, p, p.Send)
	}
	_, before = child.moved(t, "push")
	child.change(all)
	eventually(t, "what is sent now did not arrive", func() bool {
		for name, n := range mine {
			if parent.count(t, name) != theirs[name]+n {
				return false
			}
		}
		return true
	})
	child.ended(t, "push", sum)
	_, after = child.moved(t, "push")
	near(t, "push", p.Send.Bytes, after-before)
}

// A type is given to another client while the node runs, and what the page and the audit say of it.
func TestSettingsGiveATypeToAnotherClient(t *testing.T) {
	var posts atomic.Int64
	parent := start(t, "parent", nil, node.Deps{}, nil)
	child := startFiled(t, parent, "push:\n  types: [{type: '*'}] # all of it\n", node.Deps{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasPrefix(r.URL.Path, "/fhir/R4") && r.Method != http.MethodGet {
			posts.Add(1)
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	ch := child.wish("", "+*")
	next := ch.Push.Via(map[string]config.Client{"Location": config.ClientFHIR})
	ch.Pull, ch.Push = nil, &next
	if p := child.preview(ch); len(p.Changes) != 1 || p.Changes[0] != (control.SettingChange{Setting: "push_client", Type: "Location", To: "fhir"}) || p.Send != nil {
		t.Errorf("%+v", p)
	}
	if s := child.change(ch); s.Push.Client("Location") != config.ClientFHIR || len(s.Types) != 1 || s.Types[0].PushClient != config.ClientFHIR || !s.Types[0].Pushed || s.Others.PushClient != "" {
		t.Errorf("%+v", s)
	}
	if text := child.text(); !strings.Contains(text, "{type: '*'}, {type: Location, client: fhir}] # all of it") {
		t.Errorf("the file is\n%s", text)
	}
	if rows := child.settingsAudit(t); len(rows) != 1 || rows[0].Details != "push client of Location: as all others -> fhir" {
		t.Errorf("%+v", rows)
	}
	child.write(t, "Location", "ward", "Ward 1")
	child.write(t, "Basic", "note", "x")
	eventually(t, "what was written did not arrive", func() bool { return parent.count(t, "Location") == 1 && parent.count(t, "Basic") == 1 })
	if n := posts.Load(); n != 1 {
		t.Errorf("%d writes over FHIR, want that of the location", n)
	}
}

// What stops going is told: what is here stays, what waits is not sent, and it goes again later without a loss.
func TestSettingsStopATypeAndBeginAgain(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	var cut atomic.Bool
	child := startFiled(t, parent, "", node.Deps{Transport: cutter(&cut)})
	parent.write(t, "Patient", "p1", "from the parent")
	child.await(t, "Patient", "p1")
	child.write(t, "Patient", "c1", "sent")
	parent.await(t, "Patient", "c1")
	eventually(t, "the push did not end", func() bool { return child.status(t).Push.Backlog == 0 && !child.LinkState()[1].Running })
	cut.Store(true)
	child.write(t, "Patient", "c2", "waits")
	child.write(t, "Patient", "c3", "waits")
	p := child.preview(child.wish("-Patient", "-Patient"))
	got := map[string]int64{}
	for _, e := range p.Effects {
		got[e.Code] = e.Count
	}
	if len(got) != 2 || got["settings_stays"] == 0 || got["settings_waits"] != 2 || p.Fetch != nil || p.Send != nil {
		t.Errorf("%+v", p)
	}
	child.change(child.wish("-Patient", "-Patient"))
	cut.Store(false)
	parent.write(t, "Patient", "p2", "not wanted")
	parent.write(t, "Basic", "b", "wanted")
	child.write(t, "Basic", "c", "sent")
	child.await(t, "Basic", "b")
	parent.await(t, "Basic", "c")
	if child.count(t, "Patient") != 4 || parent.count(t, "Patient") != 3 {
		t.Errorf("%d here, %d there", child.count(t, "Patient"), parent.count(t, "Patient"))
	}
	p = child.preview(child.wish("+Patient", "+Patient"))
	if p.Fetch == nil || p.Fetch.Resources != 1 || p.Send == nil || p.Send.Resources != 2 {
		t.Errorf("%+v %+v", p.Fetch, p.Send)
	}
	child.change(child.wish("+Patient", "+Patient"))
	child.await(t, "Patient", "p2")
	parent.await(t, "Patient", "c3")
	parent.await(t, "Patient", "c2")
}

func (r *running) status(t *testing.T) control.Parent {
	t.Helper()
	s, err := r.Control().Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return *s.Parent
}

// Who saw an older state changes nothing, nor does who wants what cannot be; and a file that was changed by hand is taken over as it is.
func TestSettingsOfSeveralPeople(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	child := startFiled(t, parent, "", node.Deps{})
	first, second := child.wish("-Media", ""), child.wish("-Flag", "")
	child.change(first)
	_, err := child.Control().ChangeSettings(t.Context(), second)
	if syncerr.KindOf(err) != syncerr.Precondition || !child.settings().Pull.Goes("Flag") {
		t.Errorf("the second of two: %v", err)
	}
	wrong := child.wish("", "")
	wrong.Pull.Types = append(wrong.Pull.Types, config.TypeRule{Type: "Pacient"})
	before := child.text()
	for what, do := range map[string]func() error{
		"preview": func() error { _, err := child.Control().PreviewSettings(t.Context(), wrong); return err },
		"change":  func() error { _, err := child.Control().ChangeSettings(t.Context(), wrong); return err },
	} {
		if err := do(); syncerr.KindOf(err) != syncerr.Usage || !strings.Contains(err.Error(), "pull.types[2].type") || child.text() != before {
			t.Errorf("%s: %v", what, err)
		}
	}
	child.save(strings.Replace(before, "Media", "Flag", 1))
	now := child.settings()
	if !now.Differs || now.Pull.Goes("Media") || !now.Pull.Goes("Flag") {
		t.Errorf("%+v", now)
	}
	now = child.change(control.SettingsChange{Basis: now.Basis, File: true})
	if now.Differs || !now.Pull.Goes("Media") || now.Pull.Goes("Flag") {
		t.Errorf("%+v", now)
	}
	if rows := child.settingsAudit(t); len(rows) != 2 || rows[0].Details != "pull of Flag: on -> off; pull of Media: off -> on" {
		t.Errorf("%+v", rows)
	}
	child.save("node: {name: child")
	if now = child.settings(); now.Fixed == nil || now.Fixed.Code != "fixed_invalid" {
		t.Errorf("%+v", now)
	}
	child.save(before)
	child.again()
	if rows := child.settingsAudit(t); len(rows) != 3 || rows[0].Peer != "configuration file" || rows[0].Details != "pull of Flag: off -> on; pull of Media: on -> off" {
		t.Errorf("%+v", rows)
	}
}

// A process that stops behind the writing of the file comes up with what the file says, and with the name of who changed it.
func TestSettingsSurviveAStop(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	var stopped atomic.Bool
	var child *filed
	armed := func(string) error {
		if stopped.Load() && strings.Contains(child.text(), "Media") {
			return errors.New("the process stopped here")
		}
		return nil
	}
	child = startFiled(t, parent, "", node.Deps{Hook: armed})
	stopped.Store(true)
	_, err := child.Control().As("ada").ChangeSettings(t.Context(), child.wish("-Media", ""))
	if err == nil || !strings.Contains(err.Error(), "could not be recorded") {
		t.Fatal(err)
	}
	stopped.Store(false)
	child.again()
	if s := child.settings(); s.Pull.Goes("Media") {
		t.Errorf("%+v", s)
	}
	if rows := child.settingsAudit(t); len(rows) != 1 || rows[0].Peer != "ada" || rows[0].Details != "pull of Media: on -> off" {
		t.Errorf("%+v", rows)
	}
}

// A parent that does not know the question, or that is away, is said to be so.
func TestPreviewWithoutAnAnswer(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	var cut atomic.Bool
	child := startFiled(t, parent, "pull: {types: [{type: Patient}]}\npush: {types: [{type: Patient}]}\n", node.Deps{Transport: old{cutter(&cut)}})
	child.write(t, "Basic", "b", "here")
	p := child.preview(child.wish("+Basic", "+Basic"))
	if p.Fetch == nil || p.Fetch.Unknown == nil || p.Fetch.Unknown.Code != "volume_old" || p.Send == nil || p.Send.Unknown != nil || p.Send.AtMost || p.Send.Resources != 1 {
		t.Errorf("%+v, %+v", p.Fetch, p.Send)
	}
	cut.Store(true)
	p = child.preview(child.wish("+Basic", "+Basic"))
	if p.Fetch == nil || p.Fetch.Unknown == nil || p.Fetch.Unknown.Code != "volume_away" || p.Send == nil || !p.Send.AtMost || p.Send.Resources != 1 {
		t.Errorf("%+v, %+v", p.Fetch, p.Send)
	}
}

// cutter fails like an unplugged network while cut is set; requests that wait are answered.
func cutter(cut *atomic.Bool) http.RoundTripper {
	return tripper(func(r *http.Request) (*http.Response, error) {
		if cut.Load() {
			return nil, errors.New("the link is cut")
		}
		return http.DefaultTransport.RoundTrip(r)
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// old is the way to a parent that does not know the question how much there is.
type old struct{ http.RoundTripper }

func (o old) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/sync/estimate" {
		r = r.Clone(r.Context())
		r.URL.Path = "/sync/never"
	}
	return o.RoundTripper.RoundTrip(r)
}
