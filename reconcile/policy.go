package reconcile

import (
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Policy names how a conflict is resolved (DESIGN.md 4.2). All policies judge the author of the content.
type Policy string

// The policies. In a decision the incoming copy is the source, the local copy the destination.
const (
	SourceWins      Policy = "source-wins"
	DestinationWins Policy = "destination-wins"
	ReplicaPriority Policy = "replica-priority" // SData conflictPriority: 1 is strongest
	LastWriterWins  Policy = "last-writer-wins"
	Merging         Policy = "merge" // take what each side changed; what both changed goes by the policy behind a comma, else by Defer
	Defer           Policy = "defer" // apply neither, keep both, wait for a person
)

// Default is the policy that a node is configured with.
const Default = Merging

// PolicyNames returns the policies that a configuration may name.
func PolicyNames() []Policy {
	return []Policy{Merging, SourceWins, DestinationWins, ReplicaPriority, LastWriterWins, Defer}
}

// ParsePolicy returns the policy of that name, or a Usage error that lists those there are. Behind merge and a comma may stand the one
// for elements that both sides changed: merge,last-writer-wins.
func ParsePolicy(s string) (Policy, error) {
	first, next, both := strings.Cut(s, ",")
	next = strings.TrimPrefix(next, " ")
	named := func(name string) bool { return slices.Contains(PolicyNames(), Policy(name)) }
	switch {
	case !both && named(first):
		return Policy(s), nil
	case both && Policy(first) == Merging && named(next) && Policy(next) != Merging:
		return Merging + "," + Policy(next), nil
	}
	names := make([]string, 0, 6)
	for _, p := range PolicyNames() {
		names = append(names, string(p))
	}
	return "", syncerr.New(syncerr.Usage, "read policy", "%.60q is none of %s", s, strings.Join(names, ", "))
}

// Steps returns the policy that is asked first and, for a merge, the one that is asked about what both sides changed.
func (p Policy) Steps() (first, next Policy) {
	a, b, _ := strings.Cut(string(p), ",")
	if next = Policy(strings.TrimSpace(b)); next == "" {
		next = Defer
	}
	return Policy(a), next
}

// Names reports whether p asks that policy, because it says so.
func (p Policy) Names(q Policy) bool {
	return slices.Contains(strings.Split(strings.ReplaceAll(string(p), " ", ""), ","), string(q))
}

// Policies says which policy each resource type has. DeletesWin turns around the rule that an edit is kept against a delete.
type Policies struct {
	Default    Policy // LastWriterWins where there is none
	Types      map[string]Policy
	Priority   map[string]int // by node name; 1 is strongest, a node without one is weakest
	DeletesWin bool
}

// For returns the policy of a resource type.
func (p Policies) For(resourceType string) Policy {
	if q, ok := p.Types[resourceType]; ok {
		return q
	}
	if p.Default == "" {
		return LastWriterWins
	}
	return p.Default
}

// Resolution says which copy a policy chose and why.
type Resolution struct {
	Incoming bool   // the incoming copy's content wins
	Deferred bool   // neither does: a person decides
	Merge    bool   // the two are to be merged
	Rule     Policy // the policy that decided
	Flagged  bool   // an edit was kept against a deletion: somebody should look
}

// Resolve chooses between two copies in conflict. name returns the node name of a replica, for ReplicaPriority. The choice of
// ReplicaPriority and LastWriterWins does not depend on which side is asked.
func (p Policies) Resolve(resourceType string, local, incoming version.Stamp, name func(version.Replica) string) Resolution {
	rule, _ := p.For(resourceType).Steps()
	return p.by(rule, local, incoming, name)
}

// Clashing is Resolve for the elements that a merge leaves open, because both sides changed them.
func (p Policies) Clashing(resourceType string, local, incoming version.Stamp, name func(version.Replica) string) Resolution {
	_, next := p.For(resourceType).Steps()
	return p.by(next, local, incoming, name)
}

func (p Policies) by(rule Policy, local, incoming version.Stamp, name func(version.Replica) string) Resolution {
	if rule == Defer {
		return Resolution{Deferred: true, Rule: rule}
	}
	if local.Deleted != incoming.Deleted {
		r := Resolution{Rule: rule, Incoming: local.Deleted != p.DeletesWin, Flagged: !p.DeletesWin}
		return r
	}
	switch rule {
	case Merging:
		return Resolution{Merge: true, Rule: rule}
	case SourceWins:
		return Resolution{Incoming: true, Rule: rule}
	case DestinationWins:
		return Resolution{Rule: rule}
	case ReplicaPriority:
		l, i := p.rank(name(local.Author)), p.rank(name(incoming.Author))
		if l != i {
			return Resolution{Incoming: i < l, Rule: rule}
		}
	}
	return Resolution{Incoming: newer(incoming, local), Rule: rule}
}

func (p Policies) rank(node string) int {
	if n, ok := p.Priority[node]; ok && n > 0 {
		return n
	}
	return int(^uint(0) >> 1)
}

// newer is a total order on contents: the later authored, then the higher origin, so that both sides choose the same copy.
func newer(a, b version.Stamp) bool {
	if a.Authored != b.Authored {
		return a.Authored > b.Authored
	}
	return a.Origin.Compare(b.Origin) > 0
}
