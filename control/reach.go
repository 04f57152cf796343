package control

import "github.com/tributary-sync/tributary/version"

// Reach says up to where a node above this one has what was recorded here: by a person, by an application, or by a server beside the node. It
// is what that node said of itself, in the life that Replica and Epoch name, so it never claims more than is true.
type Reach struct {
	Level   int             `json:"level"` // 1 is the parent, 2 its parent
	Name    string          `json:"name"`
	Replica version.Replica `json:"replica,omitempty"`
	Epoch   string          `json:"epoch,omitempty"`
	Code    string          `json:"code"`
	Until   int64           `json:"until,omitempty"`   // of ReachUntil: everything recorded before that time is there
	Waiting uint64          `json:"waiting,omitempty"` // changes that have not come there
	Aside   uint64          `json:"aside,omitempty"`   // changes among the others that were refused there, or wait in a conflict; with each goes what was done before to the same resource
	Types   []TypeReach     `json:"types"`             // of which something was recorded here, by name
	Stays   []string        `json:"stays,omitempty"`   // those of them that do not go that far up
	Said    []Sentence      `json:"said"`              // the same as sentences
}

// TypeReach says the same of one resource type.
type TypeReach struct {
	Type     string `json:"type"`
	Goes     bool   `json:"goes"`     // the type is sent that far up
	Recorded uint64 `json:"recorded"` // changes made here
	Waiting  uint64 `json:"waiting,omitempty"`
	Aside    uint64 `json:"aside,omitempty"`
	Until    int64  `json:"until,omitempty"` // everything of it recorded before that time is there; 0 where nothing waits, or the time is not known
}

// The codes of Reach.
const (
	ReachAll     = "all"     // everything recorded here that goes there is there, but for what is set aside
	ReachUntil   = "until"   // everything recorded before Until is there, but for what is set aside
	ReachPart    = "part"    // Waiting changes are not there, and since when is not known
	ReachNone    = "none"    // nothing was recorded here yet that goes there
	ReachUnknown = "unknown" // it has not said anything yet
)

// ReachedAt says whether the present version of a resource has come to a node above this one.
type ReachedAt struct {
	Level   int             `json:"level"`
	Name    string          `json:"name"`
	Replica version.Replica `json:"replica,omitempty"`
	Code    string          `json:"code"`
}

// The codes of ReachedAt.
const (
	ReachedYes     = "yes"     // it has this version, or one that has seen it
	ReachedNotYet  = "not-yet" // it is on its way
	ReachedAside   = "aside"   // it was refused there, or waits in a conflict
	ReachedStays   = "stays"   // resources of this type are not sent that far up
	ReachedFrom    = "from"    // it came down from there
	ReachedUnknown = "unknown" // that node has not said
)
