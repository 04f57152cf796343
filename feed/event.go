// Package feed owns what travels between nodes as values: events, cursors, pages, receipts and units, and their two codecs,
// Atom (the contract that anyone can read) and the compact form (the same pages for speed). It is pure: bytes in, values out.
package feed

import (
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Action says what a change did to its resource. The names are those of OpenMRS atomfeed.
type Action string

// The actions of FHIR writes.
const (
	Created Action = "CREATED"
	Updated Action = "UPDATED"
	Deleted Action = "DELETED"
)

// Event is a change as it stands in a feed. Content is nil where it was left out (then Size says how many bytes it has) and for
// a deleted resource. Committed is when the node whose feed it is committed it, in milliseconds since 1970 UTC.
type Event struct {
	Seq       uint64 // position in the node's log
	Ordinal   uint64 // position among the events of its category, from 1
	Key       fhir.Key
	Action    Action
	Stamp     version.Stamp
	Unit      string // names the transaction that it travels with; empty outside transactions
	UnitSize  int    // how many changes that transaction has
	Committed int64
	Size      int
	Content   []byte
}

// Cursor is a position in one log: the epoch that the log belongs to and the last sequence read. The zero Cursor stands
// before the first event of whatever epoch the log has.
type Cursor struct {
	Epoch string
	Seq   uint64
}

// IsZero reports whether the cursor stands at the very start.
func (c Cursor) IsZero() bool { return c.Epoch == "" && c.Seq == 0 }

// String returns "epoch:sequence".
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	return c.Epoch + ":" + strconv.FormatUint(c.Seq, 10)
}

// ParseCursor reads what String writes; it returns an Invalid error for anything else.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	epoch, seq, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(seq, 10, 63)
	if !ok || err != nil || !version.Replica(epoch).Valid() {
		return Cursor{}, syncerr.New(syncerr.Invalid, "read cursor", "%.100q is not epoch:sequence", s)
	}
	return Cursor{Epoch: epoch, Seq: n}, nil
}

// MarshalText writes String's form.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads ParseCursor's form.
func (c *Cursor) UnmarshalText(b []byte) error {
	p, err := ParseCursor(string(b))
	if err != nil {
		return err
	}
	*c = p
	return nil
}

// Result is the receiver's answer for one change (DESIGN.md section 2, receipt).
type Result string

// The results.
const (
	Applied    Result = "applied"    // the sent copy is now the receiver's
	Same       Result = "already"    // the receiver had this version
	EqualCopy  Result = "equal"      // the receiver had this content under another version
	Superseded Result = "superseded" // the receiver has a copy that has seen the sent one
	Decided    Result = "decided"    // the receiver decided a conflict and wrote a new version
	// Written is never on the wire between nodes: a server that knows no stamps has the content now, and wrote it as the version of Stamp.
	Written  Result = "written"
	Deferred Result = "deferred" // the receiver keeps both until a person decides
	Held     Result = "held"     // a follower set the copy aside until its parent has decided
	Refused  Result = "refused"  // the receiver cannot take it; Reason says why
)

// Receipt is the receiver's answer for one change. Stamp is the receiver's copy afterwards.
type Receipt struct {
	Key     fhir.Key        `json:"key"`
	Version version.Version `json:"version"`
	Result  Result          `json:"result"`
	Stamp   version.Stamp   `json:"stamp,omitzero"`
	Reason  string          `json:"reason,omitempty"`
	Retry   bool            `json:"retry,omitempty"` // refused for now: it may be taken later
}

// Ref asks for the content of one version of a resource; the zero version is whichever is current.
type Ref struct {
	Key     fhir.Key        `json:"key"`
	Version version.Version `json:"version"`
}

// Request asks for the part of a feed behind a cursor.
type Request struct {
	After  Cursor
	Types  []string // resource types wanted, nil for all
	Limit  int      // events at most, 0 for the server's choice; a unit is never split
	Inline int      // contents up to that many bytes travel with the event
	Bare   []string // resource types whose contents do not
	Wait   int      // milliseconds to hold the exchange open until there is news
	Tell   bool     // the page that ends the log tells what the sender knows
	Known  uint64   // revision of its knowledge that the reader has merged: what changed since is told
}

// End closes a page.
type End struct {
	Cursor  Cursor `json:"cursor"`            // where to read on
	More    bool   `json:"more,omitempty"`    // there was more when the page was read
	Skipped int    `json:"skipped,omitempty"` // rows passed because a later row of the same key follows
	Limit   int    `json:"limit,omitempty"`   // the largest resource in bytes that this node takes
	Backlog uint64 `json:"backlog,omitempty"` // rows behind the cursor in this log
	// Revision is that of the knowledge that stands in the page; 0 where none does.
	Revision uint64 `json:"revision,omitempty"`
}

// Name tells the node name of a replica, ahead of its first change in a page.
type Name struct {
	Replica version.Replica `json:"id"`
	Node    string          `json:"name"`
}
