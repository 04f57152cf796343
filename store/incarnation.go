package store

import (
	"context"

	"github.com/tributary-sync/tributary/version"
)

// Nonces returns the nonce of this incarnation of the database and the one before; both are empty in a new database.
func (s *Store) Nonces(ctx context.Context) (now, before string, err error) {
	if now, err = s.State(ctx, "nonce"); err != nil {
		return "", "", err
	}
	before, err = s.State(ctx, "nonce_before")
	return now, before, err
}

// SetNonce stores a new nonce and keeps the one that it replaces.
func (tx *Tx) SetNonce(next string) error {
	var now string
	if _, err := tx.one("SELECT value FROM node_state WHERE name = 'nonce'", nil, &now); err != nil {
		return err
	}
	if err := tx.SetState("nonce_before", now); err != nil {
		return err
	}
	return tx.SetState("nonce", next)
}

// Reincarnate gives the database a new replica and a new epoch in one transaction with what note adds to it.
func (s *Store) Reincarnate(ctx context.Context, note func(*Tx, Identity)) error {
	err := s.Write(ctx, func(tx *Tx) error {
		now := tx.Identity()
		now.Replica, now.Epoch = version.Replica(tx.NewUUID()), tx.NewUUID()
		if err := tx.SetState("replica", string(now.Replica)); err != nil {
			return err
		}
		if err := tx.SetState("epoch", now.Epoch); err != nil {
			return err
		}
		note(tx, now)
		return tx.NameReplica(now.Replica, now.Name)
	})
	if err != nil {
		return err
	}
	return s.load(ctx)
}
