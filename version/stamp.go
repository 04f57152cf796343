package version

import (
	"encoding/hex"

	"github.com/tributary-sync/tributary/syncerr"
)

// Hash is the SHA-256 of a resource's canonical content (fhir.Hash); the zero Hash belongs to a deleted copy.
type Hash [32]byte

// String returns 64 hexadecimal digits, empty for the zero Hash.
func (h Hash) String() string {
	if h == (Hash{}) {
		return ""
	}
	return hex.EncodeToString(h[:])
}

// MarshalText writes String's form.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads String's form; it returns an Invalid error for anything else.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*h = Hash{}
		return nil
	}
	if len(b) != 64 {
		return syncerr.New(syncerr.Invalid, "read hash", "%d characters instead of 64", len(b))
	}
	var out Hash
	if _, err := hex.Decode(out[:], b); err != nil {
		return syncerr.Wrap(syncerr.Invalid, "read hash", err)
	}
	// One hash has one text, so that texts may be compared: no capitals, and the zero hash is empty.
	if out.String() != string(b) {
		return syncerr.New(syncerr.Invalid, "read hash", "%q is not in the form that is written", b)
	}
	*h = out
	return nil
}

// Stamp is all by which two copies of a resource are compared (DESIGN.md section 2). Authored is in milliseconds since
// 1970 UTC and decides nothing but the last-writer policy.
type Stamp struct {
	Version  Version `json:"version"`
	Vector   Vector  `json:"vector"`
	Author   Replica `json:"author"`
	Authored int64   `json:"authored"`
	Origin   Version `json:"origin"`
	Deleted  bool    `json:"deleted,omitempty"`
	Hash     Hash    `json:"hash,omitzero"`
}

// IsZero reports whether the stamp belongs to no copy at all.
func (s Stamp) IsZero() bool { return s.Version.IsZero() }

// SameWrite reports whether two stamps of one version are of one write: two lives of a machine may write the same content twice.
func (s Stamp) SameWrite(o Stamp) bool {
	return s.SameContent(o) && s.Author == o.Author && s.Authored == o.Authored && s.Origin == o.Origin
}

// SameContent reports whether both copies hold the same content, or are both deleted.
func (s Stamp) SameContent(o Stamp) bool { return s.Deleted == o.Deleted && s.Hash == o.Hash }

// Seeing returns the stamp with a vector that has also seen y.
func (s Stamp) Seeing(y Vector) Stamp {
	s.Vector = s.Vector.Union(y)
	return s
}

// Validate returns an Invalid error for a stamp that no correct node can have made: a missing part, a vector that does not
// contain the copy's own version and origin, content under a deletion.
func (s Stamp) Validate() error {
	bad := func(format string, args ...any) error {
		return syncerr.New(syncerr.Invalid, "read stamp", format, args...)
	}
	switch {
	case s.Version.IsZero() || !s.Version.Replica.Valid() || s.Version.Tick == 0 || s.Version.Tick > MaxTick:
		return bad("it has no version")
	case !s.Vector.Contains(s.Version):
		return bad("its vector does not contain its version %s", s.Version)
	case s.Origin.Tick == 0 || !s.Vector.Contains(s.Origin):
		return bad("its vector does not contain its origin %s", s.Origin)
	case !s.Author.Valid():
		return bad("its author %.40q is no replica", s.Author)
	case s.Deleted != (s.Hash == Hash{}):
		return bad("a deleted copy has no content hash and every other copy has one")
	}
	return nil
}
