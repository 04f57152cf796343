package feed

import (
	"encoding/base64"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The bounds of one question about digests; whoever answers refuses what is beyond them.
const (
	MaxRanges = 64  // ranges in a question
	MaxParts  = 64  // parts that one range is cut into
	MaxListed = 64  // copies of a range that are listed instead of digested
	MaxIDs    = 200 // ids that a question names
)

// Sum is a digest of a set of copies that does not depend on their order: the sum of a hash of each of them. Equal sets have equal
// sums; that two different ones have is as likely as a collision of 128 random bits.
type Sum [16]byte

// String returns the sum as 22 characters of base64.
func (s Sum) String() string { return base64.RawURLEncoding.EncodeToString(s[:]) }

// MarshalText writes String's form.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads String's form; it returns an Invalid error for anything else.
func (s *Sum) UnmarshalText(b []byte) error {
	var out Sum
	n, err := base64.RawURLEncoding.Strict().Decode(out[:], b)
	if len(b) != base64.RawURLEncoding.EncodedLen(len(out)) || err != nil || n != len(out) {
		return syncerr.New(syncerr.Invalid, "read digest", "%.40q is not a digest", b)
	}
	*s = out
	return nil
}

// Range is the ids from From on and before To in the order of their bytes; an empty To stands for no end.
type Range struct {
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Behind returns where a range begins behind an id: no id lies between them but those that begin so.
func Behind(id string) string { return id + "-" }

// Copy is a current copy or tombstone as far as a comparison of two nodes needs it. Vector and Seq, its position in the log of
// the node that answers, come where a question names ids.
type Copy struct {
	ID      string          `json:"id"`
	Version version.Version `json:"version"`
	Deleted bool            `json:"deleted,omitempty"`
	Hash    version.Hash    `json:"hash,omitzero"`
	Vector  version.Vector  `json:"vector,omitempty"`
	Seq     uint64          `json:"seq,omitempty"`
}

// Same reports whether two copies are the same version with the same content. What their vectors have seen beyond it is no
// difference of the data.
func (c Copy) Same(o Copy) bool {
	return c.ID == o.ID && c.Version == o.Version && c.Deleted == o.Deleted && c.Hash == o.Hash
}

// Part is what a node has in one range of the ids of a type: how many copies, tombstones among them, and their digest, or, where
// Listed, the copies themselves by id.
type Part struct {
	Type string `json:"type,omitempty"` // only in the answer about whole types
	Range
	Count  int64  `json:"count,omitempty"`
	Sum    Sum    `json:"sum"`
	Listed bool   `json:"listed,omitempty"`
	Copies []Copy `json:"copies,omitempty"`
}

// maxTypes bounds the types that one question names: there are 146 of FHIR, and as many REST types as implementers care to have.
const maxTypes = 1000

// DigestQuery is one of three questions about what a node has: about whole types (Type is empty; Types are those meant, nil for all),
// about ranges of ids of a type, which follow each other and do not overlap, or about the copies of the ids that are named.
type DigestQuery struct {
	Type   string   `json:"type,omitempty"`
	Types  []string `json:"types,omitempty"`
	Ranges []Range  `json:"ranges,omitempty"`
	Parts  int      `json:"parts,omitempty"` // at most into how many parts each range is cut, 0 for 1
	List   int      `json:"list,omitempty"`  // a range of at most that many copies is listed
	IDs    []string `json:"ids,omitempty"`
}

// Validate returns an Invalid error for a question that asks more than the bounds allow, or nothing that can be answered.
func (q DigestQuery) Validate() error {
	bad := func(format string, args ...any) error {
		return syncerr.New(syncerr.Invalid, "compare", format, args...)
	}
	switch {
	case q.Type != "" && !fhir.IsKind(q.Type):
		return bad("%.60q is not a resource type", q.Type)
	case q.Type == "" && (len(q.Ranges) > 0 || len(q.IDs) > 0):
		return bad("the resource type of the ranges or ids is missing")
	case q.Type != "" && (len(q.Ranges) > 0) == (len(q.IDs) > 0):
		return bad("either ranges or ids are asked for")
	case len(q.Ranges) > MaxRanges || len(q.IDs) > MaxIDs || len(q.Types) > maxTypes:
		return bad("more than %d ranges or %d ids in one question", MaxRanges, MaxIDs)
	case q.Parts < 0 || q.Parts > MaxParts || q.List < 0 || q.List > MaxListed:
		return bad("a range is cut into at most %d parts, and at most %d copies are listed", MaxParts, MaxListed)
	}
	for _, t := range q.Types {
		if !fhir.IsSelector(t) {
			return bad("%.60q is not a resource type", t)
		}
	}
	for i, r := range q.Ranges {
		if r.From != "" && !fhir.ValidID(r.From) || r.To != "" && !fhir.ValidID(r.To) || r.To != "" && r.To <= r.From || i > 0 && (q.Ranges[i-1].To == "" || q.Ranges[i-1].To > r.From) {
			return bad("range %d is not one of ids, or does not lie behind the one before it", i+1)
		}
	}
	for _, id := range q.IDs {
		if err := (fhir.Key{Type: q.Type, ID: id}).Validate(); err != nil {
			return err
		}
	}
	return nil
}
