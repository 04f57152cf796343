-- +goose Up
-- What a conflict is about: its kind, the common ancestor, why it was decided or left open, and who resolved it and why.
CREATE TABLE IF NOT EXISTS conflict_detail (
  uuid TEXT PRIMARY KEY, kind TEXT NOT NULL, ancestor_version TEXT NOT NULL, ancestor_content BLOB, reason TEXT NOT NULL,
  actor TEXT NOT NULL, remark TEXT NOT NULL) STRICT;
