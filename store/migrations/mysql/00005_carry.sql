-- +goose Up
-- Nodes with which sticks are exchanged. The serials count the bundles of each direction; state is what each side has told and how far this
-- one has come, as JSON; known is what the node said that it knows, compressed.
CREATE TABLE IF NOT EXISTS carry_peer (
  id CHAR(36) PRIMARY KEY, name VARCHAR(100) NOT NULL, public_key VARCHAR(100) NOT NULL, introduced DATETIME(3) NOT NULL,
  out_serial BIGINT NOT NULL, out_at DATETIME(3) NOT NULL, in_serial BIGINT NOT NULL, in_at DATETIME(3) NOT NULL, acked BIGINT NOT NULL,
  state MEDIUMTEXT NOT NULL, known LONGBLOB,
  UNIQUE KEY carry_peer_name (name), UNIQUE KEY carry_peer_key (public_key)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- What became of the changes that a stick brought, until the node that sent them has been told. sent is the first bundle that tells it.
CREATE TABLE IF NOT EXISTS carry_receipt (
  peer CHAR(36) NOT NULL, type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL, replica CHAR(36) NOT NULL, tick BIGINT NOT NULL,
  result VARCHAR(20) NOT NULL, reason TEXT NOT NULL, sent BIGINT NOT NULL,
  PRIMARY KEY (peer, type, id, replica, tick)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
