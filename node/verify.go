package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/pull"
	"github.com/tributary-sync/tributary/syncerr"
)

// verifier compares this node with its parent (control.Verifier).
type verifier struct {
	link  *link
	gate  sync.Mutex // one at a time
	mu    sync.Mutex
	state control.Verifying
}

// maxDifferences bounds the keys that a verification holds and lists. With repair it begins anew behind what it mended.
const maxDifferences = 10_000

// Verifying returns how far the verification that runs has come (control.Verifier).
func (v *verifier) Verifying() control.Verifying {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state
}

func (v *verifier) set(s control.Verifying) {
	v.mu.Lock()
	v.state = s
	v.mu.Unlock()
}

// Verify compares, and repairs where that is wanted (control.Verifier).
func (v *verifier) Verify(ctx context.Context, repair bool) (control.Verification, error) {
	if !v.gate.TryLock() {
		return control.Verification{}, syncerr.New(syncerr.Conflict, "verify", "a verification runs already").WithHint("Wait until it has ended")
	}
	defer v.gate.Unlock()
	v.set(control.Verifying{Running: true})
	defer v.set(control.Verifying{})
	n := v.link.node
	begun := n.deps.Clock()
	in, out := v.link.client.Traffic()
	run := n.engine.Begin("verify", n.cfg.Parent.URL, n.deps.Clock, v.link.client.Traffic)
	found, err := v.verify(ctx, repair, run)
	if syncerr.KindOf(err) == syncerr.EpochChanged {
		found, err = v.verify(ctx, repair, run) // one of both has another log than it had: begin with who they are
	}
	record, err := run.Close(ctx, err)
	if record.ID != "" {
		found.Run = &record
	}
	in2, out2 := v.link.client.Traffic()
	found.BytesIn, found.BytesOut, found.Duration = in2-in, out2-out, n.deps.Clock().Sub(begun).Milliseconds()
	return found, err
}

// verify begins anew where what is synchronised changes meanwhile.
func (v *verifier) verify(ctx context.Context, repair bool, run *engine.Pass) (control.Verification, error) {
	for {
		in, leave := v.link.turn.enter(ctx)
		out, err := v.rounds(in, repair, run)
		changed := errors.Is(context.Cause(in), errChanged)
		leave()
		if err == nil || !changed || ctx.Err() != nil {
			return out, err
		}
	}
}

func (v *verifier) rounds(ctx context.Context, repair bool, run *engine.Pass) (control.Verification, error) {
	var out control.Verification
	for {
		peer, err := v.link.hello(ctx) // the first thing of all: it may tell this node that it is not what it was
		if err != nil {
			return out, err
		}
		cfg := v.link.node.config()
		c := pull.Verify{
			Own: v.link.node.store, Parent: v.link.client.Digest, Both: v.both, Epoch: peer.Epoch, Pulls: cfg.Pulls, Pushes: cfg.Pushes,
			Types:    cfg.Exchanged(),
			Limit:    maxDifferences,
			Progress: func(done, total int64) { v.set(control.Verifying{Running: true, Done: done, Total: total}) },
		}
		found, err := c.Compare(ctx)
		if err != nil {
			return out, err
		}
		left := found.Differences
		if repair && len(left) > 0 {
			if err := v.repair(ctx, run, left); err != nil {
				return out, err
			}
			if left, err = c.Look(ctx, keysOf(left)); err != nil {
				return out, err
			}
		}
		mended := report(&out, found, left)
		if !repair || !found.Cut || mended == 0 {
			return out, nil
		}
	}
}

// both asks this node and its parent at once: each reads all that it has, and they are two machines.
func (v *verifier) both(ctx context.Context, q feed.DigestQuery) (here, there []feed.Part, err error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var own error
	var asking sync.WaitGroup
	asking.Go(func() { here, own = v.link.node.store.Digest(reading, q) })
	if there, err = v.link.client.Digest(ctx, q); err != nil {
		stop()
	}
	asking.Wait()
	if err == nil {
		err = own
	}
	return here, there, err
}

// report writes what a round found into the answer and returns how many keys were mended.
func report(out *control.Verification, found pull.Comparison, left []pull.Difference) int {
	remains := make(map[fhir.Key]pull.Difference, len(left))
	for _, d := range left {
		remains[d.Key] = d
	}
	out.Types, out.Differences = nil, nil
	for _, t := range found.Types {
		out.Types = append(out.Types, control.VerifiedType(t))
	}
	for _, d := range found.Differences {
		now, still := remains[d.Key]
		if still {
			d = now
		}
		out.Differences = append(out.Differences, control.Difference{
			Key: d.Key, Finding: string(d.Finding), Why: d.Why, Here: d.Here, There: d.There, Repaired: !still,
		})
	}
	mended := len(found.Differences) - len(left)
	out.Repaired, out.Remaining, out.More = out.Repaired+int64(mended), int64(len(left)), found.Cut
	out.Equal = out.Remaining == 0 && !out.More
	return mended
}

// repair fetches what the parent has and this node has not seen, and sends what the parent has not seen. What becomes of it is
// decided where it arrives.
func (v *verifier) repair(ctx context.Context, run *engine.Pass, differences []pull.Difference) error {
	way := v.link.way.Load()
	if way.puller != nil {
		fetch := func() error { return way.puller.Refetch(ctx, run, differences) }
		if err := v.link.pull.alone(fetch); err != nil {
			return err
		}
	}
	if way.pusher == nil {
		return nil
	}
	send := slices.DeleteFunc(slices.Clone(differences), func(d pull.Difference) bool { return !d.Send || d.Here == nil })
	// In the order in which they were taken here, so that what refers to something comes behind it.
	slices.SortFunc(send, func(a, b pull.Difference) int { return cmp.Compare(a.Here.Seq, b.Here.Seq) })
	return v.link.push.alone(func() error { return way.pusher.Resend(ctx, run, keysOf(send)) })
}

func keysOf(differences []pull.Difference) []fhir.Key {
	out := make([]fhir.Key, len(differences))
	for i, d := range differences {
		out[i] = d.Key
	}
	return out
}

// alone runs something between two passes of a direction. A pass that runs is ended; it goes on from its cursor afterwards.
func (d *direction) alone(do func() error) error {
	d.gate.Lock()
	defer d.gate.Unlock()
	d.mu.Lock()
	if d.stop != nil {
		d.stop(errInterrupted)
	}
	d.mu.Unlock()
	return do()
}
