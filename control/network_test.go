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
	w.judge(&self, nil, true)
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
