-- +goose Up
-- One row a fact about this node: replica, epoch, name, page size.
CREATE TABLE IF NOT EXISTS node_state (name VARCHAR(100) PRIMARY KEY, value TEXT NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Counters that a transaction raises: sequence, committed, and ordinal/<Type> for the pages of a type's feed.
CREATE TABLE IF NOT EXISTS counter (name VARCHAR(100) PRIMARY KEY, value BIGINT NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- The last tick that each own replica gave for a type.
CREATE TABLE IF NOT EXISTS tick (replica CHAR(36) NOT NULL, type VARCHAR(40) NOT NULL, value BIGINT NOT NULL, PRIMARY KEY (replica, type)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Node names of replicas.
CREATE TABLE IF NOT EXISTS replica (id VARCHAR(64) PRIMARY KEY, name VARCHAR(100) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Current copies and tombstones. The content is in the change_log row content_seq. num is the sequence by which the key came to be here.
CREATE TABLE IF NOT EXISTS resource (
  type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL,
  replica CHAR(36) NOT NULL, tick BIGINT NOT NULL, vector MEDIUMTEXT NOT NULL,
  author CHAR(36) NOT NULL, authored BIGINT NOT NULL, origin VARCHAR(60) NOT NULL,
  deleted INT NOT NULL, hash VARBINARY(32) NOT NULL,
  committed BIGINT NOT NULL, seq BIGINT NOT NULL, content_seq BIGINT NOT NULL, delivered VARCHAR(36) NOT NULL, created VARCHAR(60) NOT NULL,
  num BIGINT NOT NULL,
  PRIMARY KEY (type, id),
  UNIQUE KEY resource_num (num),
  KEY resource_version (type, replica, tick),
  KEY resource_committed (type, committed)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Every version in commit order: history, vread and both feeds come from here.
CREATE TABLE IF NOT EXISTS change_log (
  seq BIGINT PRIMARY KEY, type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL, ordinal BIGINT NOT NULL, action VARCHAR(20) NOT NULL,
  replica CHAR(36) NOT NULL, tick BIGINT NOT NULL, vector MEDIUMTEXT NOT NULL,
  author CHAR(36) NOT NULL, authored BIGINT NOT NULL, origin VARCHAR(60) NOT NULL,
  deleted INT NOT NULL, hash VARBINARY(32) NOT NULL,
  committed BIGINT NOT NULL, unit VARCHAR(36) NOT NULL, unit_size INT NOT NULL, source VARCHAR(100) NOT NULL,
  content_seq BIGINT NOT NULL, size INT NOT NULL, enc INT NOT NULL, content LONGBLOB,
  UNIQUE KEY change_log_ordinal (type, ordinal),
  KEY change_log_key (type, id, seq)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Search values of current copies: num is that of the resource; param says which element of which type a value stands in.
CREATE TABLE IF NOT EXISTS resource_index (
  num BIGINT NOT NULL, param INT NOT NULL, value VARCHAR(200) NOT NULL, space BIGINT NOT NULL,
  PRIMARY KEY (num, param, value, space),
  KEY resource_index_value (param, value, num, space)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- How far a reader has come in a log.
CREATE TABLE IF NOT EXISTS sync_cursor (
  peer VARCHAR(100) NOT NULL, direction VARCHAR(10) NOT NULL, scope TEXT NOT NULL,
  epoch VARCHAR(36) NOT NULL, seq BIGINT NOT NULL, backlog BIGINT NOT NULL, revision BIGINT NOT NULL, resume VARCHAR(2000) NOT NULL, updated DATETIME(3) NOT NULL,
  PRIMARY KEY (peer, direction)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Up to which tick of each replica this node has given every version of a type a fate: revision is when the entry last rose, up when it
-- last rose otherwise than by the parent's word.
CREATE TABLE IF NOT EXISTS knowledge (
  type VARCHAR(40) NOT NULL, replica CHAR(36) NOT NULL, tick BIGINT NOT NULL, revision BIGINT NOT NULL, up BIGINT NOT NULL,
  PRIMARY KEY (type, replica), KEY knowledge_revision (revision)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Versions within the knowledge that this node could not take, until the vector of the key's copy contains them.
CREATE TABLE IF NOT EXISTS knowledge_exception (
  type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL, replica CHAR(36) NOT NULL, tick BIGINT NOT NULL, revision BIGINT NOT NULL,
  PRIMARY KEY (type, id, replica, tick)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Up to which tick tombstones and what led to them may have been collected.
CREATE TABLE IF NOT EXISTS knowledge_forgotten (
  type VARCHAR(40) NOT NULL, replica CHAR(36) NOT NULL, tick BIGINT NOT NULL, revision BIGINT NOT NULL, PRIMARY KEY (type, replica)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- What the vectors of current copies contain of other replicas than that of their version.
CREATE TABLE IF NOT EXISTS resource_seen (
  type VARCHAR(40) NOT NULL, replica CHAR(36) NOT NULL, tick BIGINT NOT NULL, id VARCHAR(64) NOT NULL, PRIMARY KEY (type, replica, tick, id)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS sync_run (
  id CHAR(36) PRIMARY KEY, direction VARCHAR(10) NOT NULL, peer VARCHAR(100) NOT NULL, started DATETIME(3) NOT NULL, finished DATETIME(3),
  outcome VARCHAR(20) NOT NULL, events_read BIGINT NOT NULL, applied BIGINT NOT NULL, skipped BIGINT NOT NULL, held BIGINT NOT NULL,
  parked BIGINT NOT NULL, bytes_in BIGINT NOT NULL, bytes_out BIGINT NOT NULL, error TEXT NOT NULL,
  KEY sync_run_started (started)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE IF NOT EXISTS sync_audit_message (
  sync_audit_message_id BIGINT PRIMARY KEY AUTO_INCREMENT, uuid CHAR(36) NOT NULL, success INT NOT NULL,
  timestamp DATETIME(3) NOT NULL, resource_name VARCHAR(40) NOT NULL, resource_id VARCHAR(64) NOT NULL, version VARCHAR(60) NOT NULL,
  used_resource_url VARCHAR(500) NOT NULL, available_resource_urls LONGTEXT, parent_url VARCHAR(255) NOT NULL, local_url VARCHAR(255) NOT NULL,
  action VARCHAR(20) NOT NULL, details MEDIUMTEXT NOT NULL, operation VARCHAR(20) NOT NULL, link_type VARCHAR(20) NOT NULL,
  next_message_uuid CHAR(36), creator_instance_id VARCHAR(100) NOT NULL, merge_conflict_uuid CHAR(36),
  peer VARCHAR(100) NOT NULL, run VARCHAR(36) NOT NULL, outcome VARCHAR(20) NOT NULL, http_status INT NOT NULL, bytes BIGINT NOT NULL,
  duration_ms BIGINT NOT NULL,
  KEY sync_audit_message_resource (resource_name, resource_id),
  KEY sync_audit_message_failure (success, sync_audit_message_id)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Decided and open conflicts; both copies stay readable here.
CREATE TABLE IF NOT EXISTS sync_conflict (
  uuid CHAR(36) PRIMARY KEY, type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL, status VARCHAR(10) NOT NULL, rule VARCHAR(30) NOT NULL, winner VARCHAR(10) NOT NULL,
  flagged INT NOT NULL, peer VARCHAR(100) NOT NULL, opened DATETIME(3) NOT NULL, closed DATETIME(3), decided_version VARCHAR(60) NOT NULL,
  local_stamp MEDIUMTEXT NOT NULL, local_content LONGBLOB, incoming_stamp MEDIUMTEXT NOT NULL, incoming_content LONGBLOB,
  KEY sync_conflict_key (type, id),
  KEY sync_conflict_status (status, opened)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Events that could not be applied now.
CREATE TABLE IF NOT EXISTS sync_parked (
  uuid CHAR(36) PRIMARY KEY, direction VARCHAR(10) NOT NULL, peer VARCHAR(100) NOT NULL, type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL,
  epoch VARCHAR(36) NOT NULL, seq BIGINT NOT NULL, unit VARCHAR(36) NOT NULL, unit_size INT NOT NULL, action VARCHAR(20) NOT NULL, stamp MEDIUMTEXT NOT NULL,
  content LONGBLOB, reason TEXT NOT NULL, kind VARCHAR(20) NOT NULL, attempts INT NOT NULL, parked_at DATETIME(3) NOT NULL, next_retry DATETIME(3) NOT NULL,
  UNIQUE KEY sync_parked_key (peer, direction, type, id),
  KEY sync_parked_retry (direction, next_retry)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Copies set aside at a child until its parent has decided.
CREATE TABLE IF NOT EXISTS sync_held (
  type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL, version VARCHAR(60) NOT NULL, peer VARCHAR(100) NOT NULL, action VARCHAR(20) NOT NULL, stamp MEDIUMTEXT NOT NULL,
  content LONGBLOB, held_at DATETIME(3) NOT NULL, refusal TEXT NOT NULL, PRIMARY KEY (type, id, version)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- What servers that know no stamps have of a resource, as this node last saw it, and what that copy has seen.
CREATE TABLE IF NOT EXISTS server_copy (
  server VARCHAR(100) NOT NULL, type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL, tag VARCHAR(255) NOT NULL, deleted INT NOT NULL, hash BINARY(32) NOT NULL,
  vector MEDIUMTEXT NOT NULL, PRIMARY KEY (server, type, id)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Children, and the parent as it was last met.
CREATE TABLE IF NOT EXISTS participant (
  id VARCHAR(64) PRIMARY KEY, kind VARCHAR(20) NOT NULL, name VARCHAR(100) NOT NULL, credential VARCHAR(100) NOT NULL, replica CHAR(36) NOT NULL, epoch VARCHAR(36) NOT NULL,
  public_key VARCHAR(100) NOT NULL, url VARCHAR(255) NOT NULL, created DATETIME(3) NOT NULL, last_seen DATETIME(3) NOT NULL, seq BIGINT NOT NULL,
  scope TEXT NOT NULL,
  UNIQUE KEY participant_name (kind, name)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
