// Package audit owns the record of every sync operation: its closed lists and the values that queries and exports return.
// It makes records and never writes them; store does, in the transaction of what they describe (DESIGN.md section 3, 1).
// A record holds nothing about a patient but the resource's key.
package audit

import (
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// Operation says which way a change went. PULL and PUSH are those of OpenMRS Sync 2.0.
type Operation string

// The operations.
const (
	Pull    Operation = "PULL"    // a child took it from its parent
	Push    Operation = "PUSH"    // a child gave it to its parent
	Receive Operation = "RECEIVE" // a parent took it from a child that pushed
	Local   Operation = "LOCAL"   // it was written at this node
	Refuse  Operation = "REFUSE"  // a call was turned away before anything was looked at
	Admin   Operation = "ADMIN"   // an operator changed something
	// Diagnose is what another node said of an exchange between others.
	Diagnose Operation = "DIAGNOSE"
	Device   Operation = "DEVICE" // a device began a session, or acknowledged what it got
)

// Operations returns all operations.
func Operations() []Operation {
	return []Operation{Pull, Push, Receive, Local, Refuse, Admin, Diagnose, Device}
}

// Outcome says what became of it.
type Outcome string

// The outcomes.
const (
	Applied    Outcome = "applied"
	Already    Outcome = "already"
	Equal      Outcome = "equal"
	Superseded Outcome = "superseded"
	Decided    Outcome = "decided"
	Deferred   Outcome = "deferred"
	Held       Outcome = "held"
	Parked     Outcome = "parked"
	Refused    Outcome = "refused"
	Failed     Outcome = "failed"
	Done       Outcome = "done"
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{Applied, Already, Equal, Superseded, Decided, Deferred, Held, Parked, Refused, Failed, Done}
}

// Success reports whether the outcome leaves nothing to be done by anybody.
func (o Outcome) Success() bool {
	switch o {
	case Parked, Refused, Failed, Deferred:
		return false
	default:
		return true
	}
}

// Record is one row of sync_audit_message. Times are milliseconds since 1970 UTC, durations milliseconds, sizes bytes. The
// JSON names are those of OpenMRS Sync 2.0's REST API where the meaning is the same.
type Record struct {
	ID         int64           `json:"id"`
	UUID       string          `json:"uuid"`
	Time       int64           `json:"timestamp"`
	Operation  Operation       `json:"operation"`
	Outcome    Outcome         `json:"outcome"`
	Success    bool            `json:"success"`
	Action     string          `json:"action,omitempty"`
	Key        fhir.Key        `json:"resource,omitzero"`
	Version    version.Version `json:"version,omitzero"`
	Peer       string          `json:"peer,omitempty"`
	Run        string          `json:"run,omitempty"`
	URL        string          `json:"usedResourceUrl,omitempty"`
	ParentURL  string          `json:"parentUrl,omitempty"`
	LocalURL   string          `json:"localUrl,omitempty"`
	LinkType   string          `json:"linkType,omitempty"`
	Creator    string          `json:"creatorInstanceId,omitempty"`
	Conflict   string          `json:"mergeConflictUuid,omitempty"`
	Next       string          `json:"nextMessageUuid,omitempty"`
	HTTPStatus int             `json:"httpStatus,omitempty"`
	Bytes      int64           `json:"bytes,omitempty"`
	Duration   int64           `json:"durationMs,omitempty"`
	Details    string          `json:"details,omitempty"`
}

// Query selects records, newest first. Zero fields select everything.
type Query struct {
	Operation Operation
	Outcome   Outcome
	Failures  bool
	Type      string
	ID        string
	Run       string
	Peer      string
	From, To  int64
	Before    int64 // records with a smaller ID only: the next page
	Limit     int
}

// Run is one row of sync_run: a pass, opened before its first exchange and closed with its counts. An unclosed row of a
// process that no longer runs is the report of a crash.
type Run struct {
	ID        string `json:"id"`
	Direction string `json:"direction"` // pull or push
	Peer      string `json:"peer"`
	Started   int64  `json:"started"`
	Finished  int64  `json:"finished,omitempty"`
	Outcome   string `json:"outcome"` // running, done, failed, interrupted
	Read      int64  `json:"read"`
	Applied   int64  `json:"applied"`
	Skipped   int64  `json:"skipped"`
	Held      int64  `json:"held"`
	Parked    int64  `json:"parked"`
	BytesIn   int64  `json:"bytesIn"`
	BytesOut  int64  `json:"bytesOut"`
	Error     string `json:"error,omitempty"`
}
