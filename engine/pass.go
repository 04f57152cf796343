package engine

import (
	"context"
	"errors"
	"time"

	"github.com/tributary-sync/tributary/audit"
)

// Pass is the record of one pull or push pass: its row in sync_run is opened before the first exchange that moves something, and
// closed with the counts.
type Pass struct {
	Run     audit.Run
	eng     *Engine
	clock   func() time.Time
	traffic func() (in, out int64)
	in, out int64
	open    bool
}

// Begin returns the record of a pass that begins; no row is written yet. traffic returns the bytes that its link has moved so far.
func (e *Engine) Begin(direction, peer string, clock func() time.Time, traffic func() (in, out int64)) *Pass {
	p := &Pass{Run: audit.Run{Direction: direction, Peer: peer, Outcome: "running"}, eng: e, clock: clock, traffic: traffic}
	p.in, p.out = traffic()
	return p
}

// Open writes the row, the first time that it is called.
func (p *Pass) Open(ctx context.Context) error {
	if p.open {
		return nil
	}
	p.Run.ID, p.Run.Started = p.eng.store.NewUUID(), p.clock().UnixMilli()
	p.open = true
	return p.eng.OpenRun(ctx, p.Run)
}

// Counts returns the run with the bytes that were moved until now, for the next transaction to raise and save; nil where no row was
// opened.
func (p *Pass) Counts() *audit.Run {
	if !p.open {
		return nil
	}
	in, out := p.traffic()
	p.Run.BytesIn, p.Run.BytesOut = in-p.in, out-p.out
	return &p.Run
}

// Close writes the counts and how the pass ended: done, failed with err, or interrupted where ctx ended (the node stops, or an
// operator asked for a pass of his own). It returns the run, a zero one where there was nothing to do, and err.
func (p *Pass) Close(ctx context.Context, err error) (audit.Run, error) {
	stopped := err != nil && ctx.Err() != nil
	if !p.open && (err == nil || stopped) {
		return audit.Run{}, err
	}
	p.Run.Outcome = "done"
	switch {
	case stopped:
		p.Run.Outcome = "interrupted"
		ctx = context.WithoutCancel(ctx)
	case err != nil:
		p.Run.Outcome, p.Run.Error = "failed", err.Error()
		if oerr := p.Open(ctx); oerr != nil {
			return p.Run, errors.Join(err, oerr)
		}
	}
	p.Counts()
	p.Run.Finished = p.clock().UnixMilli()
	return p.Run, errors.Join(err, p.eng.CloseRun(ctx, p.Run))
}
