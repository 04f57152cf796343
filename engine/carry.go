package engine

import (
	"context"
	"slices"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// The directions of the runs that sticks leave.
const (
	CarryIn  = "carry in"
	CarryOut = "carry out"
)

// stickReader is a node that reads this one's log by sticks alone.
type stickReader struct {
	seq   uint64 // up to where it said that it has the log
	types []string
}

// reads reports whether the node is given a type, and asks for it.
func (s stickReader) reads(resourceType string) bool { return fhir.Selected(s.types, resourceType) }

// carried returns up to where the nodes that are met by sticks have this node's log. Of children and the parent the wire tells that.
func (e *Engine) carried(ctx context.Context, children []store.Participant, epoch string) ([]stickReader, error) {
	peers, err := e.store.CarryPeers(ctx)
	if err != nil || len(peers) == 0 {
		return nil, err
	}
	met, err := e.store.Participants(ctx, store.KindParent)
	if err != nil {
		return nil, err
	}
	wire := slices.Concat(children, met)
	var out []stickReader
	for _, p := range peers {
		if slices.ContainsFunc(wire, func(w store.Participant) bool { return w.PublicKey == p.PublicKey }) {
			continue
		}
		s := stickReader{types: p.State.Types}
		if p.State.Said.Read.Epoch == epoch {
			s.seq = p.State.Said.Read.Seq
		}
		out = append(out, s)
	}
	return out, nil
}
