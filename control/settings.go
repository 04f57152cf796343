package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Live is a node whose settings can change while it runs. node implements it.
type Live interface {
	// Config returns the configuration that is in force.
	Config() config.Config
	// Prepare checks that the node can synchronise what a valid configuration says, and returns what makes it do so between two passes.
	Prepare(to config.Sync) (apply func(context.Context) error, err error)
	// Estimate says how much there is to Pull or to Push of types: the copies that the other side has, or this one, and that the side which gets
	// them does not know. sure is false where that side could not be asked, so that it is at most that much. It returns an Unsupported error where
	// the parent is too old to tell.
	Estimate(ctx context.Context, direction string, types []string) (list []feed.Estimate, sure bool, err error)
}

// Client names what moves a type between two nodes, and Way says which types go one way.
type (
	Client = config.Client
	Way    = config.Way
)

// Clients lists what may move a type, the usual one first.
func Clients() []Client { return []Client{config.ClientNode, config.ClientFHIR, config.ClientREST} }

// Settings is what is synchronised between a node and its parent. Basis names it for who changes it.
type Settings struct {
	Basis string `json:"basis"`
	config.Sync
	Parent    string     `json:"parent,omitempty"`    // its address; empty where there is none, so that nothing goes
	File      string     `json:"file,omitempty"`      // where the settings stand
	Fixed     *Sentence  `json:"fixed,omitempty"`     // why they cannot be changed here, nil where they can
	Variables []Variable `json:"variables,omitempty"` // settings that come from the environment, so that they cannot be changed here either
	Differs   bool       `json:"differs,omitempty"`   // the file was changed by hand and says something else than is in force
	Types     []TypeSync `json:"types"`               // the types that a rule or a policy names, or of which something is here
	Others    TypeSync   `json:"others"`              // all other types
	Servers   []Beside   `json:"servers,omitempty"`   // servers without stamps beside the node, by name
}

// Beside is what goes between the node and a server beside it. It stands in the configuration file and takes effect at a start.
type Beside struct {
	Name   string  `json:"name"`
	Pulled []Moved `json:"pulled"` // captured from it
	Pushed []Moved `json:"pushed"` // given to it
}

// Moved is a type with the client that moves it.
type Moved struct {
	Type   string `json:"type"`
	Client Client `json:"client"`
}

// Variable is an environment variable that gives a setting.
type Variable struct {
	Setting string `json:"setting"`
	Name    string `json:"name"`
}

// TypeSync says how a resource type is synchronised.
type TypeSync struct {
	Type   string           `json:"type"` // "*" for all others
	Pulled bool             `json:"pulled"`
	Pushed bool             `json:"pushed"`
	Policy reconcile.Policy `json:"policy"`        // which decides its conflicts
	Own    bool             `json:"own,omitempty"` // the policy is one of this type, not that of all others
	Here   int64            `json:"here"`          // live copies

	PullClient Client `json:"pullClient,omitempty"` // that a rule gives it, empty for that of all others, and ClientNode for those
	PushClient Client `json:"pushClient,omitempty"`
}

// SettingsChange is what a person wants to be synchronised from now on. What is nil stays as it is.
type SettingsChange struct {
	Basis     string                 `json:"basis"`          // of the Settings that the person saw
	File      bool                   `json:"file,omitempty"` // take over what the file says, after it was changed by hand; nothing else is given then
	Pull      *Way                   `json:"pull,omitempty"`
	Push      *Way                   `json:"push,omitempty"`
	Conflicts *config.ConflictPolicy `json:"conflicts,omitempty"`
}

// stateSync and stateNext are the facts that hold what was in force last, and what an operator was about to make of it: so that a change which
// was made by hand, or by a process that stopped in it, is audited at the next start.
const (
	stateSync = "sync"
	stateNext = "sync_next"
)

// config returns the configuration in force.
func (s *shared) config() config.Config {
	if s.deps.Live != nil {
		return s.deps.Live.Config()
	}
	return s.cfg
}

// Settings returns what is synchronised, and whether it can be changed.
func (c *Control) Settings(ctx context.Context) (Settings, error) {
	cfg := c.config()
	out := Settings{Sync: cfg.Sync(), Parent: c.cfg.Redacted().Parent.URL}
	counts, _, err := c.Counts(ctx)
	if err != nil {
		return Settings{}, err
	}
	file, fixed := c.file()
	if out.Fixed = fixed; c.deps.File != nil {
		out.File = c.deps.File.Path()
	}
	if fixed == nil || fixed.Code == "fixed_denied" {
		out.Differs = !file.Config.Sync().Equal(out.Sync)
		for _, setting := range []string{"pull.enabled", "pull.types", "push.enabled", "push.types", "conflicts.default", "conflicts.types"} {
			if name := file.Variable(setting); name != "" {
				out.Variables = append(out.Variables, Variable{setting, name})
			}
		}
	}
	out.Basis = basisOf(out.Sync, file)
	of := func(t string) TypeSync {
		own, named := out.Conflicts.Types[t]
		k := TypeSync{Type: t, Pulled: out.Pull.Goes(t), Pushed: out.Push.Goes(t), Policy: out.Conflicts.Default, Own: named, Here: counts.Resources[t]}
		k.PullClient, k.PushClient = out.Pull.Client(t), out.Push.Client(t)
		if named {
			k.Policy = own
		}
		return k
	}
	out.Others = of(config.AllTypes)
	names := namedTypes(out.Sync)
	for t := range counts.Resources {
		names = append(names, t)
	}
	slices.Sort(names)
	out.Types = []TypeSync{}
	for _, t := range slices.Compact(names) {
		out.Types = append(out.Types, of(t))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Servers)) {
		s := cfg.Servers[name]
		moved := func(types []string) []Moved {
			list := []Moved{}
			for _, t := range types {
				list = append(list, Moved{t, s.Client(t)})
			}
			return list
		}
		out.Servers = append(out.Servers, Beside{name, moved(s.PullTypes()), moved(s.PushTypes())})
	}
	return out, nil
}

// namedTypes returns the types that rules and policies name.
func namedTypes(all ...config.Sync) []string {
	var out []string
	for _, s := range all {
		for _, r := range slices.Concat(s.Pull.Types, s.Push.Types) {
			if r.Type != config.AllTypes {
				out = append(out, r.Type)
			}
		}
		for t := range s.Conflicts.Types {
			out = append(out, t)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// file reads the configuration file, or says why nothing can be changed there. What could be read is returned all the same.
func (c *Control) file() (config.Contents, *Sentence) {
	if c.deps.File == nil || c.deps.Live == nil {
		return config.Contents{}, &Sentence{Code: "fixed_no_file", Text: "The settings cannot be changed here, because this node was not started from a configuration file."}
	}
	text, err := c.deps.File.Read()
	if err != nil {
		return text, &Sentence{
			Code: "fixed_invalid", Text: "The settings cannot be changed here before the configuration file is put right: " + err.Error(), Words: map[string]string{"error": err.Error()},
		}
	}
	if err := c.deps.File.Writable(); err != nil {
		return text, &Sentence{Code: "fixed_denied", Text: "The settings cannot be changed here: " + err.Error(), Words: map[string]string{"error": err.Error()}}
	}
	return text, nil
}

// basisOf names what is in force together with what the file says: who changes one of them has seen both.
func basisOf(now config.Sync, file config.Contents) string {
	h := sha256.New()
	h.Write(now.Canonical())
	h.Write(file.Config.Sync().Canonical())
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// wanted checks a change and returns what it makes of the file and of what is in force.
func (c *Control) wanted(ch SettingsChange) (file, next config.Contents, to config.Sync, err error) {
	const op = "change settings"
	fail := func(e error) (config.Contents, config.Contents, config.Sync, error) {
		return config.Contents{}, config.Contents{}, config.Sync{}, e
	}
	if c.deps.File == nil || c.deps.Live == nil {
		return fail(syncerr.New(syncerr.Denied, op, "this node was not started from a configuration file").WithHint("Change the settings where the program that runs it makes them"))
	}
	if file, err = c.deps.File.Read(); err != nil {
		return fail(err)
	}
	now := c.config().Sync()
	switch {
	case ch.Basis == "":
		return fail(syncerr.New(syncerr.Invalid, op, "the basis is missing").WithHint("Give the basis of the settings that you saw (GET /control/v1/settings)"))
	case ch.Basis != basisOf(now, file):
		return fail(syncerr.New(syncerr.Precondition, op, "the settings were changed since you looked").WithHint("Look at them as they are now, and change them again"))
	}
	if to = now; ch.File {
		if ch.Pull != nil || ch.Push != nil || ch.Conflicts != nil {
			return fail(syncerr.New(syncerr.Invalid, op, "either what the file says is taken over, or something else is given"))
		}
		to = file.Config.Sync()
	}
	if ch.Pull != nil {
		to.Pull = *ch.Pull
	}
	if ch.Push != nil {
		to.Push = *ch.Push
	}
	if ch.Conflicts != nil {
		to.Conflicts = *ch.Conflicts
	}
	if next, err = file.With(to); err != nil {
		return fail(err)
	}
	// The rest of what is in force may be another than that of a file which was changed by hand.
	if err := c.config().WithSync(to).Validate(); err != nil {
		return fail(err)
	}
	return file, next, to, nil
}

// ChangeSettings makes the node synchronise something else, in the configuration file and in the node that runs, between two passes: without a
// start. It returns the settings as they are then; a Precondition error where they were changed since the person saw them, a Usage error for each
// setting that cannot be, at its name, and a Denied or Conflict error where the file cannot be written or the environment goes before it. After an
// error nothing has changed, but where it says that it could not be recorded. What changed is audited, with who did it, from what and to what.
func (c *Control) ChangeSettings(ctx context.Context, ch SettingsChange) (Settings, error) {
	c.settling.Lock()
	defer c.settling.Unlock()
	was := c.config().Sync()
	file, next, to, err := c.wanted(ch)
	if err != nil {
		return Settings{}, err
	}
	apply, err := c.deps.Live.Prepare(to)
	if err != nil {
		return Settings{}, err
	}
	st := c.eng.Store()
	// Who it is is noted first, the file comes next, then what is in force: a process that stops between them comes up with the file, and audits it
	// with the name (NoteSettings).
	intent, err := json.Marshal(settingsIntent{Actor: c.actor, Sync: to})
	if err != nil {
		return Settings{}, syncerr.Wrap(syncerr.Internal, "change settings", err)
	}
	if err := st.Write(ctx, func(tx *store.Tx) error { return tx.SetState(stateNext, string(intent)) }); err != nil {
		return Settings{}, err
	}
	if string(next.Text) != string(file.Text) {
		if err := file.Replace(next); err != nil {
			return Settings{}, err
		}
	}
	ctx = context.WithoutCancel(ctx) // the file is written: who asked may go
	released := apply(ctx)
	if err := c.noteChange(ctx, c.actor, was, to, released); err != nil {
		return Settings{}, syncerr.New(syncerr.KindOf(err), "change settings", "the settings are changed and in force, but that could not be recorded: %w", err).
			WithHint("The next start of the node records it, with your name")
	}
	return c.Settings(ctx)
}

// settingsIntent is what an operator was about to change.
type settingsIntent struct {
	Actor string      `json:"actor"`
	Sync  config.Sync `json:"sync"`
}

func (c *Control) noteChange(ctx context.Context, actor string, was, is config.Sync, released error) error {
	return c.eng.Store().Write(ctx, func(tx *store.Tx) error {
		if err := tx.SetState(stateSync, string(is.Canonical())); err != nil {
			return err
		}
		if err := tx.SetState(stateNext, ""); err != nil {
			return err
		}
		if was.Equal(is) {
			return nil
		}
		r := audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: "SETTINGS", Peer: actor, Details: inWords(changesOf(was, is))}
		if released != nil {
			r.Details += "; what waits for a direction that is off is let go by the next pass: " + released.Error()
		}
		tx.Audit(r)
		return nil
	})
}

// NoteSettings audits what was changed in the configuration file since the node ran last: by hand, or by a process that stopped in it. A node calls
// it when it starts.
func (c *Control) NoteSettings(ctx context.Context) error {
	st, is := c.eng.Store(), c.config().Sync()
	text, err := st.State(ctx, stateSync)
	if err != nil || text == string(is.Canonical()) {
		return err
	}
	var was config.Sync
	if text == "" {
		return c.noteChange(ctx, "", is, is, nil)
	}
	if err := json.Unmarshal([]byte(text), &was); err != nil {
		return syncerr.Wrap(syncerr.Internal, "read settings", err)
	}
	actor := "configuration file"
	if text, err = st.State(ctx, stateNext); err != nil {
		return err
	}
	var intent settingsIntent
	if text != "" && json.Unmarshal([]byte(text), &intent) == nil && intent.Sync.Equal(is) {
		actor = intent.Actor
	}
	return c.noteChange(ctx, actor, was, is, nil)
}

// selection returns those of the types which go in a direction by one configuration and did not by another, as fhir.Selected takes them: nil for all
// of them, empty and not nil for none.
func selection(was, is config.Config, d config.Direction) []string {
	out, all := []string{}, true
	for _, t := range slices.Concat(fhir.Types(), slices.DeleteFunc(namedTypes(was.Sync(), is.Sync()), func(t string) bool { return !fhir.IsREST(t) })) {
		if is.Wants(d, t) && !was.Wants(d, t) {
			out = append(out, t)
		} else {
			all = false
		}
	}
	others := func(c config.Config) bool { return c.Wants(d, config.AllTypes) }
	if !others(is) || others(was) {
		return out
	}
	if all {
		return nil
	}
	for _, t := range namedTypes(was.Sync(), is.Sync()) {
		if fhir.IsREST(t) && !slices.Contains(out, t) {
			out = append(out, fhir.Without(t))
		}
	}
	return append(slices.DeleteFunc(out, fhir.IsREST), fhir.AnyREST)
}
