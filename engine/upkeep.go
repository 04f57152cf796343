package engine

import (
	"context"
	"time"

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
