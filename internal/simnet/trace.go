package simnet

import (
	"context"
	"fmt"
)

// Trace prints what every node logged of every key, for reading a run that failed.
func (n *Net) Trace(ctx context.Context) {
	short := func(s string) string {
		for _, x := range n.nodes {
			id := string(x.live.Engine().Store().Identity().Replica)
			for i := 0; i+36 <= len(s); i++ {
				if s[i:i+36] == id {
					s = s[:i] + x.name + s[i+36:]
				}
			}
		}
		return s
	}
	for _, x := range n.nodes {
		v, err := x.view(ctx)
		if err != nil {
			n.logf("%s: %v", x.name, err)
			continue
		}
		known, err := x.live.Engine().Store().Knowledge(ctx, nil)
		if err != nil {
			n.logf("%s: %v", x.name, err)
		}
		for _, k := range known {
			n.logf("KNOWS %s %s", x.name, short(fmt.Sprintf("%s {%s} %v", k.Type, k.Vector, k.Lacks)))
		}
		for _, d := range []string{"push", "pull"} {
			pos, err := x.live.Engine().Store().Position(ctx, "parent", d)
			n.logf("CURSOR %s %s %+v %v", x.name, d, pos, err)
		}
		for _, p := range v.parked {
			n.logf("PARKED %s %s %s", x.name, p.Direction, short(fmt.Sprintf("%s %s {%s} %s", p.Key, p.Stamp.Version, p.Stamp.Vector, p.Reason)))
		}
		for _, h := range v.held {
			n.logf("HELD %s %s", x.name, short(fmt.Sprintf("%s %s {%s} %s", h.Key, h.Stamp.Version, h.Stamp.Vector, h.Refusal)))
		}
		for _, r := range v.rows {
			n.logf("LOG %s %d %s %s", x.name, r.Seq, r.Key, short(fmt.Sprintf("%s {%s} origin=%s deleted=%v hash=%.6s source=%.12s unit=%.4s", r.Stamp.Version, r.Stamp.Vector,
				r.Stamp.Origin, r.Stamp.Deleted, r.Stamp.Hash, r.Source, r.Unit)))
		}
		for _, a := range v.audits {
			n.logf("AUDIT %s %d %s", x.name, a.ID, short(fmt.Sprintf("%s %s %s %s peer=%s %s", a.Operation, a.Outcome, a.Key, a.Version, a.Peer, a.Details)))
		}
		for _, c := range v.conflicts {
			n.logf("CONFLICT %s %s %s", x.name, c.Key, short(fmt.Sprintf("%s %s local %s o=%s incoming %s o=%s -> %s", c.Status, c.Winner, c.Local.Version, c.Local.Origin, c.Incoming.Version, c.Incoming.Origin, c.Decided)))
		}
	}
}
