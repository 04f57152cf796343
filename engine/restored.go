package engine

import (
	"context"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/store"
)

// Restored gives a database that was found to be an older copy of itself a new replica and a new epoch, and audits why. Its versions
// stay: rows of the old replica are ordinary rows from now on (DESIGN.md 4.3). Ticks start anew under the new replica.
func (e *Engine) Restored(ctx context.Context, why string) error {
	old := e.store.Identity()
	return e.store.Reincarnate(ctx, func(tx *store.Tx, now store.Identity) {
		tx.Audit(audit.Record{
			Operation: audit.Admin, Outcome: audit.Done, Action: "RESTORED", LocalURL: e.cfg.URL,
			Details: "this database is an older copy: " + why + ". It goes on as replica " + string(now.Replica) + " instead of " + string(old.Replica) +
				"; parent and children are read and offered everything again",
		})
	})
}
