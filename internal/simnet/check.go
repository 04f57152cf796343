package simnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// Check returns everything that is wrong with the invariants of DESIGN.md section 3 after Run.
func (n *Net) Check(ctx context.Context) error {
	var wrong []error
	views, err := n.allViews(ctx)
	if err != nil {
		return err
	}
	for i, x := range n.nodes {
		v := views[i]
		wrong = append(wrong, n.checkLog(x, v)...)
		wrong = append(wrong, n.checkConflicts(x, v)...)
		wrong = append(wrong, n.checkRest(ctx, x, v)...)
	}
	for i, x := range n.nodes {
		if x.parent != nil {
			parents := views[slices.Index(n.nodes, x.parent)]
			wrong = append(wrong, x.agree(views[i], parents)...)
			wrong = append(wrong, n.checkNames(x, views[i], parents)...)
		}
	}
	if w := n.opts.World; w != nil && w.check != nil {
		wrong = append(wrong, w.check(n, views)...)
	}
	wrong = append(wrong, n.checkAccepted(views)...)
	wrong = append(wrong, n.checkFields(views)...)
	wrong = append(wrong, n.checkMinted(views)...)
	wrong = append(wrong, n.checkUnits(views)...)
	wrong = append(wrong, n.checkClaims(ctx, views)...)
	wrong = append(wrong, n.checkReached(ctx, views)...)
	wrong = append(wrong, n.checkKnowledge(ctx)...)
	return errors.Join(wrong...)
}

// view is what a node holds.
type view struct {
	copies    map[fhir.Key]store.Copy
	rows      []store.Row
	logged    map[fhir.Key][]version.Stamp
	held      []store.Held
	parked    []store.Parked
	conflicts []store.Conflict
	audits    []audit.Record
}

func (x *Node) view(ctx context.Context) (view, error) {
	v := view{copies: map[fhir.Key]store.Copy{}, logged: map[fhir.Key][]version.Stamp{}}
	st := x.live.Engine().Store()
	rows, err := x.rows(ctx)
	if err != nil {
		return v, fmt.Errorf("%s: %w", x.name, err)
	}
	err = st.Read(ctx, func(r *store.Reader) error {
		x.own[r.Identity().Replica] = true // a restore may be found in the middle of a pass, twice even
		owns, err := r.Owns()
		if err != nil {
			return err
		}
		for _, o := range owns {
			x.own[o.Replica] = true
		}
		for _, row := range rows {
			if _, ok := v.copies[row.Key]; ok {
				continue
			}
			c, ok, err := r.Get(row.Key)
			if err != nil || !ok {
				return fmt.Errorf("%s is in the log and not in the table: %w", row.Key, err)
			}
			v.copies[row.Key] = c
		}
		return nil
	})
	if err != nil {
		return v, fmt.Errorf("%s: %w", x.name, err)
	}
	v.rows = x.withGone(rows)
	for _, row := range v.rows {
		v.logged[row.Key] = append(v.logged[row.Key], row.Stamp)
	}
	if v.conflicts, err = st.Conflicts(ctx, store.ConflictFilter{Limit: 1_000_000}); err != nil {
		return v, err
	}
	if v.held, err = st.Held(ctx, 0); err != nil {
		return v, err
	}
	if v.parked, err = st.Parked(ctx, store.ParkedFilter{Limit: 1_000_000}); err != nil {
		return v, err
	}
	v.audits, err = st.AuditRecords(ctx, audit.Query{Limit: 10_000})
	return v, err
}

// checkRest: nothing waits for ever, and every pass accounts for what it read (invariant 3).
func (n *Net) checkRest(ctx context.Context, x *Node, v view) []error {
	var wrong []error
	st := x.live.Engine().Store()
	runs, err := st.Runs(ctx, "", 100_000)
	if err != nil {
		return []error{err}
	}
	for _, r := range runs {
		if r.Read != r.Applied+r.Skipped+r.Held+r.Parked {
			wrong = append(wrong, fmt.Errorf("%s: pass %s read %d events and accounts for %d+%d+%d+%d (invariant 3)", x.name, r.Direction, r.Read, r.Applied, r.Skipped, r.Held, r.Parked))
		}
		if r.Outcome == "running" {
			wrong = append(wrong, fmt.Errorf("%s: pass %s is still open", x.name, r.ID))
		}
	}
	for _, h := range v.held {
		if _, on := x.rules(down); !on {
			continue // it reads nothing: its parent decides when it reads again
		}
		wrong = append(wrong, fmt.Errorf("%s: %s %s is held for ever", x.name, h.Key, h.Stamp.Version))
	}
	for _, p := range v.parked {
		wrong = append(wrong, fmt.Errorf("%s: %s %s is parked (%s): %s", x.name, p.Key, p.Stamp.Version, p.Direction, p.Reason))
	}
	for _, c := range v.conflicts {
		if c.Status == store.ConflictOpen {
			wrong = append(wrong, fmt.Errorf("%s: the conflict about %s is still open", x.name, c.Key))
		}
	}
	return wrong
}

// agree: invariant 6 on the link to the parent. What goes both ways is the same at both ends; what goes one way only was seen where it
// goes to.
func (x *Node) agree(mine, parents view) []error {
	var wrong []error
	p := x.parent
	for k, theirs := range parents.copies {
		own, ok := mine.copies[k]
		switch way := x.flows[k.Type]; {
		case way&down == 0:
		case theirs.Stamp.Deleted && x.collected(k) && (!ok || own.Stamp.Deleted):
		case !ok:
			wrong = append(wrong, fmt.Errorf("%s has %s, %s does not (invariant 6)", p.name, k, x.name))
		case way == both && (theirs.Stamp.Version != own.Stamp.Version || !theirs.Stamp.SameContent(own.Stamp) || !bytes.Equal(theirs.Body, own.Body) ||
			!theirs.Stamp.Vector.Equal(own.Stamp.Vector)):
			wrong = append(wrong, fmt.Errorf("%s: %s has %s {%s}, %s has %s {%s} (invariant 6)", k, p.name, theirs.Stamp.Version, theirs.Stamp.Vector, x.name, own.Stamp.Version, own.Stamp.Vector))
		case !own.Stamp.Vector.ContainsAll(theirs.Stamp.Vector):
			wrong = append(wrong, fmt.Errorf("%s: %s at %s {%s} has not seen all of %s at %s {%s}", k, own.Stamp.Version, x.name, own.Stamp.Vector, theirs.Stamp.Version, p.name, theirs.Stamp.Vector))
		}
	}
	for k, own := range mine.copies {
		theirs, ok := parents.copies[k]
		switch way := x.flows[k.Type]; {
		case way&up == 0:
		case own.Stamp.Deleted && p.collected(k) && (!ok || theirs.Stamp.Deleted):
		case !ok:
			wrong = append(wrong, fmt.Errorf("%s has %s, %s does not (invariant 6)", x.name, k, p.name))
		case !theirs.Stamp.Vector.ContainsAll(own.Stamp.Vector):
			wrong = append(wrong, fmt.Errorf("%s: %s at %s {%s} has not seen all of %s at %s {%s}", k, theirs.Stamp.Version, p.name, theirs.Stamp.Vector, own.Stamp.Version, x.name, own.Stamp.Vector))
		}
	}
	return wrong
}
