// Package syncerr owns the one error type that Tributary decides by: a Kind says what the program does about a failure
// (retry, park, stop, which HTTP status, which exit code), a Hint says what a person can do about it.
package syncerr

import (
	"errors"
	"fmt"
)

// Kind classifies a failure by what is to be done about it.
type Kind int

// The kinds. Internal is the zero value, so an error nobody classified is never mistaken for a harmless one.
const (
	Internal      Kind = iota // a defect or an unknown cause: stop, keep the cursor, report
	Transient                 // it may work later: stop, keep the cursor, back off, try again for ever
	Invalid                   // the input is wrong and will stay wrong: park it, go on
	NotFound                  // no such resource
	Gone                      // the resource was deleted, or the log was truncated
	Conflict                  // the write contradicts the present state (HTTP 409)
	Precondition              // If-Match or If-None-Match does not hold (HTTP 412)
	Ambiguous                 // a condition finds several resources where one is meant (HTTP 412)
	Denied                    // no credential, or not allowed
	TooLarge                  // over the size limit of this node or its database
	Unsupported               // a media type or feature that this node does not speak
	Unprocessable             // well-formed, but against a rule of the server (HTTP 422)
	EpochChanged              // the cursor belongs to a log that no longer continues its past
	StorageFull               // the disk is full: reads go on, writes wait
	Unavailable               // the database is away: reads may go on, writes wait
	Usage                     // the command line or configuration is wrong
)

type row struct {
	name  string
	http  int
	issue string // FHIR IssueType code, http://hl7.org/fhir/R4/valueset-issue-type.html
	exit  int
	retry bool
}

// table is the one place that maps a Kind to an HTTP status, an OperationOutcome code, an exit code and retry.
func table(k Kind) row {
	switch k {
	case Transient:
		return row{"transient", 503, "transient", 1, true}
	case Invalid:
		return row{"invalid", 400, "invalid", 1, false}
	case NotFound:
		return row{"not-found", 404, "not-found", 1, false}
	case Gone:
		return row{"gone", 410, "deleted", 1, false}
	case Conflict:
		return row{"conflict", 409, "conflict", 1, false}
	case Precondition:
		return row{"precondition", 412, "conflict", 1, false}
	case Ambiguous:
		return row{"ambiguous", 412, "multiple-matches", 1, false}
	case Denied:
		return row{"denied", 401, "security", 1, false}
	case TooLarge:
		return row{"too-large", 413, "too-long", 1, false}
	case Unsupported:
		return row{"unsupported", 415, "not-supported", 1, false}
	case Unprocessable:
		return row{"unprocessable", 422, "processing", 1, false}
	case EpochChanged:
		return row{"epoch-changed", 409, "conflict", 1, false}
	case StorageFull:
		return row{"storage-full", 507, "no-store", 1, true}
	case Unavailable:
		return row{"unavailable", 503, "transient", 1, true}
	case Usage:
		return row{"usage", 400, "invalid", 2, false}
	default:
		return row{"internal", 500, "exception", 1, false}
	}
}

// String returns the word used in logs, JSON and audit rows.
func (k Kind) String() string { return table(k).name }

// HTTPStatus returns the status a handler answers with.
func (k Kind) HTTPStatus() int { return table(k).http }

// IssueCode returns the FHIR R4 IssueType for an OperationOutcome.
func (k Kind) IssueCode() string { return table(k).issue }

// ExitCode returns the process exit code: 1 failed, 2 wrong usage.
func (k Kind) ExitCode() int { return table(k).exit }

// Retry reports whether the same call may succeed later without anybody changing anything.
func (k Kind) Retry() bool { return table(k).retry }

// Error says what was tried (Op), why it failed (Err) and what a person can do (Hint).
type Error struct {
	Kind Kind
	Op   string
	Hint string
	Err  error
}

// Error returns "op: cause" and, where there is one, the hint after a full stop.
func (e *Error) Error() string {
	s := e.Op
	if e.Err != nil {
		if s != "" {
			s += ": "
		}
		s += e.Err.Error()
	}
	if e.Hint != "" {
		s += ". " + e.Hint
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an Error of the kind with a formatted cause.
func New(kind Kind, op, format string, args ...any) *Error {
	return &Error{Kind: kind, Op: op, Err: fmt.Errorf(format, args...)}
}

// Wrap classifies err; a nil err stays nil. An err that already carries a Kind keeps its own.
func Wrap(kind Kind, op string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return &Error{Kind: kind, Op: op, Err: err}
}

// WithHint returns the error with what a person can do about it.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// KindOf returns the Kind of the first Error in err's chain, Internal where there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// HintOf returns the hint of the first Error in err's chain that has one.
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// KindOfStatus returns the Kind that an HTTP status of a peer means to a client (RFC 9110 section 15).
func KindOfStatus(status int) Kind {
	switch {
	case status == 401 || status == 403:
		return Denied
	case status == 404:
		return NotFound
	case status == 408 || status == 425 || status == 429:
		return Transient
	case status == 409:
		return Conflict
	case status == 410:
		return Gone
	case status == 412:
		return Precondition
	case status == 413:
		return TooLarge
	case status == 415:
		return Unsupported
	case status == 422:
		return Unprocessable
	case status == 507:
		return StorageFull
	case status >= 500:
		return Transient
	case status >= 400:
		return Invalid
	default:
		return Internal
	}
}
