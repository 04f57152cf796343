-- +goose Up
-- Nodes with which sticks are exchanged. The serials count the bundles of each direction; state is what each side has told and how far this
-- one has come, as JSON; known is what the node said that it knows, compressed.
CREATE TABLE IF NOT EXISTS carry_peer (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, public_key TEXT NOT NULL, introduced TEXT NOT NULL,
  out_serial INTEGER NOT NULL, out_at TEXT NOT NULL, in_serial INTEGER NOT NULL, in_at TEXT NOT NULL, acked INTEGER NOT NULL,
  state TEXT NOT NULL, known BLOB) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS carry_peer_name ON carry_peer (name);
CREATE UNIQUE INDEX IF NOT EXISTS carry_peer_key ON carry_peer (public_key);
-- What became of the changes that a stick brought, until the node that sent them has been told. sent is the first bundle that tells it.
CREATE TABLE IF NOT EXISTS carry_receipt (
  peer TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, replica TEXT NOT NULL, tick INTEGER NOT NULL,
  result TEXT NOT NULL, reason TEXT NOT NULL, sent INTEGER NOT NULL,
  PRIMARY KEY (peer, type, id, replica, tick)) STRICT, WITHOUT ROWID;
