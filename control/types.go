package control

import (
	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// The rows that control hands on as the store has them. Only a Conflict got by its UUID holds contents.
type (
	Counts   = store.Counts
	Conflict = store.Conflict
	GivenUp  = store.GivenUp
	Held     = store.Held
	Interval = store.Interval
)

// Status is how a node stands. Times are milliseconds since 1970 UTC, durations milliseconds, everywhere in this package.
type Status struct {
	Time      int64        `json:"time"`
	Node      Node         `json:"node"`
	Parent    *Parent      `json:"parent,omitempty"`  // nil at the top of the tree
	Servers   []Server     `json:"servers,omitempty"` // servers without stamps beside the node, by name
	Children  []Child      `json:"children"`
	Reach     []Reach      `json:"reach,omitempty"`  // what has come to the nodes above, the parent first
	Silent    []SilentNode `json:"silent,omitempty"` // nodes below this one, at any depth, of which nothing was heard for too long
	Counts    Counts       `json:"counts"`
	Knowledge []Known      `json:"knowledge"`           // what this node knows, by resource type
	CountedAt int64        `json:"countedAt"`           // the counts of resources may be this old
	Clock     *Clock       `json:"clock,omitempty"`     // nil where it was held against no other
	Disk      *Disk        `json:"disk,omitempty"`      // nil where the machine does not tell
	Attention []string     `json:"attention,omitempty"` // what a person should look at, as sentences; empty where all is well
	Notices   []Sentence   `json:"notices,omitempty"`   // the same with what they are made of
}

// Clock is how far this node's clock is ahead of its parent's.
type Clock struct {
	Ahead int64 `json:"ahead"` // negative where it is behind
	Level Level `json:"level"`
}

// Disk is the space on the disk of the database, or of the keys where the database is on a server.
type Disk struct {
	Folder string `json:"folder"`
	Free   uint64 `json:"free"` // bytes
	Level  Level  `json:"level"`
}

// Known sums up what a node knows of a resource type (DESIGN.md 4.3); GET /sync/knowledge tells all of it.
type Known struct {
	Type       string `json:"type"`
	Replicas   int    `json:"replicas"`            // whose changes it knows up to a tick
	Changes    uint64 `json:"changes"`             // the sum of these ticks
	Exceptions int    `json:"exceptions"`          // versions among them that it could not take
	Forgotten  int    `json:"forgotten,omitempty"` // replicas of whose changes deletions were collected
}

// Restored says when a database was found to be an older copy of itself, and by what.
type Restored struct {
	At  int64  `json:"at"`
	Why string `json:"why"`
}

// Node says who this node is.
type Node struct {
	Name        string          `json:"name"`
	URL         string          `json:"url"`
	Replica     version.Replica `json:"replica"`
	Epoch       string          `json:"epoch"`
	Version     string          `json:"version"`
	Schema      int64           `json:"schema"`
	Driver      string          `json:"driver"`   // sqlite or mysql
	Database    string          `json:"database"` // what the database says of itself
	Started     int64           `json:"started"`
	Uptime      int64           `json:"uptime"`
	Fingerprint string          `json:"fingerprint,omitempty"` // of the node's public key: SHA256:...
	Restored    *Restored       `json:"restored,omitempty"`    // the last time that the database was put back, nil where it never was
}

// Parent says how the link to the parent stands.
type Parent struct {
	URL       string          `json:"url"`
	Name      string          `json:"name,omitempty"` // empty until it was met
	Replica   version.Replica `json:"replica,omitempty"`
	LastSeen  int64           `json:"lastSeen,omitempty"`
	Reachable bool            `json:"reachable"` // the newest attempt in either direction went well
	LastError string          `json:"lastError,omitempty"`
	Pull      Direction       `json:"pull"`
	Push      Direction       `json:"push"`
}

// Server says how the link to a server that knows no stamps stands.
type Server struct {
	Name    string    `json:"name"`
	URL     string    `json:"url"`
	Capture Direction `json:"capture"` // what it changed becomes changes of this node
	Deliver Direction `json:"deliver"` // what this node has is given to it
}

// Direction says how one direction to the parent or to a server stands.
type Direction struct {
	LinkState
	Last        *audit.Run  `json:"last,omitempty"`        // the newest pass, also one that runs
	LastSuccess int64       `json:"lastSuccess,omitempty"` // when a pass last went well, also one that found nothing to do
	Cursor      feed.Cursor `json:"cursor,omitzero"`
	CatchUp     bool        `json:"catchUp,omitempty"` // it moves what the other side does not know, before it follows the log again
	Backlog     uint64      `json:"backlog"`           // changes that wait; of a pull, as the parent last said

	exchanged int64 // when the parent was last heard in this direction
}

// Child is a node that may read from and push to this one.
type Child struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Replica   version.Replica `json:"replica,omitempty"`
	PublicKey string          `json:"publicKey,omitempty"`
	Created   int64           `json:"created"`
	LastSeen  int64           `json:"lastSeen,omitempty"` // 0 where it never came
	Seq       uint64          `json:"seq"`                // up to where in this node's log it has read
	Lag       uint64          `json:"lag"`                // changes that it has not read
	Cloned    int64           `json:"cloned,omitempty"`   // when it was found that two copies of it run, so that both are refused; 0 where not
}

// NewChild is a child with its credential, which is shown once and stored only as a hash.
type NewChild struct {
	Child
	Credential string `json:"credential"`
}

// Device is a registration under which phones, scripts or dashboards read by sessions.
type Device struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Scope    []string   `json:"scope"` // types, each with or without the criteria of a search
	Created  int64      `json:"created"`
	LastSeen int64      `json:"lastSeen,omitempty"` // 0 where it never came
	Devices  []DeviceID `json:"devices,omitempty"`  // the ids under which it came, the last first
}

// DeviceID is one device id under which a registration came.
type DeviceID struct {
	UUID     string `json:"uuid"`
	Created  int64  `json:"created"`
	LastSeen int64  `json:"lastSeen"`
	Waiting  int64  `json:"waiting"` // items in its queue: what it was not given yet, or did not acknowledge
}

// NewDevice is a device with its credential, which is shown once and stored only as a hash.
type NewDevice struct {
	Device
	Credential string `json:"credential"`
}

// ConflictQuery selects conflicts, newest first; zero fields select everything.
type ConflictQuery struct {
	Status string // store.ConflictOpen ("open") or store.ConflictDecided ("decided")
	Key    fhir.Key
	Limit  int
}

// ParkedQuery selects parked events, the longest waiting first; zero fields select all that is tried again.
type ParkedQuery struct {
	State     string // ParkedWaiting (also where it is empty), ParkedGivenUp or ParkedAll
	Direction string // pull, push or receive
	Key       fhir.Key
	UUID      string
	Cause     string // Parked.Cause
	Limit     int
}

// Which parked events are meant.
const (
	ParkedWaiting = "waiting"  // those that are tried again
	ParkedGivenUp = "given-up" // those that a person gave up
	ParkedAll     = "all"
)

// Parked is an event that could not be applied or delivered, with what it has in common with others.
type Parked struct {
	store.Parked
	Cause string `json:"cause"` // the same for events that wait for the same reason
	Like  int    `json:"like"`  // how many of the cause there are, with this one
}

// ParkedChoice says which parked events something is done to: one, those of a cause, or all.
type ParkedChoice struct {
	UUID  string `json:"uuid,omitempty"`
	Cause string `json:"cause,omitempty"`
	All   bool   `json:"all,omitempty"`
	Why   string `json:"why,omitempty"` // the reason for giving up, without patient data
}

// Explanation is everything that a node knows of one resource, without its content.
type Explanation struct {
	Key       fhir.Key       `json:"resource"`
	Exists    bool           `json:"exists"` // there is a live copy
	Summary   []string       `json:"summary"`
	Story     []Sentence     `json:"story"`             // the same with what they are made of
	Current   *version.Stamp `json:"current,omitempty"` // nil where there never was a copy
	Seq       uint64         `json:"seq,omitempty"`
	Committed int64          `json:"committed,omitempty"`
	AtParent  string         `json:"atParent"`          // one of the AtParent constants
	Reached   []ReachedAt    `json:"reached,omitempty"` // whether the present version has come to the nodes above, the parent first
	History   []HistoryRow   `json:"history"`
	Audit     []audit.Record `json:"audit"`
	Conflicts []Conflict     `json:"conflicts"` // without contents
	Parked    []Parked       `json:"parked"`
	Held      []Held         `json:"held"`
	Readers   []Reader       `json:"readers"` // the children, and how far each has come with the present version

	absent []Sentence        // why it is not here
	names  map[string]string // of replicas
}

// Whether the parent has the present version of a resource.
const (
	AtParentNone      = "no-parent"  // this node has none
	AtParentYes       = "yes"        // it delivered or confirmed this very version
	AtParentOffered   = "offered"    // it was sent this version or one that says the same
	AtParentWaiting   = "waiting"    // the next push takes it
	AtParentParked    = "parked"     // it was refused and is tried again
	AtParentNotPushed = "not-pushed" // resources of this type are not pushed
)

// HistoryRow is one version of a resource as this node logged it.
type HistoryRow struct {
	Seq       uint64          `json:"seq"`
	Version   version.Version `json:"version"`
	Action    feed.Action     `json:"action"`
	Committed int64           `json:"committed"`
	Author    version.Replica `json:"author"`
	By        string          `json:"by"` // the author's node name, else its replica
	Authored  int64           `json:"authored"`
	Source    string          `json:"source"`            // who delivered it: this node, parent, or the name of a child
	From      string          `json:"from"`              // the same as one of the From constants
	Decided   string          `json:"decided,omitempty"` // the node which decided by it between two copies, empty for all other versions
}

// Who delivered a version.
const (
	FromHere    = "here"
	FromParent  = "parent"
	FromStick   = "stick"
	FromRemoved = "removed" // a child that is not known any more
	FromOther   = "other"   // the child or server that Source names
)

// Level says how a check went.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Check is one line of Doctor: what was looked at, how it is, and what to do about it.
type Check struct {
	Name   string `json:"name"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
	// Numbers are what the detail is made of: bytes, counts, times in milliseconds since 1970 UTC.
	Numbers map[string]int64 `json:"numbers,omitempty"`
}

// The states of a conflict.
const (
	ConflictOpen    = store.ConflictOpen
	ConflictDecided = store.ConflictDecided
	ConflictHeld    = store.ConflictHeld

	KindIdentity = store.KindIdentity
)

// File is one file of a support bundle.
type File struct {
	Name string `json:"name"`
	Text string `json:"text"`
}
