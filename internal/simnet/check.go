package simnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// accepted is a write that a node confirmed to its application.
type accepted struct {
	at    string
	stamp version.Stamp
}

// Check returns everything that is wrong with the invariants of DESIGN.md section 3 after Run.
func (n *Net) Check(ctx context.Context) error {
	var wrong []error
	views := make([]view, len(n.nodes))
	for i, x := range n.nodes {
		v, err := x.view(ctx)
		if err != nil {
			return err
		}
		views[i] = v
		wrong = append(wrong, n.checkLog(x, v)...)
		wrong = append(wrong, n.checkRest(ctx, x, v)...)
	}
	for i := range n.nodes[1:] {
		wrong = append(wrong, agree(n.nodes[0].name, views[0], n.nodes[i+1].name, views[i+1])...)
	}
	wrong = append(wrong, n.checkAccepted(views)...)
	wrong = append(wrong, n.checkMinted(views)...)
	return errors.Join(wrong...)
}

// view is what a node holds.
type view struct {
	copies    map[fhir.Key]store.Copy
	rows      []store.Row
	conflicts []store.Conflict
	audits    []audit.Record
}

func (x *Node) view(ctx context.Context) (view, error) {
	v := view{copies: map[fhir.Key]store.Copy{}}
	st := x.live.Engine().Store()
	err := st.Read(ctx, func(r *store.Reader) error {
		rows, err := r.Log()
		if err != nil {
			return err
		}
		v.rows = rows
		for _, row := range rows {
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
	if v.conflicts, err = st.Conflicts(ctx, store.ConflictFilter{Limit: 1_000_000}); err != nil {
		return v, err
	}
	v.audits, err = st.AuditRecords(ctx, audit.Query{Limit: 10_000})
	return v, err
}

// checkLog: invariants 1, 4, 5 and 7 at one node.
func (n *Net) checkLog(x *Node, v view) []error {
	var wrong []error
	bad := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf(x.name+": "+format, args...))
	}
	ordinals, ticks := map[string]uint64{}, map[string]uint64{}
	own := x.live.Engine().Store().Identity().Replica
	for i, row := range v.rows {
		if row.Seq != uint64(i+1) {
			bad("sequence %d stands at place %d: a hole or a number given twice (invariant 5)", row.Seq, i+1)
		}
		if ordinals[row.Key.Type]++; row.Ordinal != ordinals[row.Key.Type] {
			bad("ordinal %d of %s stands at place %d (invariant 5)", row.Ordinal, row.Key.Type, ordinals[row.Key.Type])
		}
		if ver := row.Stamp.Version; ver.Replica == own && ver.Tick > ticks[row.Key.Type] {
			if ticks[row.Key.Type]++; ver.Tick != ticks[row.Key.Type] {
				bad("tick %d of %s follows %d (contiguous ticks)", ver.Tick, row.Key.Type, ticks[row.Key.Type]-1)
			}
		}
		if err := row.Stamp.Validate(); err != nil {
			bad("%s: %v", row.Key, err)
		}
		if row.Content != nil && !n.bodies[string(row.Content)] {
			bad("%s has a content that nobody wrote (invariant 4): %s", row.Key, row.Content)
		}
	}
	for k, c := range v.copies {
		if !c.Stamp.Deleted && c.Body == nil {
			bad("%s has no content", k)
		}
	}
	local := 0
	for _, a := range v.audits {
		if a.Operation == audit.Local {
			local++
		}
	}
	authored := 0
	for _, row := range v.rows {
		if row.Source == "" && row.Stamp.Origin == row.Stamp.Version {
			authored++
		}
	}
	// A row that only grew its vector repeats a version, so there may be more rows than writes, never fewer.
	if local > authored {
		bad("%d local writes are audited, the log has %d (invariant 1)", local, authored)
	}
	return wrong
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
	held, err := st.Held(ctx, 0)
	if err != nil {
		return append(wrong, err)
	}
	for _, h := range held {
		wrong = append(wrong, fmt.Errorf("%s: %s %s is held for ever", x.name, h.Key, h.Stamp.Version))
	}
	parked, err := st.Parked(ctx, store.ParkedFilter{})
	if err != nil {
		return append(wrong, err)
	}
	for _, p := range parked {
		wrong = append(wrong, fmt.Errorf("%s: %s %s is parked (%s): %s", x.name, p.Key, p.Stamp.Version, p.Direction, p.Reason))
	}
	for _, c := range v.conflicts {
		if c.Status == store.ConflictOpen {
			wrong = append(wrong, fmt.Errorf("%s: the conflict about %s is still open", x.name, c.Key))
		}
	}
	return wrong
}

// agree: invariant 6.
func agree(an string, a view, bn string, b view) []error {
	var wrong []error
	for k, x := range a.copies {
		y, ok := b.copies[k]
		switch {
		case !ok:
			wrong = append(wrong, fmt.Errorf("%s has %s, %s does not (invariant 6)", an, k, bn))
		case x.Stamp.Version != y.Stamp.Version || !x.Stamp.SameContent(y.Stamp) || !bytes.Equal(x.Body, y.Body):
			wrong = append(wrong, fmt.Errorf("%s: %s has %s {%s}, %s has %s {%s} (invariant 6)", k, an, x.Stamp.Version, x.Stamp.Vector, bn, y.Stamp.Version, y.Stamp.Vector))
		}
	}
	for k := range b.copies {
		if _, ok := a.copies[k]; !ok {
			wrong = append(wrong, fmt.Errorf("%s has %s, %s does not (invariant 6)", bn, k, an))
		}
	}
	return wrong
}

// checkAccepted: no accepted change is lost. It has been seen by the copy that stands everywhere; and where the content that
// stands is not its own or a later one of an author who had seen it, a conflict row somewhere keeps it.
func (n *Net) checkAccepted(views []view) []error {
	var wrong []error
	for k, all := range n.accepted {
		all = n.survived(k, all, views)
		for i, v := range views {
			c, ok := v.copies[k]
			for _, a := range all {
				if !ok || !c.Stamp.Vector.Contains(a.stamp.Version) && !n.writtenAgain(k, a, views) {
					wrong = append(wrong, fmt.Errorf("%s: %s %s, written at %s, was never seen by what stands (promise 1)", n.nodes[i].name, k, a.stamp.Version, a.at))
				}
			}
		}
		c, ok := views[0].copies[k]
		if !ok {
			continue
		}
		made := append(all[:len(all):len(all)], unanswered(k, views)...)
		for _, a := range all {
			if !n.explained(k, a, c, made, views) {
				wrong = append(wrong, fmt.Errorf("%s %s, written at %s, neither stands, nor was overwritten by who had seen it, nor is kept in a conflict (promise 1)", k, a.stamp.Version, a.at))
			}
		}
	}
	return wrong
}

// survived leaves out what a restored node had accepted and told nobody: no log has it any more, and no program can bring it back.
func (n *Net) survived(k fhir.Key, all []accepted, views []view) []accepted {
	logged := map[version.Version]bool{}
	for _, v := range views {
		for _, row := range v.rows {
			if row.Key == k {
				logged[row.Stamp.Version] = true
			}
		}
	}
	var out []accepted
	for _, a := range all {
		if logged[a.stamp.Version] || n.find(a.at).lost == 0 {
			out = append(out, a)
		}
	}
	return out
}

// writtenAgain reports whether a restored node gave a write another version, because its own had been given before.
func (n *Net) writtenAgain(k fhir.Key, a accepted, views []view) bool {
	if n.find(a.at).lost == 0 {
		return false
	}
	for _, later := range n.accepted[k] { // an edit of it counts, too
		if later.at == a.at && later.stamp.Version != a.stamp.Version && later.stamp.Vector.Contains(a.stamp.Version) && n.writtenAgain(k, later, views) {
			return true
		}
	}
	for _, v := range views {
		for _, row := range v.rows {
			if row.Key == k && row.Stamp.Version.Replica != a.stamp.Version.Replica && row.Stamp.Origin == row.Stamp.Version && row.Stamp.SameContent(a.stamp) {
				return true
			}
		}
	}
	return false
}

// checkMinted: invariant 7, no version stands for two contents, whoever logged it.
func (n *Net) checkMinted(views []view) []error {
	type name struct {
		key fhir.Key
		ver version.Version
	}
	first := map[name]store.Row{}
	var wrong []error
	for i, v := range views {
		for _, row := range v.rows {
			at := name{row.Key, row.Stamp.Version}
			if o, ok := first[at]; ok && !o.Stamp.SameContent(row.Stamp) {
				wrong = append(wrong, fmt.Errorf("%s: %s %s stands for two contents (invariant 7)", n.nodes[i].name, row.Key, row.Stamp.Version))
			}
			first[at] = row
		}
	}
	return wrong
}

// unanswered returns the writes of a key that were committed, also those whose application had no answer because the process
// stopped right behind the commit.
func unanswered(k fhir.Key, views []view) []accepted {
	var out []accepted
	for _, v := range views {
		for _, row := range v.rows {
			if row.Key == k && row.Stamp.Origin == row.Stamp.Version {
				out = append(out, accepted{stamp: row.Stamp})
			}
		}
	}
	return out
}

// explained follows an accepted write to what became of it.
func (n *Net) explained(k fhir.Key, a accepted, c store.Copy, all []accepted, views []view) bool {
	if c.Stamp.Origin == a.stamp.Version || c.Stamp.SameContent(a.stamp) {
		return true
	}
	for _, same := range all {
		if !same.stamp.SameContent(a.stamp) {
			continue // equal content is one content: what was seen of one was seen of all
		}
		for _, later := range all {
			if later.stamp.Version != same.stamp.Version && later.stamp.Vector.Contains(same.stamp.Version) {
				return true // somebody who had seen it wrote on; that write is looked at in its turn
			}
		}
	}
	for _, x := range n.nodes {
		if x.lost > 0 {
			return true // the row that kept it may have been in what a restore threw away
		}
	}
	for _, v := range views {
		for _, x := range v.conflicts {
			if x.Key == k && (x.Local.SameContent(a.stamp) || x.Incoming.SameContent(a.stamp)) {
				return true
			}
		}
	}
	return false
}
