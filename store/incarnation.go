package store

import (
	"context"

	"github.com/tributary-sync/tributary/fhir"
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

// Reincarnate gives the database a new replica and a new epoch in one transaction with what more adds to it; ticks that more mints
// are the new replica's.
func (s *Store) Reincarnate(ctx context.Context, more func(*Tx) error) error {
	err := s.Write(ctx, func(tx *Tx) error {
		now := tx.Identity()
		if err := tx.PassEpoch(now.Epoch); err != nil {
			return err
		}
		now.Replica, now.Epoch = version.Replica(tx.NewUUID()), tx.NewUUID()
		if err := tx.SetState("replica", string(now.Replica)); err != nil {
			return err
		}
		if err := tx.SetState("epoch", now.Epoch); err != nil {
			return err
		}
		if err := tx.renameServers(); err != nil {
			return err
		}
		tx.identity, tx.ticks = &now, nil
		if err := more(tx); err != nil {
			return err
		}
		return tx.NameReplica(now.Replica, now.Name)
	})
	if err != nil {
		return err
	}
	return s.load(ctx)
}

// PassEpoch notes that an epoch is past: a peer that remembers it says nothing new.
func (tx *Tx) PassEpoch(epoch string) error {
	if epoch == "" {
		return nil
	}
	return tx.SetState(pastEpoch(epoch), timeText(tx.Now()))
}

// Relabel gives a row of the log another stamp with the same content, and the current copy with it where the row is the newest of
// its key. Only a database that begins a new epoch may do so: nobody has read this log.
func (tx *Tx) Relabel(seq uint64, k fhir.Key, s version.Stamp) error {
	v, vector, origin := s.Version, s.Vector.String(), s.Origin.String()
	if err := tx.exec("UPDATE change_log SET replica = ?, tick = ?, vector = ?, author = ?, origin = ? WHERE seq = ?",
		string(v.Replica), v.Tick, vector, string(s.Author), origin, seq); err != nil {
		return err
	}
	before, ok, err := tx.Current(k)
	if err != nil {
		return err
	}
	if ok && before.Seq == seq {
		rows, err := tx.t.reseen(k, others(before.Stamp), others(s), nil)
		if err != nil {
			return err
		}
		if err := tx.insert(tx.t.store.dialect.ignore+" INTO resource_seen (type, replica, tick, id)", 4, rows); err != nil {
			return err
		}
	}
	tx.reload(k)
	return tx.exec("UPDATE resource SET replica = ?, tick = ?, vector = ?, author = ?, origin = ?, delivered = '' WHERE type = ? AND id = ? AND seq = ?",
		string(v.Replica), v.Tick, vector, string(s.Author), origin, k.Type, k.ID, seq)
}
