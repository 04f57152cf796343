package control

import (
	"context"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Verifier compares this node with its parent. node implements it.
type Verifier interface {
	// Verify compares, and with repair sends and fetches what one side has not seen of the other. It returns a Conflict error where
	// a verification runs already.
	Verify(ctx context.Context, repair bool) (Verification, error)
	// Verifying returns how far the verification that runs has come.
	Verifying() Verifying
}

// Verifying is how far a verification has come, in copies of this node.
type Verifying struct {
	Running bool  `json:"running"`
	Done    int64 `json:"done"`
	Total   int64 `json:"total"`
}

// Verification is what a comparison with the parent found. Durations are milliseconds.
type Verification struct {
	Equal       bool           `json:"equal"` // nothing differs, or nothing does any more
	Types       []VerifiedType `json:"types"`
	Differences []Difference   `json:"differences"` // by key; at most 10,000
	Repaired    int64          `json:"repaired"`    // keys that differed and do not any more
	Remaining   int64          `json:"remaining"`   // of the differences that are listed
	More        bool           `json:"more"`        // the comparison ended at the most that is listed: others may differ
	Run         *audit.Run     `json:"run,omitempty"`
	BytesIn     int64          `json:"bytesIn"` // on the link meanwhile
	BytesOut    int64          `json:"bytesOut"`
	Duration    int64          `json:"duration"`
}

// VerifiedType is how many copies, tombstones among them, both sides have of a resource type.
type VerifiedType struct {
	Type   string `json:"type"`
	Pulled bool   `json:"pulled"`
	Pushed bool   `json:"pushed"`
	Here   int64  `json:"here"`
	There  int64  `json:"there"`
	Equal  bool   `json:"equal"` // all of both
}

// Difference is a resource that this node and its parent have not in the same version. Here and There are left out where that side
// has no copy.
type Difference struct {
	Key      fhir.Key   `json:"resource"`
	Finding  string     `json:"finding"`
	Why      []string   `json:"why,omitempty"`
	Here     *feed.Copy `json:"here,omitempty"`
	There    *feed.Copy `json:"there,omitempty"`
	Repaired bool       `json:"repaired,omitempty"`
}

// Verify compares this node with its parent and with repair mends what it can: through the same door as every pass, so that nothing
// is removed or overwritten that a pass would not. It returns a Usage error where this node has no parent or syncs nothing with it,
// and a Conflict error where a verification runs already.
func (c *Control) Verify(ctx context.Context, repair bool) (Verification, error) {
	if c.cfg.Parent.URL == "" {
		return Verification{}, syncerr.New(syncerr.Usage, "verify", "this node has no parent to be compared with").
			WithHint("It stands at the top: run the command at its children, each compares itself with it")
	}
	if cfg := c.config(); !cfg.Pull.Enabled && !cfg.Push.Enabled {
		return Verification{}, syncerr.New(syncerr.Usage, "verify", "this node neither pulls nor pushes: there is nothing to compare").
			WithHint("Set pull.enabled or push.enabled")
	}
	if c.deps.Verifier == nil {
		return Verification{}, syncerr.New(syncerr.Usage, "verify", "this node does not run").WithHint("Start it with `tributary serve`")
	}
	out, err := c.deps.Verifier.Verify(ctx, repair)
	out.Types, out.Differences = orEmpty(out.Types), orEmpty(out.Differences)
	return out, err
}

// Verifying returns how far the verification that runs has come.
func (c *Control) Verifying() Verifying {
	if c.deps.Verifier == nil {
		return Verifying{}
	}
	return c.deps.Verifier.Verifying()
}
