package simnet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// minted names a version of a key.
type minted struct {
	key fhir.Key
	ver version.Version
}

// checkLog: invariants 1, 4, 5 and 7 at one node.
func (n *Net) checkLog(x *Node, v view) []error {
	var wrong []error
	bad := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf(x.name+": "+format, args...))
	}
	ordinals, ticks := map[string]uint64{}, map[string]uint64{}
	own := x.live.Engine().Store().Identity().Replica
	committed := int64(0)
	for i, row := range v.rows {
		if row.Seq != uint64(i+1) {
			bad("sequence %d stands at place %d: a hole or a number given twice (invariant 5)", row.Seq, i+1)
		}
		if ordinals[row.Key.Type]++; row.Ordinal != ordinals[row.Key.Type] {
			bad("ordinal %d of %s stands at place %d (invariant 5)", row.Ordinal, row.Key.Type, ordinals[row.Key.Type])
		}
		if row.Committed < committed {
			bad("sequence %d was committed before the one before it (meta.lastUpdated)", row.Seq)
		}
		committed = row.Committed
		if ver := row.Stamp.Version; ver.Replica == own && ver.Tick > ticks[row.Key.Type] {
			if ticks[row.Key.Type]++; ver.Tick != ticks[row.Key.Type] {
				bad("tick %d of %s follows %d (contiguous ticks)", ver.Tick, row.Key.Type, ticks[row.Key.Type]-1)
			}
		}
		if err := row.Stamp.Validate(); err != nil {
			bad("%s: %v", row.Key, err)
		}
		if row.Content != nil && !n.written(row.Key, row.Content) {
			bad("%s has a content that nobody wrote (invariant 4): %s", row.Key, row.Content)
		}
	}
	for k, c := range v.copies {
		if !c.Stamp.Deleted && c.Body == nil {
			bad("%s has no content", k)
		}
	}
	return append(wrong, x.checkAudit(v)...)
}

// checkAudit: a change and its audit row were written together (invariant 1).
func (x *Node) checkAudit(v view) []error {
	written, said := map[minted]bool{}, map[minted]bool{}
	local := 0
	for _, a := range v.audits {
		if a.Operation == audit.Local || a.Operation != audit.Local && x.own[a.Version.Replica] && strings.Contains(a.Details, "the deletion was forgotten") { // by a full comparison
			local++
		}
		said[minted{a.Key, a.Version}] = true
	}
	var wrong []error
	merged := mergedHere(v.conflicts)
	for _, row := range v.rows {
		at := minted{row.Key, row.Stamp.Version}
		if x.own[row.Stamp.Version.Replica] && row.Stamp.Origin == row.Stamp.Version && !merged[at] {
			written[at] = true
		}
		if row.Source != "" && !said[at] && x.restored == 0 {
			wrong = append(wrong, fmt.Errorf("%s: %s %s came from %s and is not in the audit (invariant 1)", x.name, row.Key, row.Stamp.Version, row.Source))
		}
	}
	if local > len(written) && !x.copied || local < len(written) && x.restored == 0 {
		wrong = append(wrong, fmt.Errorf("%s: %d local writes are audited, the log has %d (invariant 1)", x.name, local, len(written)))
	}
	return wrong
}

// checkContents: invariant 7, no version stands for two contents or two histories, whoever logged it. It returns all versions.
func checkContents(nodes []*Node, views []view) (map[minted]version.Stamp, []error) {
	first := map[minted]version.Stamp{}
	var wrong []error
	for i, v := range views {
		for _, row := range v.rows {
			at, s := minted{row.Key, row.Stamp.Version}, row.Stamp
			o, ok := first[at]
			if ok && (!o.SameContent(s) || o.Origin != s.Origin || o.Author != s.Author || o.Authored != s.Authored) {
				wrong = append(wrong, fmt.Errorf("%s: %s %s stands for two contents (invariant 7)", nodes[i].name, row.Key, row.Stamp.Version))
			}
			first[at] = s
		}
	}
	keys := map[kindVersion]fhir.Key{}
	for at := range first {
		name := kindVersion{at.key.Type, at.ver}
		if k, ok := keys[name]; ok && k != at.key {
			wrong = append(wrong, fmt.Errorf("%s stands for a change of %s and for one of %s (invariant 7)", at.ver, k, at.key))
		}
		keys[name] = at.key
	}
	return first, wrong
}

// checkOthers checks what waits while nodes run, and invariant 7, this at all but those that may not have met anybody since they were copied or put back.
func (n *Net) checkOthers(views []view) []error {
	var nodes []*Node
	var theirs []view
	for i, x := range n.nodes {
		if x.twin == nil && !x.doubtful {
			nodes, theirs = append(nodes, x), append(theirs, views[i])
		}
	}
	_, wrong := checkContents(nodes, theirs)
	return append(wrong, n.checkWaits(views)...)
}

// checkMinted: invariant 7 at the end, and a vector names only versions that were given to its key.
func (n *Net) checkMinted(views []view) []error {
	first, wrong := checkContents(n.nodes, views)
	if n.restored > 0 {
		return wrong // a version that was thrown away may be named
	}
	for i, v := range views {
		for k, c := range v.copies {
			for _, ver := range c.Stamp.Vector {
				if _, ok := first[minted{k, ver}]; !ok {
					wrong = append(wrong, fmt.Errorf("%s: the vector of %s names %s, which nobody gave to it", n.nodes[i].name, k, ver))
				}
			}
		}
	}
	return wrong
}

// checkNames: what its parent has of a node keeps its name when the node is put back (core-review rule 8): a second name would make it a
// rival of its own successors. A parent that was put back itself may have lost the first, and a copy that was put back again has not heard of names that
// were given after it was made.
func (n *Net) checkNames(x *Node, mine, parents view) []error {
	if x.parent.restored > 0 || n.opts.Moves || x.copied || x.renamed {
		return nil
	}
	var wrong []error
	came := map[minted]bool{} // names that others gave back: they are older than those under which it was written again
	for _, row := range slices.Backward(mine.rows) {
		came[minted{row.Key, row.Stamp.Version}] = row.Source != ""
	}
	for k, known := range parents.logged {
		for _, first := range known {
			if !x.own[first.Version.Replica] || x.forgot[first.Version.Replica] || first.Origin != first.Version {
				continue
			}
			for _, s := range mine.logged[k] {
				a := accepted{stamp: first}
				if x.own[s.Version.Replica] && a.isAgain(s) && !came[minted{k, s.Version}] {
					wrong = append(wrong, fmt.Errorf("%s: %s %s is known to %s, and was written again as %s", x.name, k, first.Version, x.parent.name, s.Version))
				}
			}
		}
	}
	return wrong
}

// checkConflicts: what a policy decided was a conflict, and both sides are kept with their contents.
func (n *Net) checkConflicts(x *Node, v view) []error {
	var wrong []error
	bad := func(c store.Conflict, why string) {
		wrong = append(wrong, fmt.Errorf("%s: the conflict about %s of %s and %s: %s", x.name, c.Key, c.Local.Version, c.Incoming.Version, why))
	}
	for _, c := range v.conflicts {
		for _, side := range []struct {
			stamp   version.Stamp
			content []byte
		}{{c.Local, c.LocalContent}, {c.Incoming, c.IncomingContent}} {
			if side.stamp.Deleted != (len(side.content) == 0) || len(side.content) > 0 && !n.written(c.Key, side.content) {
				bad(c, "a content is not kept (promise 1)")
			}
		}
		if byPerson(c) {
			continue
		}
		switch in, local := c.Incoming, c.Local; {
		case in.Vector.Contains(local.Version) || local.Vector.Contains(in.Version):
			bad(c, "one side had seen the other")
		case in.Vector.Contains(local.Origin) || local.Vector.Contains(in.Origin):
			bad(c, "one side had seen whose content the other has (core-review rule 3)")
		case in.SameContent(local):
			bad(c, "identical content is no conflict (invariant 6)")
		}
	}
	return wrong
}
