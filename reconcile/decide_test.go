package reconcile_test

import (
	"testing"

	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/version"
)

const (
	ra = version.Replica("a0000000-0000-4000-8000-000000000001")
	rb = version.Replica("b0000000-0000-4000-8000-000000000002")
	rc = version.Replica("c0000000-0000-4000-8000-000000000003")
	rd = version.Replica("d0000000-0000-4000-8000-000000000004")
)

func at(r version.Replica, tick uint64) version.Version {
	return version.Version{Replica: r, Tick: tick}
}

// deletion as content makes a deleted copy.
const deletion = 0

// stamp returns a copy whose content is named by one byte; it has seen its version, its origin and the rest.
func stamp(v, origin version.Version, content byte, seen ...version.Version) version.Stamp {
	s := version.Stamp{Version: v, Author: origin.Replica, Origin: origin, Deleted: content == deletion}
	if !s.Deleted {
		s.Hash[0] = content
	}
	s.Vector = s.Vector.With(v).With(origin)
	for _, w := range seen {
		s.Vector = s.Vector.With(w)
	}
	return s
}

// write returns a copy that its own version wrote.
func write(v version.Version, content byte, seen ...version.Version) version.Stamp {
	return stamp(v, v, content, seen...)
}

func requireValid(t testing.TB, stamps ...version.Stamp) {
	t.Helper()
	for _, s := range stamps {
		if err := s.Validate(); err != nil && !s.IsZero() {
			t.Fatalf("the test compares a stamp that no node makes: %v", err)
		}
	}
}

func TestDecide(t *testing.T) {
	a1, a2, a3, b1, b2, b3, b4, c1, c2, d1 := at(ra, 1), at(ra, 2), at(ra, 3), at(rb, 1), at(rb, 2), at(rb, 3), at(rb, 4), at(rc, 1), at(rc, 2), at(rd, 1)
	tests := []struct {
		name            string
		local, incoming version.Stamp
		want, swapped   reconcile.Verdict
	}{
		{"0 no local copy", version.Stamp{}, write(b1, 1), reconcile.Apply, reconcile.Superseded},
		{"0 no local copy, incoming deletion", version.Stamp{}, write(b1, deletion), reconcile.Apply, reconcile.Superseded},
		{"1 same version", write(a1, 1), write(a1, 1), reconcile.Already, reconcile.Already},
		{"1 same version, one has seen more", write(a1, 1), write(a1, 1, b1), reconcile.Already, reconcile.Already},
		{"2 and 3 seen", write(a1, 1), write(b1, 2, a1), reconcile.Apply, reconcile.Superseded},
		{"2 and 3 next tick of one replica", write(a1, 1), write(a2, 2), reconcile.Apply, reconcile.Superseded},
		{"2 and 3 seen by a later tick only", write(a1, 1), write(b1, 2, a3), reconcile.Apply, reconcile.Superseded},
		{"2 and 3 seen and deleted", write(a1, 1), write(b1, deletion, a1), reconcile.Apply, reconcile.Superseded},
		{"2 before 4: seen, equal content", write(a1, 1), write(b1, 1, a1), reconcile.Apply, reconcile.Superseded},
		{"4 equal content", write(a1, 1), write(b1, 1), reconcile.Equal, reconcile.Equal},
		{"4 both deleted", write(a1, deletion), write(b2, deletion), reconcile.Equal, reconcile.Equal},
		{"4 before 5: equal content, origin seen", stamp(a3, b3, 1), write(b4, 1), reconcile.Equal, reconcile.Equal},
		{"5 incoming has seen the local origin", stamp(a2, b1, 1, a1), write(b2, 2), reconcile.IncomingOrigin, reconcile.LocalOrigin},
		{"5 local has seen the incoming origin", write(b2, 2), stamp(a2, b1, 1, a1), reconcile.LocalOrigin, reconcile.IncomingOrigin},
		{"5 both, incoming has the later tick", stamp(a2, b1, 1, c1), stamp(c2, c1, 2, b2), reconcile.IncomingOrigin, reconcile.LocalOrigin},
		{"5 both, nobody has a later tick", stamp(a2, b1, 1, c1), stamp(d1, c1, 2, b1), reconcile.LocalOrigin, reconcile.LocalOrigin},
		{"5 both, each has a later tick", stamp(a2, b1, 1, c2), stamp(d1, c1, 2, b2), reconcile.LocalOrigin, reconcile.LocalOrigin},
		{"6 conflict", write(a1, 1), write(b1, 2), reconcile.Conflict, reconcile.Conflict},
		{"6 edit against deletion", write(a1, 1), write(b1, deletion), reconcile.Conflict, reconcile.Conflict},
		{"6 with a common past", write(a2, 1, c1), write(b2, 2, c1), reconcile.Conflict, reconcile.Conflict},

		// Rule 2, trace 1: B1 won at A as A2. B must take A2, although it has its content, or its hold never ends.
		{"rule 2: the decision comes down", write(b1, 1), stamp(a2, b1, 1, a1), reconcile.Apply, reconcile.Superseded},
		{"rule 2: the rival of before", write(b1, 1), write(a1, 2), reconcile.Conflict, reconcile.Conflict},
		{"rule 2: the next edit of B is no conflict", stamp(a2, b1, 1, a1), write(b2, 3, a2), reconcile.Apply, reconcile.Superseded},
		{"rule 2, trace 2: equal by chance", write(a1, 7), write(b1, 7), reconcile.Equal, reconcile.Equal},

		// Rule 3: A3 is A's decision for B3's content against A2's deletion; B, not having seen A3, deletes what it wrote.
		{"rule 3: before the decision", write(a2, deletion), write(b3, 1), reconcile.Conflict, reconcile.Conflict},
		{"rule 3: the deleter knew the content", stamp(a3, b3, 1, a2), write(b4, deletion), reconcile.IncomingOrigin, reconcile.LocalOrigin},
		{"rule 3: push-only child goes on editing", stamp(a3, b3, 1, a2), write(b4, 2), reconcile.IncomingOrigin, reconcile.LocalOrigin},
		{"rule 3: pull-only child with one edit of its own", stamp(b1, a1, 1, a1), write(a2, 2), reconcile.IncomingOrigin, reconcile.LocalOrigin},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireValid(t, tt.local, tt.incoming)
			if got := reconcile.Decide(tt.local, tt.incoming); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := reconcile.Decide(tt.incoming, tt.local); got != tt.swapped {
				t.Errorf("swapped: got %s, want %s", got, tt.swapped)
			}
		})
	}
}
