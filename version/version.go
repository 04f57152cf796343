// Package version owns the algebra by which copies are compared: replicas, versions, vectors and stamps. It is pure: no
// clock, no I/O. It keeps one internal form, inclusive ticks; other conventions enter through named constructors.
package version

import (
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// Replica is the identity of a node's data, a UUID in its 36-character lower-case form. It is replaced after a restore.
type Replica string

// Valid reports whether the replica has the form of a lower-case UUID (RFC 9562 section 4).
func (r Replica) Valid() bool {
	if len(r) != 36 {
		return false
	}
	for i := 0; i < len(r); i++ {
		c := r[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// MaxTick bounds ticks so that they fit a signed 64-bit SQL column.
const MaxTick = 1<<63 - 1

// Version names one change for ever, on every node: the Tick-th change of a type by Replica. Ticks start at 1.
type Version struct {
	Replica Replica
	Tick    uint64
}

// IsZero reports whether v names nothing.
func (v Version) IsZero() bool { return v.Tick == 0 && v.Replica == "" }

// String returns "tick-replica", which is also FHIR's meta.versionId.
func (v Version) String() string {
	if v.IsZero() {
		return ""
	}
	return strconv.FormatUint(v.Tick, 10) + "-" + string(v.Replica)
}

// Parse reads what String writes. It returns an Invalid error for anything else.
func Parse(s string) (Version, error) {
	tick, replica, ok := strings.Cut(s, "-")
	n, err := strconv.ParseUint(tick, 10, 63)
	if !ok || err != nil || n == 0 || tick[0] == '0' || tick[0] == '+' || !Replica(replica).Valid() {
		return Version{}, syncerr.New(syncerr.Invalid, "read version", "%.80q is not tick-replica", s)
	}
	return Version{Replica: Replica(replica), Tick: n}, nil
}

// MarshalText writes String's form; the zero version is empty.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads Parse's form; empty is the zero version.
func (v *Version) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*v = Version{}
		return nil
	}
	p, err := Parse(string(b))
	if err != nil {
		return err
	}
	*v = p
	return nil
}

// Compare orders versions by tick, then replica: the total order that settles ties between equal copies (DESIGN.md 4.1).
func (v Version) Compare(o Version) int {
	switch {
	case v.Tick < o.Tick:
		return -1
	case v.Tick > o.Tick:
		return 1
	}
	return strings.Compare(string(v.Replica), string(o.Replica))
}
