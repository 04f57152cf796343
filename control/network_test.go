package control

import (
	"slices"
	"testing"
)

func TestTroubleOfATree(t *testing.T) {
	now := int64(100 * 3600_000)
	skew, free := int64(-600_000), uint64(50<<20)
	w := Network{Time: now, SilentAfter: 24 * 3600_000, Troubles: map[string]int{}}
	self := NetworkNode{Name: "nation", Conflicts: 1, Children: []NetworkNode{
		{Name: "calm", LastContact: now, Reported: now},
		{Name: "north", LastContact: now - 1000, Reported: now, Children: []NetworkNode{
			{Name: "a", LastContact: now - 25*3600_000, Reported: 1, Children: []NetworkNode{{Name: "below a", LastContact: 5, Reported: 5}}},
			{Name: "b", LastContact: now, Reported: now, Parked: 2, ClockSkew: &skew, DiskFree: &free},
		}},
		{Name: "new", LastContact: now},
	}}
	w.judge(&self, nil, true, 0)
	var order []string
	for _, k := range self.Children {
		order = append(order, k.Name)
	}
	if want := []string{"north", "new", "calm"}; !slices.Equal(order, want) {
		t.Errorf("children in the order %v, want %v", order, want)
	}
	if len(w.Silent) != 1 || w.Silent[0].Name != "a" || !slices.Equal(w.Silent[0].Path, []string{"north"}) {
		t.Errorf("silent: %+v; what is below a silent node is not known to be silent itself", w.Silent)
	}
	if got, want := w.Silent[0].sentence(now).Text, "Node north / a is silent: nothing was heard of it for 25 h."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b := self.Children[0].Children[1]
	if got, want := b.Words(now), "50 MB free, 2 parked changes, clock 10 min behind"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if w.Nodes != 6 || w.Troubles[TroubleConflicts] != 0 || w.Troubles[TroubleParked] != 1 || w.Troubles[TroubleUnknown] != 1 {
		t.Errorf("%d nodes, troubles %v; those of this node itself do not count", w.Nodes, w.Troubles)
	}
}

// A node is silent when nothing was heard of it for as long as is configured, and never before a word of it could have come up while all is well.
func TestSilentNotBeforeAWordCouldCome(t *testing.T) {
	const minute = int64(60_000)
	tests := []struct {
		name                          string
		configured, every, step, last int64 // in minutes
		depth                         int
		want                          bool
	}{
		{name: "as configured", configured: 10, last: 10, depth: 1, want: true},
		{name: "before", configured: 10, last: 9, depth: 1},
		{name: "switched off", last: 10_000, depth: 1},
		{name: "it comes seldom", configured: 10, every: 60, last: 61, depth: 1},
		{name: "it comes seldom and is late", configured: 10, every: 60, last: 62, depth: 1, want: true},
		{name: "one below tells seldom", configured: 10, step: 30, last: 33, depth: 2},
		{name: "one below tells seldom and is late", configured: 10, step: 30, last: 34, depth: 2, want: true},
		{name: "all on the way come seldom", configured: 10, every: 60, step: 10, last: 205, depth: 3},
		{name: "all on the way come seldom and it is late", configured: 10, every: 60, step: 10, last: 206, depth: 3, want: true},
	}
	for _, tt := range tests {
		now := 10_000 * minute
		n := NetworkNode{Name: "last", LastContact: now - tt.last*minute, Every: tt.every * minute, Reported: 1}
		for range tt.depth - 1 {
			n = NetworkNode{Name: "between", LastContact: now, Every: tt.every * minute, step: tt.step * minute, Reported: 1, Children: []NetworkNode{n}}
		}
		w := Network{Time: now, SilentAfter: tt.configured * minute, Troubles: map[string]int{}}
		w.judge(&NetworkNode{Name: "top", Every: 600 * minute, step: 600 * minute, Children: []NetworkNode{n}}, nil, true, 0)
		if got := len(w.Silent) > 0; got != tt.want {
			t.Errorf("%s: silent is %v, want %v", tt.name, got, tt.want)
		}
	}
}
