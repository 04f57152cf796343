package simnet

import (
	"context"
	"fmt"
	"slices"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// refer returns the field with which a resource of the last type refers to one of the first, or nothing. A transaction that has what others
// refer to refers to nothing outside itself: two of them could otherwise wait for each other at a parent that holds, and that is no fault.
func (n *Net) refer(k fhir.Key, together []engine.Write) string {
	first := n.opts.Types[0]
	if !n.opts.Refer || k.Type == first || n.rand.IntN(3) == 0 {
		return ""
	}
	to := fhir.Key{Type: first, ID: fmt.Sprintf("k%d", n.rand.IntN(n.opts.Keys))}
	if i := slices.IndexFunc(together, func(w engine.Write) bool { return w.Key.Type == first }); i >= 0 {
		if to = together[i].Key; together[i].Op == engine.Delete {
			return ""
		}
	}
	return fmt.Sprintf(`"subject":{"reference":%q},`, to)
}

// waits draws what a node does with what refers to what is not there.
func (n *Net) waits() config.References {
	if !n.opts.Refer {
		return config.AcceptReferences
	}
	return []config.References{config.AcceptReferences, config.HoldReferences, config.HoldReferences, config.FetchReferences}[n.rand.IntN(4)]
}

// fulfil writes what something refers to and nobody has: from then on nothing may wait for ever.
func (n *Net) fulfil(ctx context.Context) error {
	if !n.opts.Refer {
		return nil
	}
	views, err := n.allViews(ctx)
	if err != nil {
		return err
	}
	have := map[fhir.Key]bool{}
	for _, v := range views {
		for k := range v.copies {
			have[k] = true
		}
	}
	for i, x := range n.nodes {
		for _, content := range views[i].contents() {
			for _, r := range fhir.References(content) {
				to, ok := fhir.LocalKey(r.Text)
				if !ok || have[to] {
					continue
				}
				have[to] = true
				w, err := n.update(to, fmt.Sprintf(`"active":true,"text":{"status":"generated","div":"<div>%d</div>"}`, n.value()))
				if err != nil {
					return err
				}
				if err := x.author(ctx, []engine.Write{w}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// contents returns all that a node keeps anywhere: what is parked at one may be all that is left of it.
func (v view) contents() [][]byte {
	var out [][]byte
	for _, row := range v.rows {
		out = append(out, row.Content)
	}
	for _, h := range v.held {
		out = append(out, h.Content)
	}
	for _, p := range v.parked {
		out = append(out, p.Content)
	}
	for _, c := range v.conflicts {
		out = append(out, c.LocalContent, c.IncomingContent)
	}
	return out
}

// checkWaits: at a node that holds, no copy of another node's content stands in the log before what it refers to was here.
func (n *Net) checkWaits(views []view) []error {
	var wrong []error
	for i, x := range n.nodes {
		if x.waits != config.HoldReferences {
			continue
		}
		for j, row := range views[i].rows {
			if row.Source == "" || row.Content == nil || x.own[row.Stamp.Origin.Replica] {
				continue
			}
			if slices.ContainsFunc(views[i].rows[:j], func(b store.Row) bool { return b.Key == row.Key && b.Stamp.SameContent(row.Stamp) }) {
				continue // an application here had written the same
			}
			for _, r := range fhir.References(row.Content) {
				to, ok := fhir.LocalKey(r.Text)
				if _, here := views[i].copies[to]; ok && !here {
					wrong = append(wrong, fmt.Errorf("%s took %s %s, which refers to %s, and that was never there", x.name, row.Key, row.Stamp.Version, to))
				}
			}
		}
	}
	return wrong
}
