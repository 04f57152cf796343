// Package reconcile decides between two copies of a resource. It is pure: two stamps in, a verdict with its reason out; no
// clock, no I/O. The rules and why each of them is needed: DESIGN.md sections 4.1 and 4.2.
package reconcile

import "github.com/tributary-sync/tributary/version"

// Verdict is what Decide finds.
type Verdict int

// The verdicts, in the order in which they are tested.
const (
	Already        Verdict = iota + 1 // the same version
	Apply                             // the incoming copy has seen the local one
	Superseded                        // the local copy has seen the incoming one
	Equal                             // the same content, written twice
	IncomingOrigin                    // the incoming copy has seen the write that made the local content
	LocalOrigin                       // the local copy has seen the write that made the incoming content
	Conflict                          // neither has seen the other
)

// String returns the word used in audit rows and JSON.
func (v Verdict) String() string {
	switch v {
	case Already:
		return "already"
	case Apply:
		return "apply"
	case Superseded:
		return "superseded"
	case Equal:
		return "equal"
	case IncomingOrigin:
		return "incoming-origin"
	case LocalOrigin:
		return "local-origin"
	case Conflict:
		return "conflict"
	default:
		return "none"
	}
}

// Rival reports whether a follower holds the incoming copy on this verdict instead of deciding (DESIGN.md 4.2, holds).
func (v Verdict) Rival() bool { return v >= Equal }

// Decide compares the local copy with an incoming one (DESIGN.md 4.1). A zero local stamp stands for no copy at all.
// Swapping the arguments swaps Apply with Superseded and IncomingOrigin with LocalOrigin, and keeps the others; where both
// have seen the other's origin, the two tie-breaking ticks decide and the local copy stands if they do not.
func Decide(local, incoming version.Stamp) Verdict {
	switch {
	case local.IsZero():
		return Apply
	case local.Version == incoming.Version:
		return Already
	case incoming.Vector.Contains(local.Version):
		return Apply
	case local.Vector.Contains(incoming.Version):
		return Superseded
	case local.SameContent(incoming):
		return Equal
	}
	incomingKnows := incoming.Vector.Contains(local.Origin)
	localKnows := local.Vector.Contains(incoming.Origin)
	switch {
	case incomingKnows && localKnows:
		if later(incoming, local) && !later(local, incoming) {
			return IncomingOrigin
		}
		return LocalOrigin
	case incomingKnows:
		return IncomingOrigin
	case localKnows:
		return LocalOrigin
	}
	return Conflict
}

// later reports whether a's vector has a later tick of the replica that wrote b's content.
func later(a, b version.Stamp) bool {
	return a.Vector.Tick(b.Origin.Replica) > b.Vector.Tick(b.Origin.Replica)
}

// Prefer reports whether the incoming copy of two with equal content stands: the one with the higher (tick, replica).
func Prefer(local, incoming version.Stamp) bool { return incoming.Version.Compare(local.Version) > 0 }
