package pull

import (
	"context"
	"slices"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Verify says what is compared with what.
type Verify struct {
	Own      *store.Store
	Parent   func(context.Context, feed.DigestQuery) ([]feed.Part, error)
	Both     func(context.Context, feed.DigestQuery) (here, there []feed.Part, err error) // asks both at once; nil to ask one after the other
	Epoch    string                                                                       // of the parent's log
	Types    []string                                                                     // what is looked at, nil for all that either side has
	Pulls    func(string) bool                                                            // types whose resources come from the parent: what it has must be here
	Pushes   func(string) bool                                                            // types whose resources go to the parent: what is here must be there
	Known    func(key string, v version.Version) bool                                     // which copies that only the parent has matter; nil for all
	Limit    int                                                                          // the comparison ends when that many keys differ, 0 for all of them
	Progress func(done, total int64)                                                      // copies compared so far, and how many there are; nil where nobody watches
}

// Comparison is what Verify.Compare found.
type Comparison struct {
	Types       []TypeCount
	Differences []Difference // by key
	Cut         bool         // the limit was reached: more may differ
}

// TypeCount is how many copies, tombstones among them, both sides have of a type.
type TypeCount struct {
	Type           string
	Pulled, Pushed bool
	Here, There    int64
	Equal          bool // their digests are equal
}

// Difference is one key that both sides have not in the same version. Here and There are nil where that side has no copy.
type Difference struct {
	Key         fhir.Key
	Finding     Finding
	Here, There *feed.Copy
	Fetch       bool     // the parent has what was not seen here and should be
	Send        bool     // this node has what the parent has not seen and should
	Why         []string // what this node's tables say about it, in words
}

// comparison is the state of one Compare.
type comparison struct {
	Verify
	out         Comparison
	keys        []fhir.Key // that differed at the first look
	done, total int64
	typ         string
	pulls       bool
	pushes      bool
}

const (
	rangesAtOnce = 16   // ranges in one question: each may be answered with feed.MaxParts digests
	listAtOnce   = 1000 // own copies read at once where they are held against a list
)

// Compare finds the keys that differ. Digests of ranges are exchanged, from whole types downwards, only where they differ; what
// differs is looked at once more at the end, so that a change that was on its way is not reported.
func (v Verify) Compare(ctx context.Context) (Comparison, error) {
	c := &comparison{Verify: v}
	types := v.Types
	if types == nil {
		types = fhir.Types()
	}
	differ, err := c.types(ctx, slices.DeleteFunc(slices.Clone(types), func(t string) bool { return t != fhir.AnyREST && !v.Pulls(t) && !v.Pushes(t) }))
	if err != nil {
		return c.out, err
	}
	for _, t := range differ {
		c.typ, c.pulls, c.pushes = t, v.Pulls(t), v.Pushes(t)
		if err := c.descend(ctx); err != nil {
			return c.out, err
		}
	}
	slices.SortFunc(c.keys, fhir.Key.Compare)
	c.out.Differences, err = v.Look(ctx, c.keys)
	c.progress(c.total)
	return c.out, err
}

// both asks both sides the same.
func (v Verify) both(ctx context.Context, q feed.DigestQuery) (here, there []feed.Part, err error) {
	if v.Both != nil {
		return v.Both(ctx, q)
	}
	if there, err = v.Parent(ctx, q); err != nil {
		return nil, nil, err
	}
	here, err = v.Own.Digest(ctx, q)
	return here, there, err
}

// types compares whole types and returns those that differ.
func (c *comparison) types(ctx context.Context, wanted []string) ([]string, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	q := feed.DigestQuery{Types: wanted}
	all := c.Verify.Types == nil && len(wanted) == len(fhir.Types())
	if all {
		q.Types = nil // they need not be named, and REST types cannot be
	}
	here, there, err := c.both(ctx, q)
	if err != nil {
		return nil, err
	}
	if all || slices.Contains(wanted, fhir.AnyREST) {
		wanted = append(wanted, c.restTypes(here, there)...)
		slices.Sort(wanted)
		wanted = slices.Compact(wanted)
	}
	var differ []string
	for _, t := range wanted {
		h, p := ofType(here, t), ofType(there, t)
		if h.Count == 0 && p.Count == 0 {
			continue
		}
		equal := h.Count == p.Count && h.Sum == p.Sum
		c.out.Types = append(c.out.Types, TypeCount{Type: t, Pulled: c.Pulls(t), Pushed: c.Pushes(t), Here: h.Count, There: p.Count, Equal: equal})
		c.total += h.Count
		if equal {
			c.progress(h.Count)
		} else {
			differ = append(differ, t)
		}
	}
	return differ, nil
}

// restTypes returns the REST types that either side has and that go some way.
func (c *comparison) restTypes(here, there []feed.Part) []string {
	var out []string
	for _, p := range slices.Concat(here, there) {
		if fhir.IsREST(p.Type) && (c.Pulls(p.Type) || c.Pushes(p.Type)) {
			out = append(out, p.Type)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func ofType(parts []feed.Part, t string) feed.Part {
	if i := slices.IndexFunc(parts, func(p feed.Part) bool { return p.Type == t }); i >= 0 {
		return parts[i]
	}
	return feed.Part{Type: t}
}

func (c *comparison) progress(more int64) {
	c.done = min(c.done+more, c.total)
	if c.Progress != nil {
		c.Progress(c.done, c.total)
	}
}

// descend compares a type range by range, from its first id on.
func (c *comparison) descend(ctx context.Context) error {
	todo := []feed.Range{{}}
	for len(todo) > 0 && !c.out.Cut {
		n := min(len(todo), rangesAtOnce)
		there, err := c.Parent(ctx, feed.DigestQuery{Type: c.typ, Ranges: todo[:n], Parts: feed.MaxParts, List: feed.MaxListed})
		if err != nil {
			return err
		}
		here, err := c.same(ctx, there)
		if err != nil {
			return err
		}
		var deeper []feed.Range
		var mine []feed.Copy
		for i, p := range there {
			h := here[i]
			switch {
			case h.Count == p.Count && h.Sum == p.Sum, !c.pulls && h.Count == 0, !c.pushes && p.Count == 0:
				c.progress(h.Count)
			case p.Listed:
				if err := c.list(ctx, p); err != nil {
					return err
				}
				c.progress(h.Count)
			case !c.pulls && h.Count <= feed.MaxIDs:
				// Only the own copies matter and they are few, whatever else the parent has: it is asked for these.
				own, _, err := c.Own.Copies(ctx, c.typ, p.Range, feed.MaxIDs)
				if err != nil {
					return err
				}
				mine = append(mine, own...)
				c.progress(h.Count)
			case slices.Contains(todo[:n], p.Range):
				return syncerr.New(syncerr.Invalid, "compare", "the parent did not cut the range from %q", p.From).
					WithHint("This node and its parent may be of different versions")
			default:
				deeper = append(deeper, p.Range)
			}
		}
		if err := c.named(ctx, mine); err != nil {
			return err
		}
		todo = append(deeper, todo[n:]...)
	}
	return nil
}

// same digests the own copies in the ranges of the parent's parts.
func (c *comparison) same(ctx context.Context, there []feed.Part) ([]feed.Part, error) {
	var out []feed.Part
	for part := range slices.Chunk(there, feed.MaxRanges) {
		ranges := make([]feed.Range, len(part))
		for i, p := range part {
			ranges[i] = p.Range
		}
		here, err := c.Own.Digest(ctx, feed.DigestQuery{Type: c.typ, Ranges: ranges})
		if err != nil {
			return nil, err
		}
		out = append(out, here...)
	}
	return out, nil
}

// list holds the own copies of a range against those of the parent one by one.
func (c *comparison) list(ctx context.Context, p feed.Part) error {
	there := p.Copies
	for in, more := p.Range, true; more && !c.out.Cut; {
		here, goesOn, err := c.Own.Copies(ctx, c.typ, in, listAtOnce)
		if err != nil {
			return err
		}
		more = goesOn
		for _, h := range here {
			for ; len(there) > 0 && there[0].ID < h.ID; there = there[1:] {
				c.differs(there[0].ID, c.pulls && c.matters(there[0]))
			}
			if len(there) == 0 || there[0].ID != h.ID {
				c.differs(h.ID, c.pushes)
				continue
			}
			if !there[0].Same(h) {
				c.differs(h.ID, true)
			}
			there = there[1:]
		}
		if more {
			in.From = feed.Behind(here[len(here)-1].ID)
		}
	}
	for ; len(there) > 0; there = there[1:] {
		c.differs(there[0].ID, c.pulls && c.matters(there[0]))
	}
	return nil
}

// named holds own copies against those that the parent has of the same ids.
func (c *comparison) named(ctx context.Context, mine []feed.Copy) error {
	for some := range slices.Chunk(mine, feed.MaxIDs) {
		ids := make([]string, len(some))
		for i, h := range some {
			ids[i] = h.ID
		}
		parts, err := c.Parent(ctx, feed.DigestQuery{Type: c.typ, IDs: ids})
		if err != nil {
			return err
		}
		for _, h := range some {
			if there := ofID(parts, h.ID); there == nil || !there.Same(h) {
				c.differs(h.ID, c.pushes)
			}
		}
	}
	return nil
}

// matters reports whether a copy that only the parent has is asked about.
func (c *comparison) matters(there feed.Copy) bool {
	return c.Known == nil || c.Known(there.ID, there.Version)
}

func (c *comparison) differs(id string, matters bool) {
	switch {
	case !matters || c.out.Cut:
	case c.Limit > 0 && len(c.keys) >= c.Limit:
		c.out.Cut = true
	default:
		c.keys = append(c.keys, fhir.Key{Type: c.typ, ID: id})
	}
}
