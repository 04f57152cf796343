package engine

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
)

// pruneAtOnce bounds a deleting transaction, so that writers wait for a moment only.
const pruneAtOnce = 5000

// Upkeep deletes audit rows that are older than retention; 0 keeps them for ever.
func (e *Engine) Upkeep(ctx context.Context, retention time.Duration) error {
	if retention <= 0 {
		return nil
	}
	for {
		more := false
		err := e.store.Write(ctx, func(tx *store.Tx) error {
			n, err := tx.PruneAudit(tx.Now()-retention.Milliseconds(), pruneAtOnce)
			more = n == pruneAtOnce
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}

// Collecting says what of the log may go.
type Collecting struct {
	Keep   time.Duration // how long older versions and tombstones stay after everybody has acknowledged them; 0 is for ever
	Parent bool          // this node has a parent
	Pushes func(resourceType string) bool
	// Servers says, by name, which types each server without stamps is given.
	Servers map[string]func(resourceType string) bool
}

const (
	collectAtOnce = 2000
	sweepEvery    = 7 * 24 * time.Hour
)

// Collect takes older versions and tombstones out of the log that every registered child and the parent have acknowledged and that are
// older than c.Keep. A child acknowledges the types that it reads, up to where it has read; the parent what was pushed to it, or what
// it sent itself; a server what it was given. It returns what went.
func (e *Engine) Collect(ctx context.Context, c Collecting) (store.Collected, error) {
	var all store.Collected
	if c.Keep <= 0 {
		return all, nil
	}
	ack, err := e.acknowledged(ctx, c)
	if err != nil {
		return all, err
	}
	for more := true; more; {
		err := e.store.Write(ctx, func(tx *store.Tx) error {
			if err := sweepAgain(tx); err != nil {
				return err
			}
			got, err := tx.Collect(tx.Now()-c.Keep.Milliseconds(), ack, collectAtOnce)
			if err != nil {
				return err
			}
			if got.Tombstones > 0 {
				tx.Audit(audit.Record{
					Operation: audit.Admin, Outcome: audit.Done, Action: "COLLECT", LocalURL: e.cfg.URL,
					Details: fmt.Sprintf("%d tombstones, and %d rows of the log with older versions, that everybody has acknowledged", got.Tombstones, got.Rows),
				})
			}
			more = got.More
			all.Rows, all.Tombstones = all.Rows+got.Rows, all.Tombstones+got.Tombstones
			return nil
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// sweepAgain begins at the start of the log now and then: what somebody had still to take when it was looked at may go by now.
func sweepAgain(tx *store.Tx) error {
	const name = "swept_from_start"
	last, err := tx.State(name)
	if err != nil {
		return err
	}
	at, err := strconv.ParseInt(last, 10, 64)
	if err == nil && tx.Now()-at < sweepEvery.Milliseconds() && at <= tx.Now() {
		return nil
	}
	tx.SweepAgain()
	return tx.SetState(name, strconv.FormatInt(tx.Now(), 10))
}

func (e *Engine) acknowledged(ctx context.Context, c Collecting) (store.Acknowledged, error) {
	out := store.Acknowledged{Pushed: func(string) uint64 { return 0 }}
	children, err := e.store.Participants(ctx, store.KindChild)
	if err != nil {
		return out, err
	}
	head, err := e.store.Head(ctx)
	if err != nil {
		return out, err
	}
	out.Upper = head.Seq
	read := func(p store.Participant) uint64 { return readUpTo(p, head.Epoch) }
	for _, p := range children {
		out.Upper = min(out.Upper, read(p))
	}
	sticks, err := e.carried(ctx, children, head.Epoch)
	if err != nil {
		return out, err
	}
	for _, s := range sticks {
		out.Upper = min(out.Upper, s.seq)
	}
	type gifts struct {
		seq  uint64
		went func(resourceType string) bool // by the passes that brought the cursor there
	}
	given := map[string]gifts{}
	for name := range c.Servers {
		pos, err := e.store.Position(ctx, name, "push")
		if err != nil {
			return out, err
		}
		if pos.Epoch == head.Epoch {
			given[name] = gifts{pos.Seq, fhir.Selection(typesOf(cmp.Or(pos.Scope, "*")))}
		}
		out.Upper = min(out.Upper, given[name].seq)
	}
	out.Seq = func(resourceType string) uint64 {
		seq := head.Seq
		for _, p := range children {
			if !p.Reads(resourceType) {
				return 0
			}
			seq = min(seq, read(p))
		}
		for _, s := range sticks {
			if !s.reads(resourceType) {
				return 0
			}
			seq = min(seq, s.seq)
		}
		for name, pushes := range c.Servers {
			if !pushes(resourceType) {
				continue
			}
			if g := given[name]; g.went == nil || !g.went(resourceType) {
				return 0
			}
			seq = min(seq, given[name].seq)
		}
		return seq
	}
	if !c.Parent {
		return out, nil
	}
	out.Parent = "unknown" // until it was met
	met, err := e.store.Participants(ctx, store.KindParent)
	if err != nil || len(met) == 0 {
		return out, err
	}
	out.Parent = met[0].Epoch
	pos, err := e.store.Position(ctx, "parent", "push")
	scope, its := strings.CutPrefix(pos.Scope, out.Parent+"|")
	if err != nil || pos.Epoch != head.Epoch || pos.Resume != "" || !its {
		return out, err
	}
	went := fhir.Selection(typesOf(scope)) // by the passes that brought the cursor there; what goes since then was passed over
	out.Pushed = func(resourceType string) uint64 {
		if !c.Pushes(resourceType) || !went(resourceType) {
			return 0
		}
		return pos.Seq
	}
	return out, nil
}

// typesOf returns the types in the scope of a cursor, nil for all.
func typesOf(scope string) []string {
	if scope == "*" {
		return nil
	}
	return strings.Split(scope, ",")
}

// readUpTo returns up to where a child has read the log of an epoch.
func readUpTo(p store.Participant, epoch string) uint64 {
	if p.Epoch != epoch {
		return 0 // it has read another log
	}
	return p.Seq
}

// Kept says what stays in the log because of a child.
type Kept struct {
	Child store.Participant
	Rows  int64 // of the log, with older versions and tombstones
	Since int64 // when the first change was made that it has not read, in milliseconds since 1970 UTC
}

// KeptForChildren returns the children because of which rows stay in the log that are older than a moment (milliseconds since 1970 UTC) and
// could go (Collect), and how many; the rows of two such children may be the same.
func (e *Engine) KeptForChildren(ctx context.Context, before int64) ([]Kept, error) {
	children, err := e.store.Participants(ctx, store.KindChild)
	if err != nil {
		return nil, err
	}
	var out []Kept
	err = e.store.Read(ctx, func(r *store.Reader) error {
		for _, p := range children {
			k := Kept{Child: p}
			var err error
			if k.Rows, k.Since, err = r.Kept(p.Reads, readUpTo(p, r.Identity().Epoch), before); err != nil {
				return err
			}
			if k.Rows > 0 {
				out = append(out, k)
			}
		}
		return nil
	})
	return out, err
}
