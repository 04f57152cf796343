package engine

import (
	"context"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// GiveUp ends the tries of parked events, by their names, and of all that belongs to the same transactions. What is given up stays parked, with
// its content: its version stays an exception of what this node (or, for what it refused, the parent) knows, and nothing of it is collected. A
// later version of the key goes its own way, and where one that has seen the event is taken, the event is done with like any that is parked.
// It returns what was given up, none of it where it was already.
func (e *Engine) GiveUp(ctx context.Context, uuids []string, why, actor string) ([]store.Parked, error) {
	if why == "" {
		return nil, syncerr.New(syncerr.Usage, "give up", "the reason is missing").WithHint("Say in a few words why nobody needs to try this again; it stands in the audit")
	}
	return e.reconsider(ctx, uuids, func(tx *store.Tx, p store.Parked) (bool, error) {
		if p.GivenUp != nil {
			return false, nil
		}
		tx.Audit(parkedRecord(p, "GIVE-UP", actor, "it is not tried any more, because: "+why))
		return true, tx.GiveUp(p, actor, why)
	})
}

// TakeUp ends a giving up: the next pass tries the events again, and all of their transactions. It returns what was taken up.
func (e *Engine) TakeUp(ctx context.Context, uuids []string, actor string) ([]store.Parked, error) {
	return e.reconsider(ctx, uuids, func(tx *store.Tx, p store.Parked) (bool, error) {
		if p.GivenUp == nil {
			return false, nil
		}
		tx.Audit(parkedRecord(p, "TAKE-UP", actor, "it is tried again"))
		return true, tx.TakeUp(p)
	})
}

// RetryParked makes parked events due at once, and all of their transactions, but for what was given up. It returns those that are due.
func (e *Engine) RetryParked(ctx context.Context, uuids []string, actor string) ([]store.Parked, error) {
	return e.reconsider(ctx, uuids, func(tx *store.Tx, p store.Parked) (bool, error) {
		if p.GivenUp != nil {
			return false, nil
		}
		tx.Audit(parkedRecord(p, "RETRY", actor, "it is due at once"))
		return true, tx.RetryNow(p)
	})
}

func (e *Engine) reconsider(ctx context.Context, uuids []string, do func(*store.Tx, store.Parked) (bool, error)) ([]store.Parked, error) {
	var out []store.Parked
	err := e.store.Write(ctx, func(tx *store.Tx) error {
		out = nil
		all, err := tx.ParkedWhole(uuids)
		for _, p := range all {
			if err != nil {
				break
			}
			var done bool
			if done, err = do(tx, p); done {
				out = append(out, p)
			}
		}
		return err
	})
	e.waiting.lose() // what waits for others is read again, without what was given up
	return out, err
}

func parkedRecord(p store.Parked, action, actor, details string) audit.Record {
	return audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: action, Key: p.Key, Version: nameable(p.Stamp), Peer: actor, Details: details}
}
