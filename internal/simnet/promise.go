package simnet

import (
	"fmt"
	"slices"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// accepted is a write that a node confirmed to its application.
type accepted struct {
	at    string
	stamp version.Stamp
	again []version.Version // the versions that it got when its node found that it was restored: its own had been given before
	lost  bool              // no machine has it any more: a database was put back before it had reached another one
}

// is reports whether a stamp is this very write: its version and its content.
func (a *accepted) is(s version.Stamp) bool {
	return s.Version == a.stamp.Version && s.SameContent(a.stamp)
}

// isAgain reports whether a stamp is this write under another name. Two writes of a key never have one time and one content.
func (a *accepted) isAgain(s version.Stamp) bool {
	return s.Version.Replica != a.stamp.Version.Replica && s.Origin == s.Version && s.Authored == a.stamp.Authored && s.SameContent(a.stamp)
}

// seenBy reports whether a vector has seen the write, under one of its names.
func (a *accepted) seenBy(v version.Vector) bool {
	return v.Contains(a.stamp.Version) || slices.ContainsFunc(a.again, v.Contains)
}

// reached reports whether a vector has seen the write, or one that its author made of it later and that was written again: its new
// vector leaves out what may have been given twice.
func (a *accepted) reached(v version.Vector, all []*accepted) bool {
	return a.seenBy(v) || slices.ContainsFunc(all, func(b *accepted) bool {
		return b != a && b.at == a.at && len(b.again) > 0 && b.stamp.Vector.Contains(a.stamp.Version) && b.stamp.Version != a.stamp.Version && b.reached(v, all)
	})
}

// remember goes through everything that the nodes and what else is given still have, before or after a database is put back: which
// writes got another name, and which ones nobody has any more, but for what is under way.
func (n *Net) remember(views []view) {
	for k, all := range n.accepted {
		for _, a := range all {
			switch alive := n.alive(k, a, views); {
			case !a.lost && !alive:
				a.lost = true
				n.logf("LOST %s %s written at %s", k, a.stamp.Version, a.at)
			case a.lost && alive: // an answer that was under way had it
				a.lost = false
				n.logf("FOUND %s %s written at %s", k, a.stamp.Version, a.at)
			}
		}
	}
}

// alive reports whether anybody has a write: in a log, set aside, or known to what stands. A vector tells only as long as the version
// stands for one content.
func (n *Net) alive(k fhir.Key, a *accepted, views []view) bool {
	found, seen := false, false
	twice := n.twice[kindVersion{k.Type, a.stamp.Version}] || slices.ContainsFunc(n.accepted[k], func(b *accepted) bool { return b.stamp.Version == a.stamp.Version && !a.is(b.stamp) })
	for _, v := range views {
		for _, s := range v.stamps(k) {
			switch {
			case a.is(s), s.Origin == a.stamp.Version && s.SameContent(a.stamp): // or a decision for it
				found = true
			case s.Version == a.stamp.Version:
				twice = true
			case a.isAgain(s):
				if found = true; !slices.Contains(a.again, s.Version) {
					a.again = append(a.again, s.Version)
				}
			}
			seen = seen || a.seenBy(s.Vector)
		}
	}
	return found || seen && !twice
}

// stamps returns all stamps of a key that a node keeps anywhere.
func (v view) stamps(k fhir.Key) []version.Stamp {
	out := v.logged[k]
	for _, h := range v.held {
		if h.Key == k {
			out = append(out[:len(out):len(out)], h.Stamp)
		}
	}
	for _, p := range v.parked {
		if p.Key == k {
			out = append(out[:len(out):len(out)], p.Stamp)
		}
	}
	for _, c := range v.conflicts {
		if c.Key == k {
			out = append(out[:len(out):len(out)], c.Local, c.Incoming)
		}
	}
	return out
}

// checkAccepted: no accepted change is lost. It has been seen by the copy that stands wherever it had to go; and where the content that
// stands is not its own or a later one of an author who had seen it, a conflict row somewhere keeps it.
func (n *Net) checkAccepted(views []view) []error {
	n.remember(views)
	var wrong []error
	for k, all := range n.accepted {
		if n.restored > 0 && !n.shared(k.Type) {
			continue // what was lost on the way down has nobody who would bring it back
		}
		made := unanswered(k, views)
		for _, a := range all {
			if !a.lost {
				made = append(made, a.stamp)
			}
		}
		for _, a := range all {
			if a.lost {
				continue
			}
			kept := n.kept(k, a, made, views)
			for i, y := range n.nodes {
				if !n.find(a.at).reaches(y, k.Type) {
					continue
				}
				c, here := views[i].copies[k]
				ok, kept := here, kept
				if y.collected(k) || n.collected(k) && (!here || n.estranged) { // it never had what others deleted and forgot
					// A key that was forgotten as deleted may be written anew by who has nothing of it left; what the deletion had seen stays away.
					kept = kept || a.stamp.Deleted && here && !a.stamp.Vector.Contains(c.Stamp.Origin)
					// What was forgotten as deleted learns of no other deletion, nor of what that had seen.
					gone := slices.ContainsFunc(made, func(s version.Stamp) bool { return s.Deleted && s.Vector.Contains(a.stamp.Version) })
					ok = gone && (!here || n.estranged) || n.estranged && a.reached(c.Stamp.Vector, all)
					for _, s := range views[i].logged[k] {
						ok = ok || a.reached(s.Vector, all)
					}
					c.Stamp.Vector = version.Vector{a.stamp.Version} // what is collected is seen no more
					c.Stamp.Deleted = c.Stamp.Deleted || c.Stamp.IsZero()
				}
				if !ok || !a.reached(c.Stamp.Vector, all) {
					wrong = append(wrong, fmt.Errorf("%s: %s %s, written at %s, was never seen by what stands (promise 1)", y.name, k, a.stamp.Version, a.at))
				} else if !kept && c.Stamp.Origin != a.stamp.Version && !c.Stamp.SameContent(a.stamp) {
					wrong = append(wrong, fmt.Errorf("%s: %s %s, written at %s, neither stands, nor was overwritten by who had seen it, nor is kept in a conflict (promise 1)", y.name, k, a.stamp.Version, a.at))
				}
			}
		}
		wrong = append(wrong, n.checkDeletion(k, views)...)
	}
	return wrong
}

// unanswered returns the writes of a key that were committed, also those whose application had no answer because the process
// stopped right behind the commit.
func unanswered(k fhir.Key, views []view) []version.Stamp {
	var out []version.Stamp
	for _, v := range views {
		for _, s := range v.stamps(k) {
			if s.Origin == s.Version {
				out = append(out, s)
			}
		}
	}
	return out
}

// kept reports whether a write that does not stand was overwritten by somebody who had seen it, or lost a conflict that keeps it.
func (n *Net) kept(k fhir.Key, a *accepted, made []version.Stamp, views []view) bool {
	for _, same := range made {
		if !same.SameContent(a.stamp) {
			continue // equal content is one content: what was seen of one was seen of all
		}
		for _, later := range made {
			if later.Version != same.Version && later.Vector.Contains(same.Version) {
				return true // somebody who had seen it wrote on; that write is looked at in its turn
			}
		}
	}
	for _, later := range made { // the row of its second name may be gone with the log that had it
		if slices.ContainsFunc(a.again, func(v version.Version) bool { return later.Version != v && later.Vector.Contains(v) }) {
			return true
		}
	}
	keeps := func(x store.Conflict) bool {
		return x.Key == k && (x.Local.SameContent(a.stamp) || x.Incoming.SameContent(a.stamp))
	}
	for _, x := range n.lostConflicts {
		if keeps(x) {
			return true // it was kept, in what was thrown away when a database was put back
		}
	}
	for _, v := range views {
		for _, x := range v.conflicts {
			if keeps(x) {
				return true
			}
		}
	}
	return false
}

// checkDeletion: nothing comes back that somebody deleted who had seen exactly that content, unless a person chose it
// (core-review rule 3). Where contents were written twice, or a node was put back or moved, it cannot be told.
func (n *Net) checkDeletion(k fhir.Key, views []view) []error {
	c := views[0].copies[k]
	if c.Stamp.IsZero() || c.Stamp.Deleted || !n.plain() {
		return nil
	}
	for _, v := range views {
		for _, x := range v.conflicts {
			if x.Key == k && byPerson(x) {
				return nil
			}
		}
	}
	times := map[version.Version]bool{}
	made := unanswered(k, views)
	for _, s := range made {
		if s.SameContent(c.Stamp) {
			times[s.Version] = true
		}
	}
	if len(times) > 1 {
		return nil
	}
	for _, s := range made {
		if s.Deleted && s.Vector.Contains(c.Stamp.Origin) {
			return []error{fmt.Errorf("%s has the content of %s again, which %s deleted", k, c.Stamp.Origin, s.Version)}
		}
	}
	return nil
}
