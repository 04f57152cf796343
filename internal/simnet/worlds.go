package simnet

import (
	"fmt"
	"slices"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
)

// holds: a node holds its parent's copy, hears of another change to its own, and is then told not to push the type any more.
func (s *stage) holds() {
	s.chain()
	top, mid, low := s.n.nodes[0], s.n.nodes[1], s.n.nodes[2]
	k := observation(0)
	if s.maybe() {
		s.write(mid, k)
		s.meet()
	} else {
		s.write(mid, k)
		s.pull(low)
	}
	s.write(mid, k)
	s.write(top, k)
	s.pull(low)
	s.pull(mid) // holds the top's
	if s.maybe() {
		s.write(low, k)
		s.push(low)
	}
	if s.maybe() {
		s.write(mid, k)
	}
	s.goes(mid, k.Type, down)
	if s.maybe() {
		s.pull(mid)
	}
}

// lostRival: what a node holds of its parent's is what the parent has lost meanwhile.
func (s *stage) lostRival() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	k := patient(0)
	if s.maybe() {
		s.write(top, k)
		s.meet()
	}
	s.backUp(top)
	s.write(top, k)
	if s.maybe() {
		s.write(top, patient(1))
	}
	s.write(low, k)
	s.pull(low) // holds it
	s.restore(top, false)
	if s.maybe() {
		s.write(top, patient(2))
	}
	if s.maybe() {
		s.pull(low)
	}
}

// wholeMachine: a machine is put back with its nonce; some of what it has not noted to be pushed its parent has taken.
func (s *stage) wholeMachine() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	s.write(low, patient(9))
	s.meet()
	s.write(low, patient(0))
	s.backUp(low)
	s.write(low, patient(1))
	if s.maybe() {
		s.write(low, patient(0))
	}
	s.push(low)
	if s.maybe() {
		s.write(top, patient(0))
	}
	s.restore(low, true)
	for i := range s.r.IntN(4) { // nobody waits
		s.write(low, patient(i+1))
	}
}

// closedScope: a type is not read for a while, in which a resource of it is deleted and everybody else has heard of that.
func (s *stage) closedScope() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	k := observation(0)
	s.write(top, k)
	s.meet()
	s.goes(low, k.Type, none)
	if s.maybe() {
		s.write(low, k)
	}
	s.remove(top, k)
	s.write(top, patient(0))
	s.pull(low)
	s.wait(time.Hour)
	s.write(top, patient(1))
	s.pull(low)
	s.pull(low)
	s.wait(time.Hour)
	s.tidy(top)
	s.goes(low, k.Type, both)
}

// latePush: a pushed batch arrives again when what it brings has been deleted and the deletion has been forgotten.
func (s *stage) latePush() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	s.meet()
	s.pushes(low, fateLate)
	s.write(low, patient(0))
	s.push(low)
	low.fate = nil
	s.remove([]*Node{top, low}[s.r.IntN(2)], patient(0))
	if s.maybe() {
		s.write(top, patient(1))
	}
	s.meet()
}

// pinned: a tombstone that everybody has read is one side of a conflict that waits for a person; who wrote the other side sends it no more.
func (s *stage) pinned() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	k := patient(0)
	s.write(top, k)
	s.meet()
	s.remove(top, k)
	s.write(low, k)
	s.push(low)
	if s.maybe() {
		s.pull(low)
	}
	s.goes(low, k.Type, down)
	s.pull(low)
	s.wait(time.Hour)
	s.write(top, patient(1))
	s.pull(low)
	s.pull(low)
	s.wait(time.Hour)
	s.tidy(top)
}

// equalCopies: a node's copy grows by an equal one from below and, at its parent, by an equal one from beside.
func (s *stage) equalCopies() {
	n := s.n.nodes
	s.hang(n[1], n[0])
	s.hang(n[2], n[1])
	s.hang(n[3], n[0])
	k := patient(0)
	for range 3 {
		s.write(n[0], patient(1)) // a higher tick than those of the others: this copy stands
	}
	for _, i := range s.r.Perm(4) {
		if i != 1 {
			s.content(n[i], 7, "", k)
		}
	}
	s.pull(n[1])
	steps := []func(){func() { s.push(n[2]) }, func() { s.push(n[3]) }}
	for _, i := range s.r.Perm(2) {
		steps[i]()
	}
	if s.maybe() {
		s.pull(n[1])
	}
}

// parkedBefore: a parked copy is taken when its parent has lost it.
func (s *stage) parkedBefore() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	s.limit(low, small)
	s.limit(top, 0)
	s.write(top, patient(1))
	s.meet()
	s.backUp(top)
	s.large(top, patient(0))
	s.pull(low) // parks it
	s.restore(top, false)
	if s.maybe() {
		s.write(top, patient(2))
	}
	s.pull(low) // finds that the log is another one
	s.push(low) // what the parent lacks of what is here
	s.limit(low, 0)
	s.wait(25 * time.Hour)
	s.pull(low)
}

// waitedBefore: a copy that waited for what it refers to is taken when its parent has lost it.
func (s *stage) waitedBefore() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	s.waits(top, config.AcceptReferences)
	s.waits(low, config.HoldReferences)
	s.write(top, patient(1))
	s.meet()
	s.backUp(top)
	s.refers(top, observation(0), patient(0))
	s.pull(low) // parks it
	s.restore(top, false)
	if s.maybe() {
		s.write(top, patient(2))
	}
	s.pull(low)
	s.push(low)
	s.write(top, patient(0))
	s.pull(low)
}

// transactions: some are read when a member has been written again, and some end behind the end of a page.
func (s *stage) transactions() {
	next := 0
	for range 4 + s.r.IntN(12) {
		x := s.n.nodes[s.r.IntN(len(s.n.nodes))]
		var keys []fhir.Key
		for range 1 + s.r.IntN(4) {
			keys = append(keys, patient(next))
			next++
		}
		s.write(x, keys...)
		if s.maybe() {
			s.write(x, keys[0])
		}
	}
	for range 3 {
		x := s.n.nodes[s.r.IntN(len(s.n.nodes))]
		s.pull(x)
		s.push(x)
	}
}

// parentBack: a machine with several peers is put back whole, at the top or between its parent and its children. All of them remember more of it
// than the copy has, and come in any order.
func (s *stage) parentBack() {
	n := s.n.nodes
	x, peers := n[0], slices.Clone(n[1:])
	if s.maybe() {
		x, peers[0] = n[1], n[0]
	}
	for _, o := range n[1:] {
		if o == x {
			s.hang(o, n[0])
		} else {
			s.hang(o, x)
		}
	}
	meets := func(o *Node) {
		if o == x.parent {
			o = x
		}
		if s.maybe() {
			s.push(o)
			s.pull(o)
		} else {
			s.pull(o)
			s.push(o)
		}
	}
	some := func() {
		for range s.r.IntN(4) {
			s.write(n[s.r.IntN(len(n))], patient(s.r.IntN(3)))
			meets(peers[s.r.IntN(len(peers))])
		}
	}
	s.write(x, patient(0))
	s.meet()
	some()
	s.backUp(x)
	for range 1 + s.r.IntN(2) {
		s.write(x, patient(s.r.IntN(3)))
	}
	for _, i := range s.r.Perm(len(peers)) {
		meets(peers[i])
	}
	some()
	s.restore(x, true)
	for range s.r.IntN(4) {
		s.write(x, patient(s.r.IntN(3)))
	}
	s.write(n[s.r.IntN(len(n))], patient(s.r.IntN(3)))
	for range 4 {
		meets(peers[s.r.IntN(len(peers))])
	}
}

// databaseBack: the database of a parent is put back, and who comes first is a child that remembers no more than the copy has: its nonce alone tells.
func (s *stage) databaseBack() {
	top, first, second := s.n.nodes[0], s.n.nodes[1], s.n.nodes[2]
	s.hang(first, top)
	s.hang(second, top)
	s.write(top, patient(9))
	s.meet()
	s.backUp(top)
	for range 1 + s.r.IntN(2) {
		s.write(top, patient(s.r.IntN(3)))
	}
	s.pull(first)
	s.restore(top, false)
	for range 1 + s.r.IntN(2) {
		s.write(top, patient(s.r.IntN(3)))
	}
	s.pull(second)
	s.pull(first)
}

// returned: a node hears from another parent what its own one does not know, comes back without having told anybody anything, and then stands
// between that one and its author.
func (s *stage) returned() {
	top, author, low := s.n.nodes[0], s.n.nodes[1], s.n.nodes[2]
	s.hang(author, top)
	s.hang(low, top)
	s.write(low, patient(9))
	s.meet()
	for range 1 + s.r.IntN(3) {
		s.write(author, patient(s.r.IntN(3)))
	}
	s.hang(low, author)
	s.pull(low)
	if s.maybe() {
		s.write(author, observation(0))
		s.pull(low)
	}
	s.hang(low, top)
	if s.maybe() {
		s.pull(low)
	}
	s.hang(author, low)
}

// confirmed: a node goes on from what its parent has confirmed before it hears of the parent's equal copy from above.
func (s *stage) confirmed() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	for range 1 + s.r.IntN(3) {
		s.write(top, patient(1)) // the higher tick: the top's copy stands
	}
	s.content(top, 7, "", patient(0))
	if s.maybe() {
		s.write(low, observation(0))
	}
	s.content(low, 7, "", patient(0))
	s.push(low)
	s.write(low, patient(0))
	if s.maybe() {
		s.push(low)
	}
}

// copied: two copies of a machine come to their parent in turn, and both write.
func (s *stage) copied() {
	low := s.n.nodes[1]
	s.write(low, patient(0))
	s.meet()
	s.do(func() error { return low.copyMachine(s.ctx) })
	if low.twin == nil {
		return
	}
	both := []*Node{low, low.twin}
	for _, i := range s.r.Perm(2) { // from here on both know who their parent is
		s.push(both[i])
		s.pull(both[i])
	}
	for i, times := s.r.IntN(2), 1+s.r.IntN(5); times > 0; i, times = 1-i, times-1 {
		s.write(both[i], patient(s.r.IntN(3)))
		s.push(both[i])
		if s.maybe() {
			s.pull(both[i])
		}
	}
}

// rivals: both ends of a link write, and the lower one hears of the upper one's before and after it is asked; some answers are lost.
func (s *stage) rivals() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	k := patient(0)
	for range 1 + s.r.IntN(3) {
		s.write(low, k)
	}
	s.write(top, k)
	s.pull(low) // holds
	if s.maybe() {
		s.pushes(low, fateUnanswered)
	}
	s.push(low)
	low.fate = nil
	s.pull(low)
	if s.maybe() {
		s.write(low, k)
	}
}

// unsentDeletion: what is deleted while its type is not pushed is passed by the push of other types, and is old when its type is pushed again.
func (s *stage) unsentDeletion() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	k := observation(0)
	s.write([]*Node{top, low}[s.r.IntN(2)], k)
	s.meet()
	s.goes(low, k.Type, down)
	s.remove(low, k)
	s.write(low, patient(0))
	s.push(low)
	s.wait(time.Hour)
	if s.maybe() {
		s.write(low, patient(1))
		s.push(low)
	}
	s.goes(low, k.Type, both)
	s.tidy(low)
}

// collectedBack: of the log of a machine rows were collected that everybody has; it is put back whole, and has written as much as it lost when
// it meets its parent.
func (s *stage) collectedBack() {
	top, low := s.n.nodes[0], s.n.nodes[1]
	for range 2 + s.r.IntN(3) {
		s.write(low, patient(0))
	}
	s.meet()
	s.wait(time.Hour)
	s.tidy(low)
	s.backUp(low)
	lost := 1 + s.r.IntN(3)
	for range lost {
		s.write(low, patient(s.r.IntN(3)))
	}
	s.push(low)
	if s.maybe() {
		s.write(top, patient(s.r.IntN(3)))
	}
	s.restore(low, true)
	for range lost + s.r.IntN(2) {
		s.write(low, patient(s.r.IntN(3)))
	}
}

// arbiters: a conflict is decided by the upper end of a link, never by the lower one.
func arbiters(n *Net, views []view) []error {
	var wrong []error
	for i, x := range n.nodes {
		for _, c := range views[i].conflicts {
			if x.parent != nil {
				wrong = append(wrong, fmt.Errorf("%s decided between %s and %s of %s, which its parent decides (core-review rule 4)",
					x.name, c.Local.Version, c.Incoming.Version, c.Key))
			}
		}
	}
	return wrong
}

// noConflict: nobody has anything to decide.
func noConflict(n *Net, views []view) []error {
	var wrong []error
	for i, v := range views {
		for _, c := range v.conflicts {
			wrong = append(wrong, fmt.Errorf("%s: %s and %s of %s are in conflict, and who wrote one had been told that its parent has seen all of the other",
				n.nodes[i].name, c.Local.Version, c.Incoming.Version, c.Key))
		}
	}
	return wrong
}
