package resourcemanager

import (
	"context"
	"time"

	"github.com/tributary-sync/tributary/fhir"
)

// Want names a document of a server: its current copy, or the one under a tag where Tag is not empty.
type Want struct {
	Key fhir.Key
	Tag string
}

// State is what a server has under a key.
type State int

// The states.
const (
	Absent  State = iota // never was there, or nobody may know that it was (404)
	Present              // the document is in Content, unless only tags were asked for
	Gone                 // it was deleted or voided there (410)
)

// Copy is a document as a server has it that knows no stamps.
type Copy struct {
	Key      fhir.Key
	State    State
	Tag      string    // the server's own name of this version (FHIR: meta.versionId, the ETag without W/""); empty where it gives none
	Content  []byte    // as the server sent it
	Modified time.Time // by the server's clock, zero where it does not say
}

// Edit is one write. It must not overwrite what this side has not seen.
type Edit struct {
	Key     fhir.Key
	Content []byte // the whole document; nil deletes
	Create  bool   // there must be none yet
	Revive  bool   // the server's copy, that of Base, is deleted or voided
	Base    string // tag of the copy that the edit stands on; empty where the server gives no tags, or for a Create
}

// Fate is what a server did with an edit.
type Fate int

// The fates.
const (
	Done    Fate = iota + 1 // it has the document now, under Copy.Tag
	Stale                   // it has another copy than Base by now, and did nothing
	Refused                 // it does not take this document: Reason says why in its words. The same edit will be refused again
)

// Answer is a server's answer to one edit. Copy is what the server has afterwards as far as it said so: State and, where it sent them, Tag,
// Content and Modified.
type Answer struct {
	Fate   Fate
	Copy   Copy
	Reason string
	Status int // HTTP
}

// Remote moves single documents to and from a server that knows no stamps: a FHIR R4 server, OpenMRS. What speaks it compares nothing and
// decides nothing.
type Remote interface {
	// Read returns one Copy for each want, in their order. An answer that says nothing about the documents (the link broke, the server is busy,
	// the credential is refused) is an error: Transient, Denied or Invalid (syncerr), and no Copy counts.
	Read(ctx context.Context, wants []Want) ([]Copy, error)
	// Write carries the edits out one by one in their order, whatever happens to the others, and returns one Answer each. With an error
	// it returns the answers that it has: those edits are done, of the rest nothing is known.
	Write(ctx context.Context, edits []Edit) ([]Answer, error)
	// Traffic returns the bytes of bodies on the wire so far.
	Traffic() (in, out int64)
}
