package version

import (
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// Vector says which versions a copy has seen: for each replica, every tick up to and including the one given. Entries are
// sorted by replica and unique. The zero value has seen nothing. Vectors are values: no method changes its receiver.
type Vector []Version

// MaxVector bounds the entries that a vector read from outside may have.
const MaxVector = 100_000

func (x Vector) find(r Replica) (int, bool) {
	if len(x) <= 8 {
		for i := range x {
			if x[i].Replica >= r {
				return i, x[i].Replica == r
			}
		}
		return len(x), false
	}
	return slices.BinarySearchFunc(x, r, func(v Version, r Replica) int { return strings.Compare(string(v.Replica), string(r)) })
}

// Tick returns the highest tick of r that the vector has seen, 0 for none.
func (x Vector) Tick(r Replica) uint64 {
	if i, ok := x.find(r); ok {
		return x[i].Tick
	}
	return 0
}

// Contains reports whether the vector has seen v. The zero version is contained in every vector.
func (x Vector) Contains(v Version) bool { return v.Tick <= x.Tick(v.Replica) }

// ContainsAll reports whether the vector has seen all that y has seen.
func (x Vector) ContainsAll(y Vector) bool {
	for _, v := range y {
		if !x.Contains(v) {
			return false
		}
	}
	return true
}

// Equal reports whether both have seen the same.
func (x Vector) Equal(y Vector) bool { return slices.Equal(x, y) }

// With returns the vector that has also seen v and all earlier ticks of its replica.
func (x Vector) With(v Version) Vector {
	if v.Tick == 0 || x.Contains(v) {
		return x
	}
	i, ok := x.find(v.Replica)
	out := make(Vector, 0, len(x)+1)
	out = append(out, x[:i]...)
	out = append(out, v)
	if ok {
		i++
	}
	return append(out, x[i:]...)
}

// Union returns what either has seen: the maximum for each replica. It is associative, commutative and idempotent.
func (x Vector) Union(y Vector) Vector {
	if x.ContainsAll(y) {
		return x
	}
	out := make(Vector, 0, len(x)+len(y))
	i, j := 0, 0
	for i < len(x) && j < len(y) {
		switch c := strings.Compare(string(x[i].Replica), string(y[j].Replica)); {
		case c < 0:
			out = append(out, x[i])
			i++
		case c > 0:
			out = append(out, y[j])
			j++
		default:
			v := x[i]
			if y[j].Tick > v.Tick {
				v = y[j]
			}
			out = append(out, v)
			i++
			j++
		}
	}
	out = append(out, x[i:]...)
	return append(out, y[j:]...)
}

// String returns the versions separated by single blanks, sorted by replica: the form in SQL and on the wire.
func (x Vector) String() string {
	var b strings.Builder
	b.Grow(len(x) * 42)
	for i, v := range x {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(v.String())
	}
	return b.String()
}

// ParseVector reads what String writes. It returns an Invalid error where a version is malformed, out of order or doubled.
func ParseVector(s string) (Vector, error) {
	if s == "" {
		return nil, nil
	}
	n := strings.Count(s, " ") + 1
	if n > MaxVector {
		return nil, syncerr.New(syncerr.Invalid, "read vector", "%d entries, at most %d are allowed", n, MaxVector)
	}
	out := make(Vector, 0, n)
	for part := range strings.SplitSeq(s, " ") {
		v, err := Parse(part)
		if err != nil {
			return nil, err
		}
		if len(out) > 0 && out[len(out)-1].Replica >= v.Replica {
			return nil, syncerr.New(syncerr.Invalid, "read vector", "replica %s is out of order or doubled", v.Replica)
		}
		out = append(out, v)
	}
	return out, nil
}

// MarshalText writes String's form.
func (x Vector) MarshalText() ([]byte, error) { return []byte(x.String()), nil }

// UnmarshalText reads ParseVector's form.
func (x *Vector) UnmarshalText(b []byte) error {
	v, err := ParseVector(string(b))
	if err != nil {
		return err
	}
	*x = v
	return nil
}
