package simnet

import (
	"context"
	"fmt"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// checkClaims compares what nodes say that they know with what their copies have seen: a version that the knowledge of a node contains,
// and that is no exception of its key there, is contained in the vector of the node's copy.
func (n *Net) checkClaims(ctx context.Context, views []view) (wrong []error) {
	minted := map[fhir.Key]map[version.Version]bool{}
	for _, v := range views {
		for _, row := range v.rows {
			m := minted[row.Key]
			if m == nil {
				m = map[version.Version]bool{}
				minted[row.Key] = m
			}
			m[row.Stamp.Version] = true
			m[row.Stamp.Origin] = true
		}
	}
	for i, x := range n.nodes {
		err := x.live.Engine().Store().Read(ctx, func(r *store.Reader) error {
			known, err := r.Knowledge(nil)
			if err != nil {
				return err
			}
			for _, k := range known {
				lacks := map[string]bool{}
				for _, l := range k.Lacks {
					lacks[l.ID] = true
				}
				for key, versions := range minted {
					if key.Type != k.Type || lacks[key.ID] {
						continue
					}
					for v := range versions {
						if k.Vector.Contains(v) && !views[i].copies[key].Stamp.Vector.Contains(v) {
							wrong = append(wrong, fmt.Errorf("%s says that it knows %s of %s, its copy has seen %s", x.name, v, key, views[i].copies[key].Stamp.Vector))
						}
					}
				}
			}
			return nil
		})
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	// Nodes that exchange everything end with the same knowledge.
	first, err := n.nodes[0].live.Engine().Store().Knowledge(ctx, nil)
	if err != nil {
		return append(wrong, err)
	}
	for _, x := range n.nodes[1:] {
		k, err := x.live.Engine().Store().Knowledge(ctx, nil)
		if err != nil {
			return append(wrong, err)
		}
		a, b := fmt.Sprint(vectorsOf(first)), fmt.Sprint(vectorsOf(k))
		if a != b {
			wrong = append(wrong, fmt.Errorf("%s knows %s, %s knows %s", n.nodes[0].name, a, x.name, b))
		}
	}
	return wrong
}

func vectorsOf(parts []feed.Known) map[string]string {
	out := map[string]string{}
	for _, p := range parts {
		if len(p.Vector) > 0 {
			out[p.Type] = p.Vector.String()
		}
	}
	return out
}
