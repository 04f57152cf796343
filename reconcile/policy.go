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
	Defer           Policy = "defer" // apply neither, keep both, wait for a person
)

// Default is the policy of a type that the configuration does not name.
const Default = LastWriterWins

// PolicyNames returns the policies that a configuration may name.
func PolicyNames() []Policy {
	return []Policy{SourceWins, DestinationWins, ReplicaPriority, LastWriterWins, Defer}
}

// ParsePolicy returns the policy of that name, or a Usage error that lists those there are.
func ParsePolicy(s string) (Policy, error) {
	if p := Policy(s); slices.Contains(PolicyNames(), p) {
		return p, nil
	}
	names := make([]string, 0, 5)
	for _, p := range PolicyNames() {
		names = append(names, string(p))
	}
	return "", syncerr.New(syncerr.Usage, "read policy", "%.60q is none of %s", s, strings.Join(names, ", "))
}

// Policies says which policy each resource type has. DeletesWin turns around the rule that an edit is kept against a delete.
type Policies struct {
	Default    Policy
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
		return Default
	}
	return p.Default
}

// Resolution says which copy a policy chose and why.
type Resolution struct {
	Incoming bool   // the incoming copy's content wins
	Deferred bool   // neither does: a person decides
	Rule     Policy // the policy that decided
	Flagged  bool   // an edit was kept against a deletion: somebody should look
}

// Resolve chooses between two copies in conflict. name returns the node name of a replica, for ReplicaPriority. The choice of
// ReplicaPriority and LastWriterWins does not depend on which side is asked.
func (p Policies) Resolve(resourceType string, local, incoming version.Stamp, name func(version.Replica) string) Resolution {
	rule := p.For(resourceType)
	if rule == Defer {
		return Resolution{Deferred: true, Rule: rule}
	}
	if local.Deleted != incoming.Deleted {
		r := Resolution{Rule: rule, Incoming: local.Deleted != p.DeletesWin, Flagged: !p.DeletesWin}
		return r
	}
	switch rule {
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
