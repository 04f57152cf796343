package main

import (
	"context"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/syncerr"
)

// syncWish is what the flags of config sync say.
type syncWish struct {
	pull, push string
	policies   []string
	clients    []string
	file, dry  bool
}

func (w syncWish) empty() bool {
	return w.pull == "" && w.push == "" && len(w.policies) == 0 && len(w.clients) == 0 && !w.file
}

func (a *app) configSyncCommand() *cobra.Command {
	var w syncWish
	c := a.listing(&cobra.Command{
		Use: "sync", Short: "Show or change what is synchronised with the parent, without a restart", Args: takes(0, 0, ""),
		Long: "Sync shows which resource types are read from the parent and sent to it, and by which rule a conflict of each is decided. With --pull, --push, --policy or --client it " +
			"changes that: in the configuration file, whose comments and order stay, and in the node that runs, between two passes. What a change would move is said " +
			"by --dry-run, which changes nothing.\n\n" +
			"A list of types is a whole one (Patient,Encounter or '*' or '*,-Media' or none), or says what is added to the present one and taken out of it (+Media,-Task). '*' is every " +
			"type that is not named.\n\n" +
			"What goes between a node and servers beside it (servers: in the configuration file) is listed below; it is changed in the file, and counts after a restart.",
		Example: "  tributary config sync\n  tributary config sync --pull +Observation,-Media --dry-run\n  tributary config sync --push '*,-Media' --policy AllergyIntolerance=defer\n  tributary config sync --client push:Patient=fhir --dry-run",
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			s, err := l.Settings(ctx)
			if err != nil {
				return err
			}
			if w.empty() {
				return a.showSettings(s)
			}
			change, err := w.change(s)
			if err != nil {
				return err
			}
			if w.dry {
				p, err := l.PreviewSettings(ctx, change)
				if err != nil {
					return typed(err)
				}
				return a.showPreview(p)
			}
			if s, err = l.ChangeSettings(ctx, change); err != nil {
				return typed(err)
			}
			a.note("The settings are changed and in force.")
			return a.showSettings(s)
		}),
	})
	f := c.Flags()
	f.StringVar(&w.pull, "pull", "", "the types that are read from the parent")
	f.StringVar(&w.push, "push", "", "the types that are sent to the parent")
	f.StringArrayVar(&w.policies, "policy", nil, "TYPE=POLICY: by which rule conflicts of a type are decided ('*' for all others; no policy: as all others)")
	f.StringArrayVar(&w.clients, "client", nil, "WAY:TYPE=CLIENT: what moves a type one way: node, fhir or rest ('*' for all others; no client: as all others)")
	f.BoolVar(&w.file, "from-file", false, "take over what the configuration file says, after it was changed by hand")
	f.BoolVar(&w.dry, "dry-run", false, "say what the change would do and move, and change nothing")
	return c
}

// change returns what the flags make of the settings.
func (w syncWish) change(s control.Settings) (control.SettingsChange, error) {
	out := control.SettingsChange{Basis: s.Basis, File: w.file}
	for _, d := range []struct {
		flag, text string
		way        config.Way
		into       **config.Way
	}{{"--pull", w.pull, s.Pull, &out.Pull}, {"--push", w.push, s.Push, &out.Push}} {
		if d.text == "" {
			continue
		}
		way, err := wayOf(d.flag, d.text, d.way)
		if err != nil {
			return out, err
		}
		*d.into = &way
	}
	for _, text := range w.clients {
		if err := giveClient(text, s, &out); err != nil {
			return out, err
		}
	}
	if len(w.policies) == 0 {
		return out, nil
	}
	p := s.Conflicts
	types := map[string]reconcile.Policy{}
	for t, policy := range p.Types {
		types[t] = policy
	}
	for _, text := range w.policies {
		t, policy, ok := strings.Cut(text, "=")
		switch {
		case !ok || t == "" || t == config.AllTypes && policy == "":
			return out, syncerr.New(syncerr.Usage, "--policy", "%.60q is not TYPE=POLICY", text).WithHint("For example: --policy AllergyIntolerance=defer")
		case t == config.AllTypes:
			p.Default = reconcile.Policy(policy)
		case policy == "":
			delete(types, t)
		default:
			types[t] = reconcile.Policy(policy)
		}
	}
	p.Types, out.Conflicts = types, &p
	return out, nil
}

// giveClient makes another client move a type, as WAY:TYPE=CLIENT says.
func giveClient(text string, s control.Settings, into *control.SettingsChange) error {
	name, rest, _ := strings.Cut(text, ":")
	t, client, ok := strings.Cut(rest, "=")
	ways := map[string]struct {
		now  config.Way
		next **config.Way
	}{control.Pull: {s.Pull, &into.Pull}, control.Push: {s.Push, &into.Push}}
	way, known := ways[name]
	if !ok || t == "" || !known {
		return syncerr.New(syncerr.Usage, "--client", "%.60q is not WAY:TYPE=CLIENT", text).WithHint("For example: --client push:Patient=fhir")
	}
	if *way.next != nil {
		way.now = **way.next
	}
	next := way.now.Via(map[string]config.Client{t: config.Client(client)})
	*way.next = &next
	return nil
}

// wayOf reads a list of types, whole or as what is added and taken out.
func wayOf(flag, text string, way config.Way) (config.Way, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	signed := func(word string) bool { return word[0] == '+' || word[0] == '-' }
	if len(words) == 0 {
		return way, syncerr.New(syncerr.Usage, flag, "%.60q names no type", text).WithHint("Write none for no type at all")
	}
	others, types := way.Others(), map[string]bool{}
	if !signed(words[0]) {
		others = slices.Contains(words, config.AllTypes)
		for _, r := range way.Types {
			if r.Type != config.AllTypes {
				types[r.Type] = others
			}
		}
	}
	for _, word := range words {
		name := strings.TrimLeft(word, "+-")
		switch {
		case name == "none" && len(words) == 1:
		case name == "" || name == "none":
			return way, syncerr.New(syncerr.Usage, flag, "%.60q cannot be told", text).WithHint("Write types with commas between them, such as Patient,Encounter or +Media,-Task")
		case name == config.AllTypes:
			others = word[0] != '-'
		default:
			types[name] = word[0] != '-'
		}
	}
	return way.With(others, types), nil
}

func (a *app) showSettings(s control.Settings) error {
	if a.json {
		return a.printJSON(s)
	}
	switch {
	case s.Fixed != nil:
		a.note("%s", s.Fixed.Text)
	case s.Differs:
		a.note("The configuration file says something else than is in force. `tributary config sync --from-file` takes over what it says; so does a restart.")
	}
	for _, v := range s.Variables {
		a.note("%s comes from the environment variable %s and can only be changed there.", v.Setting, v.Name)
	}
	if s.Parent == "" {
		a.note("This node has no parent: what goes between it and its children is set at each of them. How conflicts are decided is set here.")
	}
	yes := func(goes bool, client config.Client) string {
		text := map[bool]string{true: "yes", false: "no"}[goes]
		if client != "" {
			text += " (" + string(client) + ")"
		}
		return text
	}
	var rows []table.Row
	for _, t := range s.Types {
		rows = append(rows, table.Row{t.Type, yes(t.Pulled, t.PullClient), yes(t.Pushed, t.PushClient), string(t.Policy), number(t.Here)})
	}
	o := s.Others
	rows = append(rows, table.Row{"all other types", yes(o.Pulled, o.PullClient), yes(o.Pushed, o.PushClient), string(o.Policy), ""})
	a.table(table.Row{"Type", "Read from the parent", "Sent to it", "Conflicts", "Here"}, rows, "")
	if len(s.Servers) == 0 {
		return nil
	}
	rows = nil
	for _, b := range s.Servers {
		rows = append(rows, table.Row{b.Name, movedText(b.Pulled), movedText(b.Pushed)})
	}
	a.table(table.Row{"Server", "Captured from it", "Given to it"}, rows, "")
	return nil
}

func movedText(list []control.Moved) string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = m.Type + " (" + string(m.Client) + ")"
	}
	return strings.Join(out, ", ")
}

func (a *app) showPreview(p control.SettingsPreview) error {
	if a.json {
		return a.printJSON(p)
	}
	if len(p.Changes) == 0 {
		a.say("That is what is in force already.")
	}
	for _, ch := range p.Changes {
		a.say("%s", ch.Text())
	}
	for _, v := range []struct {
		volume *control.Volume
		verb   string
	}{{p.Fetch, "fetch"}, {p.Send, "send"}} {
		switch {
		case v.volume == nil:
		case v.volume.Unknown != nil:
			a.say("%s", v.volume.Unknown.Text)
		default:
			most := ""
			if v.volume.AtMost {
				most = "at most "
			}
			a.say("This would %s %s%s, about %s.", v.verb, most, counted(v.volume.Resources, "resource", "resources"), bytesText(v.volume.Bytes))
			var rows []table.Row
			for _, e := range v.volume.Types {
				rows = append(rows, table.Row{e.Type, number(e.Copies - e.Deleted), bytesText(e.Bytes)})
			}
			if len(rows) > 1 {
				a.table(table.Row{"Type", "Resources", "About"}, rows, "")
			}
		}
	}
	for _, e := range p.Effects {
		a.say("%s.", e.Text)
	}
	for _, w := range p.Warnings {
		a.note("warning: %s", w)
	}
	a.note("Nothing was changed: that was a preview.")
	return nil
}
