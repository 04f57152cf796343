package control

import (
	"context"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// Reader says how far a child has come with a resource.
type Reader struct {
	Name     string `json:"name"`
	State    string `json:"state"`              // one of the Reader constants
	LastSeen int64  `json:"lastSeen,omitempty"` // 0 where it never came
}

// How far a child has come with the present version of a resource.
const (
	ReaderHas     = "has"     // it sent it itself, or has read the log past it
	ReaderWaits   = "waits"   // it has not read so far
	ReaderNever   = "never"   // it never came
	ReaderUnasked = "unasked" // it does not read records of this type
)

// readers says to which children the present version went on.
func (c *Control) readers(e Explanation, children []store.Participant) []Reader {
	if e.Current == nil {
		return nil
	}
	var out []Reader
	epoch := c.eng.Store().Identity().Epoch
	for _, p := range children {
		r := Reader{Name: p.Name, LastSeen: p.LastSeen, State: ReaderWaits}
		switch {
		case len(e.History) > 0 && e.History[0].From == FromOther && e.History[0].Source == p.Name:
			r.State = ReaderHas
		case p.LastSeen == 0:
			r.State = ReaderNever
		case !p.Reads(e.Key.Type):
			r.State = ReaderUnasked
		case p.Epoch == epoch && p.Seq >= e.Seq:
			r.State = ReaderHas
		}
		out = append(out, r)
	}
	return out
}

// absent says why a resource is not here, as far as this node knows.
func (c *Control) absent(ctx context.Context, e Explanation) ([]Sentence, error) {
	if e.Current != nil || len(e.Parked) > 0 || len(e.Held) > 0 {
		return nil, nil
	}
	kind := map[string]string{"type": e.Key.Type}
	if c.cfg.Parent.URL == "" {
		return []Sentence{{Code: "absent_top", Words: kind, Text: "No change to it was ever written here, and none came from a child. Perhaps it stands at a child that has not sent it yet."}}, nil
	}
	asked, holds := c.askParent(ctx, e.Key)
	if !c.config().Pulls(e.Key.Type) {
		out := []Sentence{{Code: "absent_unwanted", Words: kind, Text: "Records of type " + e.Key.Type + " are not fetched from the parent, by this node's configuration."}}
		return append(out, asked...), nil
	}
	var out []Sentence
	filtered, err := c.Audit(ctx, audit.Query{Type: e.Key.Type, ID: e.Key.ID, Operation: audit.Pull, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(filtered) > 0 {
		out = append(out, Sentence{Code: "absent_passed", Text: "The parent offered it, and it was not taken: the audit below says why."})
	}
	at, err := c.eng.Store().Position(ctx, "parent", Pull)
	if err != nil {
		return nil, err
	}
	switch {
	case at.Updated == 0:
		out = append(out, Sentence{Code: "absent_unmet", Text: "Nothing was fetched from the parent yet."})
	case at.Backlog > 0 || at.Resume != "":
		out = append(out, Sentence{
			Code: "absent_backlog", Count: int64(at.Backlog), //nolint:gosec // a count
			Text: "The parent has " + plural(at.Backlog, "change", "changes") + " that this node has not read yet: it may be among them.",
		})
	case !holds:
		out = append(out, Sentence{
			Code: "absent_read", Times: map[string]int64{"at": at.Updated},
			Text: "This node has read everything that the parent had for it until " + UTC(at.Updated) + ", and the record was not among it: the parent does not have it, or does not give it to this node.",
		})
	}
	out = append(out, asked...)
	if holds {
		out = append(out, Sentence{Code: "parent_brings", Text: "A pull brings it; where it does not, `tributary verify --repair` does."})
	}
	return out, nil
}

// askWithin is how long a person who asks for a resource that is not here waits for what the parent says of it.
const askWithin = 3 * time.Second

// askParent says whether the parent has a resource now. holds reports that it has a live copy.
func (c *Control) askParent(ctx context.Context, key fhir.Key) (out []Sentence, holds bool) {
	if c.deps.Holds == nil {
		return nil, false
	}
	ctx, stop := context.WithTimeout(ctx, askWithin)
	defer stop()
	there, found, err := c.deps.Holds(ctx, key)
	v := map[string]string{"version": there.Version.String()}
	switch {
	case err != nil:
		return []Sentence{{Code: "parent_unasked", Text: "The parent could not be asked now."}}, false
	case !found:
		return []Sentence{{Code: "parent_lacks", Text: "The parent was asked just now: it does not have it."}}, false
	case there.Deleted:
		return []Sentence{{Code: "parent_deleted", Words: v, Text: "The parent was asked just now: it was deleted there (version " + v["version"] + ")."}}, false
	}
	return []Sentence{{Code: "parent_holds", Words: v, Text: "The parent was asked just now: it has it, in version " + v["version"] + "."}}, true
}

// decidedElsewhere says that the present version is a decision of another node, where this one has no conflict of it. A decision keeps the origin
// of the copy that won; a merge has its own and ends what was held here (DESIGN.md 4.2).
func (e Explanation) decidedElsewhere(names map[string]string) []Sentence {
	cur := e.Current
	if cur == nil || len(e.decided()) > 0 {
		return nil
	}
	by := names[string(cur.Version.Replica)]
	if cur.Origin != cur.Version {
		winner := names[string(cur.Author)]
		return []Sentence{{
			Code: "decided_above", Words: map[string]string{"node": by, "winner": winner},
			Text: "It settled a conflict: " + by + " decided between two copies, and the one written at " + winner + " stands.",
		}}
	}
	for _, r := range e.Audit {
		if r.Outcome == audit.Held && !r.Version.IsZero() && r.Version != cur.Version && cur.Vector.Contains(r.Version) && len(e.Held) == 0 && len(e.History) > 0 && e.History[0].From != FromHere {
			return []Sentence{{
				Code: "merged_above", Words: map[string]string{"node": by},
				Text: "It settled a conflict that waited here: " + by + " wrote it with both copies in view.",
			}}
		}
	}
	return nil
}
