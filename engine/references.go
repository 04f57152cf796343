package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// References says what becomes of a copy from another node that refers to a resource which never had a copy here.
type References struct {
	// Hold refuses it until the resource has come: a pulled copy is parked, a pushed one stays with the child that pushed it.
	Hold bool
	// Pulls reports whether this node takes a type from its parent: a pulled copy does not wait for what is not asked for. nil means all.
	Pulls func(resourceType string) bool
}

// refersTo returns the keys that a content refers to by relative literal references, each once, in order. What stands in a Bundle is
// resolved in the Bundle (FHIR R4 bundle.html#references), and a REST document has none that could be told from other texts.
func (e *Engine) refersTo(link Link, k fhir.Key, content []byte) []fhir.Key {
	if len(content) == 0 || k.Type == "Bundle" || fhir.IsREST(k.Type) {
		return nil
	}
	found := map[fhir.Key]bool{}
	for _, r := range fhir.References(content) {
		to, ok := fhir.LocalKey(r.Text)
		if !ok || to == k || link.fromParent() && e.cfg.References.Pulls != nil && !e.cfg.References.Pulls(to.Type) {
			continue
		}
		found[to] = true
	}
	return sortedKeys(found)
}

// Missing returns the keys that copies from the parent refer to, that never had a copy here, and that do not come with them: those for which
// they would wait. Copies that bring nothing new are not looked at.
func (e *Engine) Missing(ctx context.Context, events []feed.Event) ([]fhir.Key, error) {
	g, err := e.gather(ctx, Link{}, plain(events))
	if err != nil {
		return nil, err
	}
	coming, out := map[fhir.Key]bool{}, map[fhir.Key]bool{}
	for _, ev := range events {
		coming[ev.Key] = true
	}
	for _, c := range g {
		for _, keys := range c.missing {
			for _, k := range keys {
				if !coming[k] {
					out[k] = true
				}
			}
		}
	}
	return sortedKeys(out), nil
}

func plain(events []feed.Event) []incoming {
	out := make([]incoming, len(events))
	for i, ev := range events {
		out[i] = incoming{Event: ev}
	}
	return out
}

// company is what has one fate, an event or a unit, with what it refers to and is not here.
type company struct {
	events  []incoming // a part of the list that was given
	missing [][]fhir.Key
	away    bool // it is refused, or waits
}

// gather finds what events refer to that never had a copy here. A copy that brings nothing new refers to what was taken before.
func (e *Engine) gather(ctx context.Context, link Link, ready []incoming) ([]company, error) {
	keys := make([]fhir.Key, 0, len(ready))
	for _, in := range ready {
		keys = append(keys, in.Key)
	}
	have, err := e.store.Currents(ctx, keys)
	if err != nil {
		return nil, err
	}
	var out []company
	var all []fhir.Key
	for _, g := range units(ready) {
		c := company{events: g, missing: make([][]fhir.Key, len(g))}
		for i, in := range g {
			news := !in.Stamp.Deleted && needsContent(have[in.Key].Stamp, in.Stamp)
			if c.away = c.away || in.refusal != nil || news && in.Content == nil; c.away || !news {
				continue
			}
			c.missing[i] = e.refersTo(link, in.Key, in.Content)
			all = append(all, c.missing[i]...)
		}
		out = append(out, c)
	}
	slices.SortFunc(all, compareKeys)
	here, err := e.store.Currents(ctx, slices.Compact(all))
	if err != nil {
		return nil, err
	}
	for _, c := range out {
		for i := range c.missing {
			c.missing[i] = slices.DeleteFunc(c.missing[i], func(k fhir.Key) bool { _, ok := here[k]; return ok })
		}
	}
	return out, nil
}

// resolve refuses the events that refer to what is not here and does not come with them. It returns, ready to be taken in the same
// transaction, the parked copies that need wait no longer, out of those among keys and those for which the events and keys wait: all that such
// a copy refers to is here, comes with the events, or is another one of them, so that those which refer to each other are taken together.
func (e *Engine) resolve(ctx context.Context, link Link, ready []incoming, keys []fhir.Key) ([]incoming, error) {
	groups, err := e.gather(ctx, link, ready)
	if err != nil {
		return nil, err
	}
	own, skip := len(groups), map[fhir.Key]bool{}
	if link.fromParent() {
		for _, c := range groups {
			keys = append(keys, slices.Concat(c.missing...)...)
		}
		for _, in := range ready {
			skip[in.Key] = true
		}
		parked, err := e.parked(ctx, link, keys, skip)
		if err != nil {
			return nil, err
		}
		more, err := e.gather(ctx, link, parked)
		if err != nil {
			return nil, err
		}
		groups = append(groups, more...)
	}
	settleAll(groups)
	for _, c := range groups[:own] {
		if c.away {
			c.refuse()
		}
	}
	return ordered(slices.DeleteFunc(groups[own:], func(c company) bool { return c.away })), nil
}

// Ordered returns events that came alone so that what is referred to stands before what refers to it, as far as they do so in no circle.
func (e *Engine) Ordered(ctx context.Context, events []feed.Event) ([]feed.Event, error) {
	groups, err := e.gather(ctx, Link{}, plain(events))
	if err != nil {
		return nil, err
	}
	out := make([]feed.Event, 0, len(events))
	for _, in := range ordered(groups) {
		out = append(out, in.Event)
	}
	return out, nil
}

// ordered returns the events of groups, those of a group after those of the groups that it refers to.
func ordered(groups []company) []incoming {
	of, done := map[fhir.Key]int{}, make([]bool, len(groups))
	for i, c := range groups {
		for _, in := range c.events {
			of[in.Key] = i
		}
	}
	var out []incoming
	var visit func(i int)
	visit = func(i int) {
		if done[i] {
			return
		}
		done[i] = true
		for _, k := range slices.Concat(groups[i].missing...) {
			if next, ok := of[k]; ok {
				visit(next)
			}
		}
		out = append(out, groups[i].events...)
	}
	for i := range groups {
		visit(i)
	}
	return out
}

// settleAll finds the largest set of groups of which each refers only to what is here or to the set, and marks the others as away.
func settleAll(groups []company) {
	coming := map[fhir.Key]int{}
	for _, c := range groups {
		c.count(coming, 1)
	}
	for changed := true; changed; {
		changed = false
		for i := range groups {
			c := &groups[i]
			if c.away || !slices.ContainsFunc(c.missing, func(keys []fhir.Key) bool {
				return slices.ContainsFunc(keys, func(k fhir.Key) bool { return coming[k] == 0 })
			}) {
				continue
			}
			c.count(coming, -1)
			c.away, changed = true, true
		}
	}
	for i := range groups {
		if !groups[i].away {
			continue
		}
		for j, keys := range groups[i].missing { // a refusal names what does not come
			groups[i].missing[j] = slices.DeleteFunc(keys, func(k fhir.Key) bool { return coming[k] > 0 })
		}
	}
}

func (c company) count(coming map[fhir.Key]int, n int) {
	for _, in := range c.events {
		if !c.away {
			coming[in.Key] += n
		}
	}
}

// refuse refuses the members that refer to what is not here, unless something else is wrong with them.
func (c company) refuse() {
	for i := range c.events {
		in := &c.events[i]
		if in.missing = c.missing[i]; in.refusal == nil && len(in.missing) > 0 {
			in.refusal = syncerr.New(unresolved, "accept "+in.Key.String(), "it waits for what it refers to and what is not here yet: %s", list(in.missing)).
				WithHint("It is taken by itself when that comes; references: accept in the configuration takes it at once")
		}
	}
}

func list(keys []fhir.Key) string {
	const most = 10
	var names []string
	for _, k := range keys[:min(len(keys), most)] {
		names = append(names, k.String())
	}
	if n := len(keys) - most; n > 0 {
		names = append(names, fmt.Sprintf("%d more", n))
	}
	return strings.Join(names, ", ")
}

// parked returns the parked copies among keys, with those for which they wait.
func (e *Engine) parked(ctx context.Context, link Link, keys []fhir.Key, skip map[fhir.Key]bool) ([]incoming, error) {
	if err := e.waiting.load(ctx, e); err != nil {
		return nil, err
	}
	if keys = e.waiting.needed(keys, skip); len(keys) == 0 {
		return nil, nil
	}
	rows, err := e.store.ParkedOf(ctx, "pull", keys)
	if err != nil {
		return nil, err
	}
	events := make([]feed.Event, len(rows))
	for i, p := range rows {
		events[i] = p.Event()
	}
	out := e.prepare(events)
	for i, p := range rows {
		out[i].elsewhere = p.Cursor.Epoch != link.Epoch
	}
	return out, nil
}

// Release takes the parked copies among keys that wait no longer, and those that waited for these. Of the batch it needs the link and the run.
// What waits on stays as it is parked.
func (e *Engine) Release(ctx context.Context, b Batch, keys []fhir.Key) error {
	for len(keys) > 0 {
		n := min(len(keys), maxReleased)
		ready, err := e.resolve(ctx, b.Link, nil, keys[:n])
		if err != nil {
			e.waiting.lose()
			return err
		}
		if keys = keys[n:]; len(ready) == 0 {
			continue
		}
		receipts, err := e.acceptReady(ctx, Batch{Link: b.Link, Run: b.Run}, ready)
		if err != nil {
			e.waiting.lose()
			return err
		}
		keys = append(keys, e.waiting.arrived(e.waiting.note(ready, receipts))...)
	}
	return nil
}
