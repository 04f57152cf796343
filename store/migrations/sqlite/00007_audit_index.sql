-- +goose Up
-- The classes of audit rows: each operation, outcome, type and other side that there was. The id is made of the four (store/auditclass.go).
CREATE TABLE IF NOT EXISTS audit_class (
  id INTEGER PRIMARY KEY, operation TEXT NOT NULL, outcome TEXT NOT NULL, resource_name TEXT NOT NULL, peer TEXT NOT NULL) STRICT;
-- Between which times (milliseconds since 1970 UTC) the audit rows of each block of ids lie, because a clock may go back.
CREATE TABLE IF NOT EXISTS audit_block (block INTEGER PRIMARY KEY, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL) STRICT;
DROP INDEX IF EXISTS sync_audit_message_failure;
ALTER TABLE sync_audit_message ADD COLUMN class INTEGER NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS sync_audit_message_class ON sync_audit_message (class);
CREATE INDEX IF NOT EXISTS sync_audit_message_run ON sync_audit_message (run, class) WHERE run <> '';
-- Rows of before: numbered from the first on, which no id made of the four is.
INSERT INTO audit_class SELECT ROW_NUMBER() OVER (ORDER BY operation, outcome, resource_name, peer), operation, outcome, resource_name, peer FROM (
  SELECT DISTINCT operation, outcome, resource_name, CASE WHEN operation = 'REFUSE' THEN '' ELSE peer END AS peer FROM sync_audit_message);
UPDATE sync_audit_message SET class = (SELECT c.id FROM audit_class c WHERE c.operation = sync_audit_message.operation
  AND c.outcome = sync_audit_message.outcome AND c.resource_name = sync_audit_message.resource_name
  AND c.peer = CASE WHEN sync_audit_message.operation = 'REFUSE' THEN '' ELSE sync_audit_message.peer END);
INSERT INTO audit_block SELECT sync_audit_message_id / 256, CAST(ROUND((julianday(MIN(timestamp)) - 2440587.5) * 86400000) AS INTEGER) - 1,
  CAST(ROUND((julianday(MAX(timestamp)) - 2440587.5) * 86400000) AS INTEGER) + 1 FROM sync_audit_message GROUP BY sync_audit_message_id / 256;
INSERT INTO counter SELECT 'audit', COALESCE(MAX(sync_audit_message_id), 0) FROM sync_audit_message;
-- Parked changes that a person gave up: they stay in sync_parked and are not tried any more.
CREATE TABLE IF NOT EXISTS sync_given_up (
  peer TEXT NOT NULL, direction TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, actor TEXT NOT NULL, why TEXT NOT NULL, given_up_at TEXT NOT NULL,
  PRIMARY KEY (peer, direction, type, id)) STRICT, WITHOUT ROWID;
