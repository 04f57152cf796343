package pull

import (
	"context"
	"fmt"
	"slices"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// Finding says in words how a key differs; the list is closed.
type Finding string

// The findings.
const (
	NotHere      Finding = "not here"
	NotThere     Finding = "not at the parent"
	OlderHere    Finding = "older here"
	OlderThere   Finding = "older there"
	DeletedHere  Finding = "deleted here, live there"
	DeletedThere Finding = "live here, deleted there"
	RivalCopies  Finding = "rival copies"
	OtherContent Finding = "SAME VERSION, OTHER CONTENT"
)

// Look asks both sides for keys, which are in order, and returns those that still differ and matter in a direction that their type
// goes, with what this node's tables say about each.
func (v Verify) Look(ctx context.Context, keys []fhir.Key) ([]Difference, error) {
	var out []Difference
	for len(keys) > 0 {
		n := 1
		for n < len(keys) && n < feed.MaxIDs && keys[n].Type == keys[0].Type {
			n++
		}
		q := feed.DigestQuery{Type: keys[0].Type, IDs: make([]string, n)}
		for i, k := range keys[:n] {
			q.IDs[i] = k.ID
		}
		here, there, err := v.both(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, k := range keys[:n] {
			d := Difference{Key: k, Here: ofID(here, k.ID), There: ofID(there, k.ID)}
			if !d.find(v.Pulls(k.Type), v.Pushes(k.Type)) {
				continue
			}
			if d.Why, err = v.why(ctx, d); err != nil {
				return nil, err
			}
			out = append(out, d)
		}
		keys = keys[n:]
	}
	return out, nil
}

func ofID(parts []feed.Part, id string) *feed.Copy {
	for _, p := range parts {
		if i := slices.IndexFunc(p.Copies, func(c feed.Copy) bool { return c.ID == id }); i >= 0 {
			return &p.Copies[i]
		}
	}
	return nil
}

// find compares both copies as reconcile.Decide does, by what each has seen of the other, and reports whether they differ in a
// direction that the type goes. It decides nothing: what a repair sends or fetches is decided where it arrives.
func (d *Difference) find(pulls, pushes bool) bool {
	h, t := d.Here, d.There
	switch {
	case h == nil && t == nil:
		return false
	case h == nil:
		d.Finding, d.Fetch = NotHere, pulls
		return pulls
	case t == nil:
		d.Finding, d.Send = NotThere, pushes
		return pushes
	case h.Same(*t):
		return false
	case h.Version == t.Version:
		d.Finding = OtherContent
		return true
	}
	newsThere, newsHere := !h.Vector.Contains(t.Version), !t.Vector.Contains(h.Version)
	if !newsThere && !newsHere {
		newsThere, newsHere = pulls, !pulls // both have seen both and stand on different ones: the parent's goes first
		d.Finding = RivalCopies
	}
	d.Fetch, d.Send = newsThere && pulls, newsHere && pushes
	switch {
	case d.Finding != "":
	case newsThere && newsHere:
		d.Finding = RivalCopies
	case h.Deleted && !t.Deleted:
		d.Finding = DeletedHere
	case !h.Deleted && t.Deleted:
		d.Finding = DeletedThere
	case newsThere:
		d.Finding = OlderHere
	default:
		d.Finding = OlderThere
	}
	return d.Fetch || d.Send
}

// why returns what this node's tables say about a difference.
func (v Verify) why(ctx context.Context, d Difference) ([]string, error) {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if d.Finding == OtherContent {
		say("this must never be: one version has two contents; keep a backup of both nodes and report it, a repair does not touch it")
	}
	err := v.Own.Read(ctx, func(r *store.Reader) error {
		held, err := r.HeldOf(d.Key)
		if err != nil {
			return err
		}
		for _, h := range held {
			if h.Refusal != "" {
				say("held until the parent decides; it refused the copy of this node: %s", h.Refusal)
			} else {
				say("held until the parent decides")
			}
		}
		c, open, err := r.OpenConflict(d.Key)
		if open {
			say("conflict %s is open here", c.UUID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	parked, err := v.Own.Parked(ctx, store.ParkedFilter{Key: d.Key})
	if err != nil {
		return nil, err
	}
	for _, p := range parked {
		if p.Direction == "pull" || p.Direction == "push" {
			say("parked in the %s: %s", p.Direction, p.Reason)
		}
	}
	return v.underway(ctx, d, out)
}

// underway adds whether a change waits behind the cursor of its direction, and where a direction is off for the type.
func (v Verify) underway(ctx context.Context, d Difference, out []string) ([]string, error) {
	if d.Fetch && d.There != nil {
		pos, err := v.Own.Position(ctx, "parent", "pull")
		if err != nil {
			return nil, err
		}
		if pos.Epoch != v.Epoch || pos.Resume != "" || d.There.Seq > pos.Seq {
			out = append(out, "not pulled yet")
		}
	}
	if d.Send && d.Here != nil {
		pos, err := v.Own.Position(ctx, "parent", "push")
		if err != nil {
			return nil, err
		}
		if pos.Epoch != v.Own.Identity().Epoch || pos.Resume != "" || d.Here.Seq > pos.Seq {
			out = append(out, "not pushed yet")
		}
	}
	if !v.Pushes(d.Key.Type) {
		out = append(out, d.Key.Type+" is not pushed")
	}
	if !v.Pulls(d.Key.Type) {
		out = append(out, d.Key.Type+" is not pulled")
	}
	return out, nil
}
