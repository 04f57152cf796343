package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// previewWithin is how long the parent may take to say how much there is.
const previewWithin = 20 * time.Second

// SettingsPreview says what a change would do.
type SettingsPreview struct {
	Basis    string          `json:"basis"`
	Changes  []SettingChange `json:"changes"`
	Fetch    *Volume         `json:"fetch,omitempty"` // nil where nothing more is pulled
	Send     *Volume         `json:"send,omitempty"`  // nil where nothing more is pushed
	Effects  []Sentence      `json:"effects"`         // what becomes of what is here and of what waits
	Warnings []string        `json:"warnings,omitempty"`
}

// SettingChange is one difference between two settings.
type SettingChange struct {
	Setting string `json:"setting"` // Pull, Push, "policy", "pull_client" or "push_client"
	Type    string `json:"type"`    // "*" for the types that no rule names
	From    string `json:"from"`    // "on" or "off", a policy or a client; empty where the type had none of its own
	To      string `json:"to"`
}

// Volume is an estimate of what the first passes after a change move: Resources and Deleted are counted, Bytes are what samples say, compressed as
// on the link.
type Volume struct {
	Resources int64           `json:"resources"`
	Deleted   int64           `json:"deleted,omitempty"` // records of deletions that go with them
	Bytes     int64           `json:"bytes"`
	AtMost    bool            `json:"atMost,omitempty"` // the other side could not be asked what it has already
	Unknown   *Sentence       `json:"unknown,omitempty"`
	Types     []feed.Estimate `json:"types,omitempty"`
}

// PreviewSettings says what ChangeSettings would do, and changes nothing. Its errors are those of ChangeSettings; where the parent cannot say how much
// there is, the preview says so.
func (c *Control) PreviewSettings(ctx context.Context, ch SettingsChange) (SettingsPreview, error) {
	_, next, to, err := c.wanted(ch)
	if err != nil {
		return SettingsPreview{}, err
	}
	if _, err := c.deps.Live.Prepare(to); err != nil {
		return SettingsPreview{}, err
	}
	was := c.config()
	is := was.WithSync(to)
	out := SettingsPreview{Basis: ch.Basis, Changes: changesOf(was.Sync(), to), Effects: []Sentence{}, Warnings: newWarnings(was, next.Config)}
	if c.cfg.Parent.URL == "" {
		return out, nil
	}
	if out.Fetch, err = c.volume(ctx, Pull, selection(was, is, config.FromParent)); err != nil {
		return out, err
	}
	if out.Send, err = c.volume(ctx, Push, selection(was, is, config.ToParent)); err != nil {
		return out, err
	}
	out.Effects, err = c.effects(ctx, was, is)
	return out, err
}

// newWarnings returns the warnings of a configuration that another one does not have.
func newWarnings(was, is config.Config) []string {
	old := map[string]bool{}
	for _, w := range was.Warnings() {
		old[w] = true
	}
	var out []string
	for _, w := range is.Warnings() {
		if !old[w] {
			out = append(out, w)
		}
	}
	return out
}

func (c *Control) volume(ctx context.Context, direction string, types []string) (*Volume, error) {
	if types != nil && len(types) == 0 {
		return nil, nil
	}
	asking, cancel := context.WithTimeout(ctx, previewWithin)
	defer cancel()
	list, sure, err := c.deps.Live.Estimate(asking, direction, types)
	out := &Volume{AtMost: !sure}
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		unknown := Sentence{Words: map[string]string{"error": err.Error()}}
		if syncerr.KindOf(err) == syncerr.Unsupported {
			unknown.Code, unknown.Text = "volume_old", "How much that is is not known: the program of the parent is older and cannot tell."
		} else {
			unknown.Code, unknown.Text = "volume_away", "How much that is is not known now: the parent was asked and did not answer. ("+err.Error()+")"
		}
		out.Unknown, out.AtMost = &unknown, false
		return out, nil
	}
	out.Types = list
	for _, e := range list {
		out.Resources, out.Deleted, out.Bytes = out.Resources+e.Copies-e.Deleted, out.Deleted+e.Deleted, out.Bytes+e.Bytes
	}
	return out, nil
}

// effects says what becomes of what is here and of what waits.
func (c *Control) effects(ctx context.Context, was, is config.Config) ([]Sentence, error) {
	counts, _, err := c.Counts(ctx)
	if err != nil {
		return nil, err
	}
	out := []Sentence{}
	add := func(code, t string, n int64, one, many string) {
		if n > 0 {
			out = append(out, Sentence{Code: code, Count: n, Words: map[string]string{"type": t}, Text: strings.ReplaceAll(plural(n, one, many), "{type}", t)})
		}
	}
	types := sortedTypes(counts.Resources)
	for _, t := range types {
		if was.Pulls(t) && !is.Pulls(t) {
			add("settings_stays", t, counts.Resources[t], "record of {type} that is here stays; what the parent gets new of it does not come any more",
				"records of {type} that are here stay; what the parent gets new of them does not come any more")
		}
	}
	waiting, err := c.waiting(ctx, selection(is, was, config.ToParent))
	if err != nil {
		return nil, err
	}
	for _, t := range sortedTypes(waiting) {
		add("settings_waits", t, waiting[t], "change of {type} that waits to be sent stays here and is not sent", "changes of {type} that wait to be sent stay here and are not sent")
	}
	parked, err := c.eng.Store().Parked(ctx, store.ParkedFilter{Peer: "parent", Limit: maxSettled})
	if err != nil {
		return nil, err
	}
	released := map[string]int64{}
	for _, p := range parked {
		t := p.Key.Type
		if p.Direction == Pull && was.Pulls(t) && !is.Pulls(t) || p.Direction == Push && was.Pushes(t) && !is.Pushes(t) {
			released[t]++
		}
	}
	for _, t := range sortedTypes(released) {
		add("settings_released", t, released[t], "change of {type} that was set aside is let go; it is offered again if the type goes again",
			"changes of {type} that were set aside are let go; they are offered again if the type goes again")
	}
	held, err := c.eng.Store().Held(ctx, maxSettled)
	if err != nil {
		return nil, err
	}
	decided := map[string]int64{}
	for _, h := range held {
		if t := h.Key.Type; was.Pushes(t) && !is.Pushes(t) {
			decided[t]++
		}
	}
	for _, t := range sortedTypes(decided) {
		add("settings_decided", t, decided[t], "copy of {type} that waits for the parent's decision is decided here", "copies of {type} that wait for the parent's decision are decided here")
	}
	return out, nil
}

// maxSettled bounds the rows that are looked at to say what becomes of them.
const maxSettled = 100_000

// waiting counts what waits to be sent to the parent, by type.
func (c *Control) waiting(ctx context.Context, types []string) (map[string]int64, error) {
	if types != nil && len(types) == 0 {
		return nil, nil
	}
	st := c.eng.Store()
	pos, err := st.Position(ctx, "parent", "push")
	if err != nil {
		return nil, err
	}
	met, err := c.metParent(ctx)
	if err != nil {
		return nil, err
	}
	var out map[string]int64
	err = st.Read(ctx, func(r *store.Reader) error {
		var err error
		out, err = r.Unsent(types, pos.Seq, met.Epoch)
		return err
	})
	return out, err
}

// changesOf returns the differences between two settings: of the types that one of them names, and of all others.
func changesOf(was, is config.Sync) []SettingChange {
	out := []SettingChange{}
	word := map[bool]string{true: "on", false: "off"}
	for _, t := range append([]string{config.AllTypes}, namedTypes(was, is)...) {
		for _, w := range []struct {
			name    string
			was, is config.Way
		}{{Pull, was.Pull, is.Pull}, {Push, was.Push, is.Push}} {
			if w.was.Goes(t) != w.is.Goes(t) {
				out = append(out, SettingChange{w.name, t, word[w.was.Goes(t)], word[w.is.Goes(t)]})
			}
			if w.was.Client(t) != w.is.Client(t) {
				out = append(out, SettingChange{w.name + "_client", t, string(w.was.Client(t)), string(w.is.Client(t))})
			}
		}
		from, to := was.Conflicts.Types[t], is.Conflicts.Types[t]
		if t == config.AllTypes {
			from, to = was.Conflicts.Default, is.Conflicts.Default
		}
		if from != to {
			out = append(out, SettingChange{"policy", t, string(from), string(to)})
		}
	}
	return out
}

// Text says the change in English.
func (s SettingChange) Text() string {
	t := s.Type
	if t == config.AllTypes {
		t = "all other types"
	}
	return fmt.Sprintf("%s of %s: %s -> %s", strings.ReplaceAll(s.Setting, "_", " "), t, orNone(s.From), orNone(s.To))
}

// inWords writes changes for the audit.
func inWords(changes []SettingChange) string {
	const most = 40
	var out []string
	for i, s := range changes {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(changes)-most))
			break
		}
		out = append(out, s.Text())
	}
	if len(out) == 0 {
		return "how the rules are written"
	}
	return strings.Join(out, "; ")
}

func orNone(s string) string {
	if s == "" {
		return "as all others"
	}
	return s
}

func sortedTypes(m map[string]int64) []string { return slices.Sorted(maps.Keys(m)) }
