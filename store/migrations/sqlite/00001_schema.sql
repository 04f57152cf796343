-- +goose Up
-- One row a fact about this node: replica, epoch, name, page size.
CREATE TABLE IF NOT EXISTS node_state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
-- Counters that a transaction raises: sequence, committed, and ordinal/<Type> for the pages of a type's feed.
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
-- The last tick that each own replica gave for a type.
CREATE TABLE IF NOT EXISTS tick (replica TEXT NOT NULL, type TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (replica, type)) STRICT;
-- Node names of replicas.
CREATE TABLE IF NOT EXISTS replica (id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT;
-- Current copies and tombstones. The content is in the change_log row content_seq. num is the sequence by which the key came to be here.
CREATE TABLE IF NOT EXISTS resource (
  type TEXT NOT NULL, id TEXT NOT NULL,
  replica TEXT NOT NULL, tick INTEGER NOT NULL, vector TEXT NOT NULL,
  author TEXT NOT NULL, authored INTEGER NOT NULL, origin TEXT NOT NULL,
  deleted INTEGER NOT NULL, hash BLOB NOT NULL,
  committed INTEGER NOT NULL, seq INTEGER NOT NULL, content_seq INTEGER NOT NULL, delivered TEXT NOT NULL, created TEXT NOT NULL,
  num INTEGER NOT NULL,
  PRIMARY KEY (type, id)) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS resource_num ON resource (num);
CREATE INDEX IF NOT EXISTS resource_version ON resource (type, replica, tick);
CREATE INDEX IF NOT EXISTS resource_committed ON resource (type, committed);
-- Every version in commit order: history, vread and both feeds come from here.
CREATE TABLE IF NOT EXISTS change_log (
  seq INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, ordinal INTEGER NOT NULL, action TEXT NOT NULL,
  replica TEXT NOT NULL, tick INTEGER NOT NULL, vector TEXT NOT NULL,
  author TEXT NOT NULL, authored INTEGER NOT NULL, origin TEXT NOT NULL,
  deleted INTEGER NOT NULL, hash BLOB NOT NULL,
  committed INTEGER NOT NULL, unit TEXT NOT NULL, unit_size INTEGER NOT NULL, source TEXT NOT NULL,
  content_seq INTEGER NOT NULL, size INTEGER NOT NULL, enc INTEGER NOT NULL, content BLOB) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS change_log_ordinal ON change_log (type, ordinal);
CREATE INDEX IF NOT EXISTS change_log_key ON change_log (type, id, seq);
-- Search values of current copies: num is that of the resource; param says which element of which type a value stands in.
CREATE TABLE IF NOT EXISTS resource_index (
  num INTEGER NOT NULL, param INTEGER NOT NULL, value TEXT NOT NULL, space INTEGER NOT NULL,
  PRIMARY KEY (num, param, value, space)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS resource_index_value ON resource_index (param, value, num, space);
-- How far a reader has come in a log.
CREATE TABLE IF NOT EXISTS sync_cursor (
  peer TEXT NOT NULL, direction TEXT NOT NULL, scope TEXT NOT NULL,
  epoch TEXT NOT NULL, seq INTEGER NOT NULL, backlog INTEGER NOT NULL, revision INTEGER NOT NULL, resume TEXT NOT NULL, updated TEXT NOT NULL,
  PRIMARY KEY (peer, direction)) STRICT;
-- Up to which tick of each replica this node has given every version of a type a fate: revision is when the entry last rose, up when it
-- last rose otherwise than by the parent's word.
CREATE TABLE IF NOT EXISTS knowledge (
  type TEXT NOT NULL, replica TEXT NOT NULL, tick INTEGER NOT NULL, revision INTEGER NOT NULL, up INTEGER NOT NULL,
  PRIMARY KEY (type, replica)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS knowledge_revision ON knowledge (revision);
-- Versions within the knowledge that this node could not take, until the vector of the key's copy contains them.
CREATE TABLE IF NOT EXISTS knowledge_exception (
  type TEXT NOT NULL, id TEXT NOT NULL, replica TEXT NOT NULL, tick INTEGER NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (type, id, replica, tick)) STRICT, WITHOUT ROWID;
-- Up to which tick tombstones and what led to them may have been collected.
CREATE TABLE IF NOT EXISTS knowledge_forgotten (
  type TEXT NOT NULL, replica TEXT NOT NULL, tick INTEGER NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (type, replica)) STRICT, WITHOUT ROWID;
-- What the vectors of current copies contain of other replicas than that of their version.
CREATE TABLE IF NOT EXISTS resource_seen (
  type TEXT NOT NULL, replica TEXT NOT NULL, tick INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (type, replica, tick, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sync_run (
  id TEXT PRIMARY KEY, direction TEXT NOT NULL, peer TEXT NOT NULL, started TEXT NOT NULL, finished TEXT,
  outcome TEXT NOT NULL, events_read INTEGER NOT NULL, applied INTEGER NOT NULL, skipped INTEGER NOT NULL, held INTEGER NOT NULL,
  parked INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, error TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS sync_run_started ON sync_run (started);
CREATE TABLE IF NOT EXISTS sync_audit_message (
  sync_audit_message_id INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT NOT NULL, success INTEGER NOT NULL,
  timestamp TEXT NOT NULL, resource_name TEXT NOT NULL, resource_id TEXT NOT NULL, version TEXT NOT NULL,
  used_resource_url TEXT NOT NULL, available_resource_urls TEXT, parent_url TEXT NOT NULL, local_url TEXT NOT NULL,
  action TEXT NOT NULL, details TEXT NOT NULL, operation TEXT NOT NULL, link_type TEXT NOT NULL,
  next_message_uuid TEXT, creator_instance_id TEXT NOT NULL, merge_conflict_uuid TEXT,
  peer TEXT NOT NULL, run TEXT NOT NULL, outcome TEXT NOT NULL, http_status INTEGER NOT NULL, bytes INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS sync_audit_message_resource ON sync_audit_message (resource_name, resource_id);
CREATE INDEX IF NOT EXISTS sync_audit_message_failure ON sync_audit_message (sync_audit_message_id) WHERE success = 0;
-- Decided and open conflicts; both copies stay readable here.
CREATE TABLE IF NOT EXISTS sync_conflict (
  uuid TEXT PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, rule TEXT NOT NULL, winner TEXT NOT NULL,
  flagged INTEGER NOT NULL, peer TEXT NOT NULL, opened TEXT NOT NULL, closed TEXT, decided_version TEXT NOT NULL,
  local_stamp TEXT NOT NULL, local_content BLOB, incoming_stamp TEXT NOT NULL, incoming_content BLOB) STRICT;
CREATE INDEX IF NOT EXISTS sync_conflict_key ON sync_conflict (type, id);
CREATE INDEX IF NOT EXISTS sync_conflict_status ON sync_conflict (status, opened);
-- Events that could not be applied now.
CREATE TABLE IF NOT EXISTS sync_parked (
  uuid TEXT PRIMARY KEY, direction TEXT NOT NULL, peer TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
  epoch TEXT NOT NULL, seq INTEGER NOT NULL, unit TEXT NOT NULL, unit_size INTEGER NOT NULL, action TEXT NOT NULL, stamp TEXT NOT NULL,
  content BLOB, reason TEXT NOT NULL, kind TEXT NOT NULL, attempts INTEGER NOT NULL, parked_at TEXT NOT NULL, next_retry TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS sync_parked_key ON sync_parked (peer, direction, type, id);
CREATE INDEX IF NOT EXISTS sync_parked_retry ON sync_parked (direction, next_retry);
-- Copies set aside at a child until its parent has decided.
CREATE TABLE IF NOT EXISTS sync_held (
  type TEXT NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL, peer TEXT NOT NULL, action TEXT NOT NULL, stamp TEXT NOT NULL,
  content BLOB, held_at TEXT NOT NULL, refusal TEXT NOT NULL, PRIMARY KEY (type, id, version)) STRICT;
-- What servers that know no stamps have of a resource, as this node last saw it, and what that copy has seen.
CREATE TABLE IF NOT EXISTS server_copy (
  server TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, tag TEXT NOT NULL, deleted INTEGER NOT NULL, hash BLOB NOT NULL, vector TEXT NOT NULL,
  PRIMARY KEY (server, type, id)) STRICT, WITHOUT ROWID;
-- Children, and the parent as it was last met.
CREATE TABLE IF NOT EXISTS participant (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, credential TEXT NOT NULL, replica TEXT NOT NULL, epoch TEXT NOT NULL,
  public_key TEXT NOT NULL, url TEXT NOT NULL, created TEXT NOT NULL, last_seen TEXT NOT NULL, seq INTEGER NOT NULL,
  scope TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS participant_name ON participant (kind, name);
