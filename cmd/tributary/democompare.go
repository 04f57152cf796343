package main

import (
	"context"
	"fmt"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/store"
	stamps "github.com/tributary-sync/tributary/version"
)

// copies returns the stamp of every resource that a node holds, tombstones included.
func copies(ctx context.Context, n *node.Node) (map[fhir.Key]stamps.Stamp, error) {
	out := map[fhir.Key]stamps.Stamp{}
	err := n.Engine().Store().Read(ctx, func(r *store.Reader) error {
		for after, more := uint64(0), true; more; {
			var err error
			after, more, _, err = r.Changes(after, nil, 2000, func(row store.Row) error {
				if row.Latest {
					out[row.Key] = row.Stamp
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// sameCopy reports whether two nodes hold one and the same version with one content (DESIGN.md section 3, invariant 6).
func sameCopy(a, b stamps.Stamp) bool {
	return a.Version == b.Version && a.Origin == b.Origin && a.Author == b.Author && a.SameContent(b)
}

// differences compares all nodes with the first and returns what differs, as sentences, at most limit of them.
func (t *tree) differences(ctx context.Context, limit int) ([]string, error) {
	top := t.nodes[0]
	want, err := copies(ctx, top.Node)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range t.nodes[1:] {
		have, err := copies(ctx, n.Node)
		if err != nil {
			return nil, err
		}
		for k, s := range want {
			switch got, ok := have[k]; {
			case !ok:
				out = append(out, fmt.Sprintf("%s lacks %s", n.name, k))
			case !sameCopy(s, got):
				out = append(out, fmt.Sprintf("%s is version %s at %s and %s at %s", k, s.Version, top.name, got.Version, n.name))
			}
		}
		for k := range have {
			if _, ok := want[k]; !ok {
				out = append(out, fmt.Sprintf("%s lacks %s, which %s has", top.name, k, n.name))
			}
		}
		if len(out) > limit {
			return out[:limit], nil
		}
	}
	return out, nil
}

// agreed reports whether all nodes hold the same copies; the cheap look at the counts goes first.
func (t *tree) agreed(ctx context.Context) (bool, error) {
	counts, err := t.counts(ctx)
	if err != nil {
		return false, err
	}
	for _, c := range counts {
		if c.Total != counts[0].Total || c.Deleted != counts[0].Deleted || c.Held > 0 {
			return false, nil
		}
	}
	diff, err := t.differences(ctx, 1)
	return len(diff) == 0, err
}

func (t *tree) counts(ctx context.Context) ([]store.Counts, error) {
	out := make([]store.Counts, len(t.nodes))
	for i, n := range t.nodes {
		var err error
		if out[i], err = n.Engine().Store().Counts(ctx); err != nil {
			return nil, err
		}
	}
	return out, nil
}
