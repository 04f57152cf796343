package carry

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tributary-sync/tributary/store"
)

func marks(chain string, ids string, from int) (out []string) {
	for i, id := range ids {
		out = append(out, mark{chain, uint64(from + i), fmt.Sprintf("%c0000000", id)}.String())
	}
	return out
}

// Two bundles of one number and one chain are of two lives, wherever in the two trails they stand; bundles of another chain, and those that only
// one side knows, say nothing.
func TestForked(t *testing.T) {
	const one, two = "aaaaaaaa", "bbbbbbbb"
	for _, c := range []struct {
		name             string
		remembered, told []string
		want             uint64 // the number of which there are two, 0 for none
	}{
		{"nothing is remembered", nil, marks(one, "abc", 1), 0},
		{"nothing is told", marks(one, "abc", 1), nil, 0},
		{"the same", marks(one, "abc", 1), marks(one, "abc", 1), 0},
		{"it went on", marks(one, "abc", 1), marks(one, "bcd", 2), 0},
		{"a late one", marks(one, "bcd", 2), marks(one, "ab", 1), 0},
		{"another last one", marks(one, "abc", 1), marks(one, "abx", 1), 3},
		{"another one in the middle, the last is new", marks(one, "abc", 1), marks(one, "bxy", 2), 3},
		{"a late one of the other life", marks(one, "bcd", 2), marks(one, "ax", 1), 2},
		{"the log is a new one", marks(one, "abc", 1), marks(two, "abx", 1), 0},
		{"a gap between them", marks(one, "abc", 1), marks(one, "xy", 4), 0},
	} {
		m, ok := forked(c.remembered, c.told)
		if ok != (c.want > 0) || m.serial != c.want {
			t.Errorf("%s: bundle %d, %v; want %d", c.name, m.serial, ok, c.want)
		}
	}
}

// What a peer has of this node that this node did not write was written by another life of it.
func TestUnknownBundles(t *testing.T) {
	const now, before = "aaaaaaaa", "bbbbbbbb"
	p := store.CarryPeer{Out: 3, State: store.CarryState{Wrote: marks(now, "abc", 1)}}
	for _, c := range []struct {
		name string
		has  []string
		want uint64
	}{
		{"nothing", nil, 0},
		{"some of it", marks(now, "ab", 1), 0},
		{"more than was written", marks(now, "abcd", 1), 4},
		{"another last one", marks(now, "abx", 1), 3},
		{"of a log before", marks(before, "abxyz", 1), 0},
	} {
		m, ok := unknown(now, p, c.has)
		if ok != (c.want > 0) || m.serial != c.want {
			t.Errorf("%s: bundle %d, %v; want %d", c.name, m.serial, ok, c.want)
		}
	}
}

// A trail has no mark twice and at most so many; of another log than the present one a writer tells nothing.
func TestTrails(t *testing.T) {
	var all []string
	for i := range 3 * maxTrail {
		all = follow(all, []string{mark{"aaaaaaaa", uint64(i), "00000000"}.String(), mark{"aaaaaaaa", uint64(i), "00000000"}.String()})
	}
	if last, err := readMark(all[len(all)-1]); len(all) != maxTrail || err != nil || last.serial != 3*maxTrail-1 {
		t.Errorf("%d marks, the last is %v, %v", len(all), last, err)
	}
	got := wrote(all, mark{"bbbbbbbb", 7, "00000000"})
	if !slices.Equal(got, []string{"bbbbbbbb.7.00000000"}) {
		t.Errorf("a new log begins with %v", got)
	}
	for _, bad := range []string{"", "x", "aaaaaaaa.1", "aaaaaaaa.01.00000000", "aaaaaaaa.-1.00000000", "aaaaaaaa.1.0000000", "aaaaaaa.1.00000000", "aaaaaaaa.1.00000000.2", "aaaaaaaa.99999999999999999999.00000000"} {
		if m, err := readMark(bad); err == nil {
			t.Errorf("%q is read as %v", bad, m)
		}
	}
}
