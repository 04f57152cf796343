-- +goose Up
-- What a conflict is about: its kind, the common ancestor, why it was decided or left open, and who resolved it and why.
CREATE TABLE IF NOT EXISTS conflict_detail (
  uuid CHAR(36) PRIMARY KEY, kind VARCHAR(20) NOT NULL, ancestor_version VARCHAR(60) NOT NULL, ancestor_content LONGBLOB, reason TEXT NOT NULL,
  actor VARCHAR(100) NOT NULL, remark TEXT NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
