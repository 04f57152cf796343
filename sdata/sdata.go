// Package sdata owns SData synchronization (SData 1.1, Link & Sync) as a view of the node's core: its documents as values, the endpoints
// $syncDigest, $syncSource, $syncTarget and $syncResults of every resource type, the event manager, and the stateless engine that runs
// passes between two endpoints. It is strict in what it writes and liberal in what it reads. It decides nothing: what a page brings goes
// through engine.Accept, what is known is store's knowledge.
//
// Data flows one way in a pass. The target's digest goes to the source, which freezes what the target lacks as a job; its pages go to the
// target as they are, which gives every entry its fate in a transaction with what it knows then.
package sdata

import (
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/version"
)

// The namespaces that are written. Those of other versions of the specification are read as well (reference: SData 1.1, sync 2.2 and 4.2).
const (
	nsAtom   = "http://www.w3.org/2005/Atom"
	nsSync   = "http://schemas.sage.com/sdata/sync/2008/1"
	nsSData  = "http://schemas.sage.com/sdata/2008/1"
	nsHTTP   = "http://schemas.sage.com/sdata/http/2008/1"
	nsSearch = "http://a9.com/-/spec/opensearch/1.1/"
	// nsNode is that of what nodes tell each other beside the specification: stamps and exceptions. Other peers ignore it.
	nsNode = "https://tributary-sync.github.io/ns/1"
)

// ContentType is the media type of entries and feeds.
const ContentType = "application/atom+xml"

// DigestEntry is an endpoint's part of a digest (4.2). Tick is exclusive: the first that is not known. Stamp is when the tick last changed, in
// milliseconds since 1970 UTC.
type DigestEntry struct {
	Endpoint string
	Tick     uint64
	Stamp    int64
	Priority int    // conflictPriority, 1 strongest to 9; 0 where it is not said
	Node     string // name of the node whose replica it is, told by nodes
}

// Digest is what an endpoint knows (4.2).
type Digest struct {
	ID      string // of the entry that it was read from; empty in a feed
	Origin  string // the endpoint whose digest it is
	Entries []DigestEntry
	// Known is what a digest cannot say, told by nodes: exceptions, and the ticks of replicas that were lowered for them; nil of other peers.
	Known *feed.Known
}

// SyncState names the last change of a resource (4.3).
type SyncState struct {
	Endpoint string
	Tick     uint64
	Stamp    int64 // milliseconds since 1970 UTC
	User     string
}

// Outcome is what became of an entry of a batch (core 13.6).
type Outcome struct {
	Status   int
	Message  string
	Method   string
	Location string
	ETag     string
}

// Entry is a resource in a feed, or what became of it in a result feed.
type Entry struct {
	AtomID   string
	Title    string
	Updated  int64  // milliseconds since 1970 UTC
	UUID     string // by which peers correlate resources
	ID       string // the resource's id of FHIR, where it is said or stands in the document
	Deleted  bool
	Document []byte // FHIR JSON; nil of a deleted resource and in result feeds
	State    SyncState
	Stamp    version.Stamp // told by nodes, zero of other peers
	Outcome  Outcome
	Trouble  []Diagnosis
}

// Feed is a page of changes, or of their outcomes.
type Feed struct {
	ID      string
	Title   string
	Updated int64
	Mode    version.Mode // empty in result feeds
	Digest  *Digest      // the sender's
	Entries []Entry
	Next    string // address of the next page, empty on the last
	Start   int    // 1-based place of the first entry, 0 where it is not said
	PerPage int
	Present *Present // told by nodes before their first entries, nil otherwise
}

// Present names all that a source has of a resource kind in a range of ids, deleted ones among them: it has forgotten deletions which the target
// never learnt, and no digest can tell of these (DESIGN.md 4.3, forgetting).
type Present struct {
	feed.Range
	IDs []string
}

// Tracking tells how far an asynchronous operation has come (core 11.5).
type Tracking struct {
	Phase         string
	PhaseDetail   string
	Progress      float64 // percent
	Elapsed       float64 // seconds
	Remaining     float64 // seconds
	PollingMillis int
}

// Severity grades a diagnosis (core 3.11).
type Severity string

// The severities.
const (
	Info      Severity = "Info"
	Warning   Severity = "Warning"
	Transient Severity = "Transient"
	Failure   Severity = "Error"
	Fatal     Severity = "Fatal"
)

// Diagnosis says what went wrong (core 3.11).
type Diagnosis struct {
	Severity Severity
	Code     string // of SData's list
	App      string // applicationCode: the word of syncerr for the kind
	Message  string
}
