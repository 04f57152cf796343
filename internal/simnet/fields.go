package simnet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Seeds from fieldsFrom up to directedFrom run the worlds of other seeds, but for edits of single fields, every mix of policies, and people who
// resolve at any place and time and in every way.
const fieldsFrom = 500_000_000

// fieldWorld turns the options of a seed into such a world.
func fieldWorld(o Options) Options {
	o.Fields = true
	o.Restores, o.Clones, o.Forget, o.Poison, o.Refer, o.OneWay, o.Filters, o.Above, o.Equal = false, false, false, false, false, false, false, false, false
	all := []reconcile.Policy{
		reconcile.Merging, reconcile.Merging, "merge,last-writer-wins", "merge,source-wins", "merge,replica-priority", reconcile.Defer, reconcile.LastWriterWins,
		reconcile.SourceWins, reconcile.DestinationWins,
	}
	r := stream(o.Seed, 54)
	o.Policies = all[:1+r.IntN(len(all))]
	o.Keys = 2 + r.IntN(4)
	return o
}

// fieldEdit is one field that an application changed, as it was told to be safe.
type fieldEdit struct {
	key   fhir.Key
	write *accepted // nil where its application had no answer: it may have been written or not
	field string
	value string // "" where it took it away
	was   string
	all   bool // it deleted the resource
}

const fieldCount = 5

// fields reads the fields of a resource: extensions, which every type of resource may have.
func fields(body []byte) map[string]string {
	var doc struct {
		Extension []struct{ URL, ValueString string }
	}
	out := map[string]string{}
	if json.Unmarshal(body, &doc) == nil {
		for _, e := range doc.Extension {
			out[e.URL] = e.ValueString
		}
	}
	return out
}

func withFields(f map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		list = append(list, fmt.Sprintf(`{"url":%q,"valueString":%q}`, name, f[name]))
	}
	if list == nil {
		return `"language":"en"`
	}
	return `"language":"en","extension":[` + strings.Join(list, ",") + "]"
}

// editField changes one field of what a node has, or deletes it.
func (x *Node) editField(ctx context.Context) error {
	n := x.net
	k := fhir.Key{Type: n.opts.Types[n.people.IntN(len(n.opts.Types))], ID: fmt.Sprintf("k%d", n.people.IntN(n.opts.Keys))}
	cur, _, err := x.live.Engine().Store().Get(ctx, k)
	if err != nil {
		return err
	}
	edit := fieldEdit{key: k, field: fmt.Sprintf("f%d", n.people.IntN(fieldCount)), all: n.people.IntN(12) == 0}
	write := engine.Write{Op: engine.Delete, Key: k}
	if edit.all && cur.Body == nil {
		return nil // it is not there
	}
	if !edit.all {
		now := fields(cur.Body)
		edit.was = now[edit.field]
		switch n.people.IntN(10) {
		case 0:
			delete(now, edit.field)
		case 1:
			edit.value = "often"
		default:
			edit.value = fmt.Sprint(n.people.IntN(1_000_000_000))
		}
		if edit.value == edit.was {
			return nil // it changes nothing
		}
		if edit.value != "" {
			now[edit.field] = edit.value
			n.wrote(k, edit.field, edit.value)
		}
		if write, err = n.update(k, withFields(now)); err != nil {
			return err
		}
	}
	if n.opts.Faults && !n.healing && x.luck.IntN(20) == 0 {
		x.fuse = 1 + x.luck.IntN(12)
	}
	before := len(n.accepted[k])
	if err := x.author(ctx, []engine.Write{write}); err != nil {
		return err
	}
	if len(n.accepted[k]) > before {
		edit.write = n.accepted[k][before]
	}
	n.edits = append(n.edits, edit)
	return nil
}

// wrote notes that somebody gave a field a value.
func (n *Net) wrote(k fhir.Key, field, value string) {
	n.values[k.String()+" "+field+" "+value] = true
}

// written reports whether a body is one that an author wrote or, where fields are merged, has no field that nobody wrote.
func (n *Net) written(k fhir.Key, body []byte) bool {
	if n.bodies[string(body)] || !n.opts.Fields {
		return n.bodies[string(body)]
	}
	for name, value := range fields(body) {
		if !n.values[k.String()+" "+name+" "+value] {
			return false
		}
	}
	return true
}

// decideField is a person who resolves what waits at a node, a hold among it, in one of the ways that there are.
func (x *Node) decideField(ctx context.Context, name string) error {
	n, eng := x.net, x.live.Engine()
	c, err := eng.Waiting(ctx, name)
	if err != nil {
		return err
	}
	sides := []engine.Choice{engine.KeepLocal, engine.KeepIncoming}
	r := engine.Resolution{Choice: sides[n.people.IntN(2)]}
	if live := !c.Local.Deleted && !c.Incoming.Deleted && c.LocalContent != nil && c.IncomingContent != nil; live {
		switch n.people.IntN(5) {
		case 0: // another value altogether
			now := fields(c.LocalContent)
			value := fmt.Sprint(n.people.IntN(1_000_000_000))
			now["f0"] = value
			n.wrote(c.Key, "f0", value)
			body := fmt.Appendf(nil, `{"resourceType":%q,"id":%q,%s}`, c.Key.Type, c.Key.ID, withFields(now))
			r = engine.Resolution{Document: body, Basis: c.Basis()}
		case 1:
			r = engine.Resolution{Rule: "merge,source-wins"}
		case 2:
			choices := map[string]engine.Choice{}
			for _, d := range reconcile.Differences(c.AncestorContent, c.LocalContent, c.IncomingContent) {
				if d.Clash {
					choices[d.Path] = sides[n.people.IntN(2)]
				}
			}
			if len(choices) > 0 && c.AncestorContent != nil {
				r = engine.Resolution{Fields: choices}
			}
		}
	}
	_, err = eng.Resolve(ctx, name, r, "sim")
	n.logf("%s: a person resolves %s (%s) as %s%s: %v", x.name, c.Key, name, r.Choice, r.Rule, err)
	return err
}

// resolveFields lets a person resolve one thing that waits at the node; while the net heals, only open conflicts and by one copy, so that it ends.
func (x *Node) resolveFields(ctx context.Context) (bool, error) {
	st := x.live.Engine().Store()
	open, err := st.Conflicts(ctx, openFilter())
	if err != nil {
		return false, err
	}
	var names []string
	for _, c := range open {
		names = append(names, c.UUID)
	}
	if !x.net.healing {
		held, err := st.Held(ctx, 0)
		if err != nil {
			return false, err
		}
		for _, h := range held {
			names = append(names, h.Key.String())
		}
	}
	if len(names) == 0 {
		return false, nil
	}
	name := names[x.net.people.IntN(len(names))]
	if x.net.healing {
		_, err := x.live.Engine().Resolve(ctx, name, engine.Resolution{Choice: engine.KeepLocal}, "sim")
		return true, err
	}
	err = x.decideField(ctx, name)
	if kind := syncerr.KindOf(err); kind == syncerr.Invalid || kind == syncerr.NotFound {
		return false, nil // fields that do not settle it, or settled meanwhile
	}
	return true, err
}

// nothingStays reports whether each of two copies has fields, and none that the other one has not taken away.
func nothingStays(ancestor, local, incoming map[string]string) bool {
	without := func(a, b map[string]string) bool {
		for name, value := range a {
			if b[name] != "" || ancestor[name] != value {
				return false
			}
		}
		return len(a) > 0
	}
	return without(local, incoming) && without(incoming, local)
}

// checkFields: no edit of a field is lost. It stands, was changed again by who had seen it, or is in a conflict where a copy lost. What was merged
// has of each field what the side says that changed it.
func (n *Net) checkFields(views []view) []error {
	if !n.opts.Fields {
		return nil
	}
	var wrong []error
	lost := map[string]bool{} // a field and value of a key that a conflict keeps as a loser
	for i, v := range views {
		contents := map[minted][]byte{}
		for _, row := range v.rows {
			if row.Content != nil {
				contents[minted{row.Key, row.Stamp.Version}] = row.Content
			}
		}
		for _, c := range v.conflicts {
			local, incoming, ancestor := fields(c.LocalContent), fields(c.IncomingContent), fields(c.AncestorContent)
			result, there := contents[minted{c.Key, c.Decided}]
			merged := strings.HasPrefix(c.Rule, string(reconcile.Merging)) && !byPerson(c) && !c.Local.Deleted && !c.Incoming.Deleted && there
			if c.Kind == store.KindIdentity && c.Winner == engine.Merged && c.Actor == "" {
				wrong = append(wrong, fmt.Errorf("%s: two resources %s that were made independently were merged", n.nodes[i].name, c.Key))
			}
			now := fields(result)
			if merged && strings.Contains(c.Rule, ",") && nothingStays(ancestor, local, incoming) && (maps.Equal(now, local) || maps.Equal(now, incoming)) {
				merged = false // nothing of the list was to stay though each side left something: that is a clash about the list as a whole
			}
			for f := range fieldCount {
				name := fmt.Sprintf("f%d", f)
				l, r, a, got := local[name], incoming[name], ancestor[name], now[name]
				clash := l != r && l != a && r != a
				want := l
				if l == a {
					want = r
				}
				switch {
				case merged && !clash && got != want, merged && clash && (got != l && got != r || !strings.Contains(c.Rule, ",")):
					wrong = append(wrong, fmt.Errorf("%s: %s %s: %s of %q, %q and %q was merged to %q by %s", n.nodes[i].name, c.Key, c.Decided, name, a, l, r, got, c.Rule))
				case !merged || clash:
					lost[c.Key.String()+" "+name+" "+l], lost[c.Key.String()+" "+name+" "+r] = true, true
				}
			}
		}
	}
	for _, e := range n.edits {
		if e.all || e.write == nil || e.write.lost || lost[e.key.String()+" "+e.field+" "+e.value] || n.overwritten(e) {
			continue
		}
		for i, v := range views {
			c, ok := v.copies[e.key]
			now := fields(c.Body)[e.field]
			if ok && now != e.value && (e.value != "" || now == e.was) { // what was taken away may have been written by who never saw it
				wrong = append(wrong, fmt.Errorf("%s: %s of %s is %q, and not %q as %s wrote it in %s, which nobody changed who had seen it and no conflict keeps",
					n.nodes[i].name, e.field, e.key, now, e.value, e.write.at, e.write.stamp.Version))
			}
		}
	}
	return wrong
}

// overwritten reports whether an application that had seen an edit changed the field again, or deleted the resource, or may have. Equal content is
// one content, and an equal value of a field one value: who had seen that of one author had seen that of the other.
func (n *Net) overwritten(e fieldEdit) bool {
	same := slices.DeleteFunc(slices.Clone(n.accepted[e.key]), func(a *accepted) bool { return !a.stamp.SameContent(e.write.stamp) })
	for _, o := range n.edits {
		if o.key == e.key && o.field == e.field && o.value == e.value && !o.all && o.write != nil {
			same = append(same, o.write)
		}
	}
	return slices.ContainsFunc(n.edits, func(o fieldEdit) bool {
		return o.key == e.key && o.write != e.write && (o.all || o.field == e.field) && (o.write == nil || slices.ContainsFunc(same, func(a *accepted) bool {
			return a.stamp.Version != o.write.stamp.Version && o.write.stamp.Vector.Contains(a.stamp.Version)
		}))
	})
}

// mergedHere returns the versions that were put together of two copies: nobody authored them.
func mergedHere(conflicts []store.Conflict) map[minted]bool {
	out := map[minted]bool{}
	for _, c := range conflicts {
		if c.Winner == engine.Merged {
			out[minted{c.Key, c.Decided}] = true
		}
	}
	return out
}

// byPerson reports whether a conflict was left to a person: it may have waited while a side went on.
func byPerson(c store.Conflict) bool {
	return c.Rule == string(reconcile.Defer) || c.Actor != "" || c.Status == store.ConflictOpen || c.Winner == "other"
}
