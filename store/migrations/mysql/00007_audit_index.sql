-- +goose Up
-- The classes of audit rows: each operation, outcome, type and other side that there was. The id is made of the four (store/auditclass.go).
CREATE TABLE IF NOT EXISTS audit_class (
  id BIGINT PRIMARY KEY, operation VARCHAR(20) NOT NULL, outcome VARCHAR(20) NOT NULL, resource_name VARCHAR(40) NOT NULL,
  peer VARCHAR(100) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Between which times (milliseconds since 1970 UTC) the audit rows of each block of ids lie, because a clock may go back.
CREATE TABLE IF NOT EXISTS audit_block (block BIGINT PRIMARY KEY, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL)
  ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- One statement, so that it happened or did not, and may come again.
SET @change = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'sync_audit_message'
  AND column_name = 'class') > 0, 'DO 0', 'ALTER TABLE sync_audit_message ADD COLUMN class BIGINT NOT NULL DEFAULT 0, DROP KEY sync_audit_message_failure, ADD KEY sync_audit_message_class (class), ADD KEY sync_audit_message_run (run, class)');
PREPARE migration FROM @change;
EXECUTE migration;
DEALLOCATE PREPARE migration;
-- Rows of before: numbered from the first on, which no id made of the four is.
INSERT IGNORE INTO audit_class SELECT ROW_NUMBER() OVER (ORDER BY operation, outcome, resource_name, peer), operation, outcome, resource_name, peer FROM (
  SELECT DISTINCT operation, outcome, resource_name, CASE WHEN operation = 'REFUSE' THEN '' ELSE peer END AS peer FROM sync_audit_message) old;
UPDATE sync_audit_message m JOIN audit_class c ON c.operation = m.operation AND c.outcome = m.outcome AND c.resource_name = m.resource_name
  AND c.peer = CASE WHEN m.operation = 'REFUSE' THEN '' ELSE m.peer END SET m.class = c.id;
INSERT IGNORE INTO audit_block SELECT sync_audit_message_id DIV 256, ROUND(UNIX_TIMESTAMP(MIN(timestamp)) * 1000) - 1,
  ROUND(UNIX_TIMESTAMP(MAX(timestamp)) * 1000) + 1 FROM sync_audit_message GROUP BY sync_audit_message_id DIV 256;
INSERT IGNORE INTO counter SELECT 'audit', COALESCE(MAX(sync_audit_message_id), 0) FROM sync_audit_message;
-- Parked changes that a person gave up: they stay in sync_parked and are not tried any more.
CREATE TABLE IF NOT EXISTS sync_given_up (
  peer VARCHAR(100) NOT NULL, direction VARCHAR(10) NOT NULL, type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL, actor VARCHAR(100) NOT NULL,
  why TEXT NOT NULL, given_up_at DATETIME(3) NOT NULL, PRIMARY KEY (peer, direction, type, id)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
