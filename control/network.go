package control

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// Network is this node and the whole tree below it, as far as it was reported. Times are milliseconds since 1970 UTC by this node's clock,
// whatever the clocks below say; durations are milliseconds.
type Network struct {
	Time        int64          `json:"time"`
	SilentAfter int64          `json:"silentAfter"` // 0: never
	Nodes       int            `json:"nodes"`       // below this one
	Silent      []SilentNode   `json:"silent,omitempty"`
	Self        NetworkNode    `json:"self"`
	Troubles    map[string]int `json:"troubles,omitempty"` // nodes below this one that have a trouble, by its code
}

// SilentNode is a node below this one of which nothing was heard for too long, and whose way up speaks.
type SilentNode struct {
	Name        string   `json:"name"`
	Path        []string `json:"path"`                  // the names of the nodes between this one and it, from the top
	LastContact int64    `json:"lastContact,omitempty"` // 0 where it never came
}

// NetworkNode is one node of the tree. What it says of itself is as it was when it last changed; LastContact is when its parent last heard it.
type NetworkNode struct {
	ID          string          `json:"id"` // names it for ever below the same parent
	Name        string          `json:"name"`
	Replica     version.Replica `json:"replica,omitempty"`
	Version     string          `json:"version,omitempty"` // of the program
	LastContact int64           `json:"lastContact,omitempty"`
	Reported    int64           `json:"reported,omitempty"` // when it last said how it stands; 0 where it never did
	Started     int64           `json:"started,omitempty"`
	Every       int64           `json:"every,omitempty"` // how long it may be until it comes again while all is well, by what it says
	BacklogUp   uint64          `json:"backlogUp"`       // changes that wait to go up
	BacklogDown uint64          `json:"backlogDown"`     // changes that wait to come down to it
	Lag         int64           `json:"lag"`             // how long its oldest change has waited to go up
	LagDown     int64           `json:"lagDown"`         // how long the oldest change has waited to come down to it
	Parked      int64           `json:"parked"`
	Held        int64           `json:"held"`
	Conflicts   int64           `json:"conflicts"`           // open ones
	ClockSkew   *int64          `json:"clockSkew,omitempty"` // how far its clock is ahead of its parent's; nil where it is not known
	DiskFree    *uint64         `json:"diskFree,omitempty"`  // bytes; nil where it is not known
	Troubles    []Trouble       `json:"troubles,omitempty"`  // the worst first
	Children    []NetworkNode   `json:"children"`            // those with the most trouble first

	step int64 // how much later it has to hear a node below it to tell it upward again
}

// Trouble is something about a node that a person should look at: what it is, and its number.
type Trouble struct {
	Code string `json:"code"`
	N    int64  `json:"n"`
}

// The codes of troubles, the worst first.
const (
	TroubleCloned    = "cloned"    // two copies of it run, and both are refused; N: since when
	TroubleSilent    = "silent"    // N: its last contact, 0 where it never came
	TroubleDisk      = "disk"      // N: bytes free
	TroubleConflicts = "conflicts" // N: how many wait for a person
	TroubleParked    = "parked"    // N: how many changes could not be taken over
	TroubleClock     = "clock"     // N: milliseconds that its clock is ahead
	TroubleBehind    = "behind"    // N: how long the oldest change waits, either way
	TroubleUnknown   = "unknown"   // its parent speaks, it has never said how it stands; N: 0
)

// What counts as trouble.
const (
	clockTrouble  = int64(2 * time.Minute / time.Millisecond)
	behindTrouble = int64(time.Hour / time.Millisecond)
)

// notedWithin is how long it takes until an exchange is noted that is under way, in milliseconds: it is noted once a minute, and takes its time.
const notedWithin = int64(2 * time.Minute / time.Millisecond)

// rank says how bad a trouble is; more is worse.
func (t Trouble) rank() int {
	better := []string{TroubleUnknown, TroubleBehind, TroubleClock, TroubleParked, TroubleConflicts, TroubleDisk, TroubleSilent, TroubleCloned}
	return slices.Index(better, t.Code) + 1
}

// Silent reports whether nothing was heard of the node for too long.
func (n NetworkNode) Silent() bool {
	return slices.ContainsFunc(n.Troubles, func(t Trouble) bool { return t.Code == TroubleSilent })
}

// SilentAfter returns after how long without a word a node below this one is silent, in milliseconds; 0 for never.
func (c *Control) SilentAfter() int64 { return c.cfg.Network.SilentAfter.Std().Milliseconds() }

// Network returns this node and the tree below it.
func (c *Control) Network(ctx context.Context) (Network, error) {
	out := Network{Time: c.now(), SilentAfter: c.SilentAfter(), Troubles: map[string]int{}}
	var err error
	if out.Self, err = c.tree(ctx); err != nil {
		return Network{}, err
	}
	out.judge(&out.Self, nil, true, 0)
	return out, nil
}

// maxDepth is how deep a tree is shown: a loop of reports would have no end.
const maxDepth = 20

// tree returns this node with those below it.
func (c *Control) tree(ctx context.Context) (NetworkNode, error) {
	stand, err := c.Stand(ctx, nil)
	if err != nil {
		return NetworkNode{}, err
	}
	self := nodeOf(store.Below{Stand: stand, Contact: c.now(), Reported: c.now(), Started: c.deps.StartedAt.UnixMilli()})
	children, err := c.Children(ctx)
	if err != nil {
		return self, err
	}
	rows, err := c.eng.Store().Below(ctx)
	if err != nil {
		return self, err
	}
	byParent, direct := map[string][]store.Below{}, map[string]store.Below{}
	for _, b := range rows {
		if b.ID == b.Child {
			direct[b.ID] = b
			continue
		}
		byParent[b.Child+"/"+b.Parent] = append(byParent[b.Child+"/"+b.Parent], b)
	}
	var below func(child, id string, depth int) []NetworkNode
	below = func(child, id string, depth int) []NetworkNode {
		var out []NetworkNode
		for _, b := range byParent[child+"/"+id] {
			n := nodeOf(b)
			if depth < maxDepth {
				n.Children = below(child, b.ID, depth+1)
			}
			out = append(out, n)
		}
		return out
	}
	err = c.eng.Store().Read(ctx, func(r *store.Reader) error {
		self.Children = nil
		for _, k := range children {
			n := nodeOf(direct[k.ID])
			n.ID, n.Name, n.LastContact, n.BacklogDown = k.ID, k.Name, k.LastSeen, k.Lag
			if k.Replica != "" {
				n.Replica = k.Replica
			}
			if k.Cloned != 0 {
				n.Troubles = append(n.Troubles, Trouble{TroubleCloned, k.Cloned})
			}
			if k.Lag > 0 {
				at, err := r.CommittedAfter(k.Seq)
				if err != nil {
					return err
				}
				n.LagDown = max(0, c.now()-at)
			}
			n.Children = below(k.ID, k.ID, 1)
			self.Children = append(self.Children, n)
		}
		return nil
	})
	newest := map[version.Replica]int64{}
	self.eachBelow(func(n *NetworkNode) { newest[n.Replica] = max(newest[n.Replica], n.LastContact) })
	self.leaveOut(func(n NetworkNode) bool { return n.Replica != "" && newest[n.Replica]-n.LastContact > movedAfter })
	return self, err
}

// movedAfter is how much later a node has to be heard elsewhere to count as moved, in milliseconds. One that is still heard where it was is there,
// whatever another child says of it.
const movedAfter = 30 * 60_000

func nodeOf(b store.Below) NetworkNode {
	s := b.Stand
	n := NetworkNode{
		ID: b.ID, Name: s.Name, Version: s.Version, LastContact: b.Contact, Reported: b.Reported, Started: b.Started, BacklogUp: s.Up, BacklogDown: s.Down,
		Lag: s.Lag, Parked: s.Parked, Held: s.Held, Conflicts: s.Conflicts, ClockSkew: s.Skew, DiskFree: s.Disk,
		Every: s.Every, step: cmp.Or(s.Step, usualStep),
	}
	if len(s.Replicas) > 0 {
		n.Replica = s.Replicas[0]
	}
	return n
}

func (n *NetworkNode) eachBelow(do func(*NetworkNode)) {
	for i := range n.Children {
		do(&n.Children[i])
		n.Children[i].eachBelow(do)
	}
}

// leaveOut takes nodes out of the tree, with what is below them.
func (n *NetworkNode) leaveOut(out func(NetworkNode) bool) {
	n.Children = slices.DeleteFunc(n.Children, out)
	for i := range n.Children {
		n.Children[i].leaveOut(out)
	}
}

// judge notes what is wrong with a node and with those below it, and puts the worst first. heard says that its way up speaks: what is below
// a silent node is not known, and is not silent itself. late is how old a word of it may be when it arrives, in milliseconds.
func (w *Network) judge(n *NetworkNode, path []string, heard bool, late int64) {
	add := func(code string, number int64, is bool) {
		if is {
			n.Troubles = append(n.Troubles, Trouble{code, number})
		}
	}
	below := len(path) > 0
	late += n.Every + notedWithin
	silent := below && heard && w.SilentAfter > 0 && w.Time-n.LastContact >= max(w.SilentAfter, late)
	add(TroubleSilent, n.LastContact, silent)
	add(TroubleDisk, int64(deref(n.DiskFree)), n.DiskFree != nil && *n.DiskFree < diskFail)
	add(TroubleConflicts, n.Conflicts, n.Conflicts > 0)
	add(TroubleParked, n.Parked, n.Parked > 0)
	add(TroubleClock, deref(n.ClockSkew), n.ClockSkew != nil && max(*n.ClockSkew, -*n.ClockSkew) >= clockTrouble)
	lag := max(n.Lag, n.LagDown)
	add(TroubleBehind, lag, lag >= behindTrouble)
	add(TroubleUnknown, 0, below && heard && !silent && n.Reported == 0)
	slices.SortStableFunc(n.Troubles, func(a, b Trouble) int { return b.rank() - a.rank() })
	if silent {
		w.Silent = append(w.Silent, SilentNode{Name: n.Name, Path: path[1:], LastContact: n.LastContact})
	}
	if below {
		w.Nodes++
		for _, t := range n.Troubles {
			w.Troubles[t.Code]++
		}
	}
	late += n.step
	if !below {
		late = 0 // this node hears those below it by itself
	}
	path = append(path[:len(path):len(path)], n.Name)
	for i := range n.Children {
		w.judge(&n.Children[i], path, heard && !silent, late)
	}
	slices.SortStableFunc(n.Children, func(a, b NetworkNode) int {
		return cmp.Or(b.worst()-a.worst(), cmp.Compare(a.LastContact, b.LastContact), strings.Compare(a.Name, b.Name))
	})
	n.Children = orEmpty(n.Children)
}

// worst returns the rank of the worst trouble in the tree of a node, 0 where there is none.
func (n NetworkNode) worst() (out int) {
	for _, t := range n.Troubles {
		out = max(out, t.rank())
	}
	for _, k := range n.Children {
		out = max(out, k.worst())
	}
	return out
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// words says what is wrong, in a few words.
func (t Trouble) words(now int64) string {
	switch t.Code {
	case TroubleCloned:
		return "runs twice"
	case TroubleSilent:
		if t.N == 0 {
			return "never came"
		}
		return "silent for " + Span(time.Duration(now-t.N)*time.Millisecond)
	case TroubleDisk:
		return strconv.FormatInt(t.N>>20, 10) + " MB free"
	case TroubleConflicts:
		return plural(t.N, "conflict", "conflicts")
	case TroubleParked:
		return plural(t.N, "parked change", "parked changes")
	case TroubleClock:
		if t.N < 0 {
			return "clock " + Span(time.Duration(-t.N)*time.Millisecond) + " behind"
		}
		return "clock " + Span(time.Duration(t.N)*time.Millisecond) + " ahead"
	case TroubleBehind:
		return Span(time.Duration(t.N)*time.Millisecond) + " behind"
	}
	return "has not said how it stands"
}

// Words says what is wrong with the node in English, empty where nothing is.
func (n NetworkNode) Words(now int64) string {
	var out []string
	for _, t := range n.Troubles {
		out = append(out, t.words(now))
	}
	return strings.Join(out, ", ")
}

// sentence says that a node is silent.
func (s SilentNode) sentence(now int64) Sentence {
	name := strings.Join(append(s.Path[:len(s.Path):len(s.Path)], s.Name), " / ")
	out := Sentence{Code: "silent", Words: map[string]string{"node": name}, Times: map[string]int64{"at": s.LastContact}}
	if s.LastContact == 0 {
		out.Code, out.Times, out.Text = "silent_never", nil, "Node "+name+" has never come."
		return out
	}
	out.Text = "Node " + name + " is silent: nothing was heard of it for " + Span(time.Duration(now-s.LastContact)*time.Millisecond) + "."
	return out
}
