-- +goose Up
-- Replicas of whose changes a child wants to know how far up they came: its own, and those of the nodes below it. revision is that of the
-- knowledge when the replica was noted.
CREATE TABLE IF NOT EXISTS reach_asked (
  child TEXT NOT NULL, replica TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (child, replica)) STRICT, WITHOUT ROWID;
-- Up to which tick nodes above this one have the changes of replicas, as each said in the life that node_state "reach" names for its level
-- (1: the parent). aside: ticks among them that it lacks.
CREATE TABLE IF NOT EXISTS reached (
  level INTEGER NOT NULL, replica TEXT NOT NULL, type TEXT NOT NULL, tick INTEGER NOT NULL, aside TEXT NOT NULL, revision INTEGER NOT NULL,
  PRIMARY KEY (level, replica, type)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reached_revision ON reached (revision);
CREATE INDEX IF NOT EXISTS knowledge_exception_version ON knowledge_exception (replica, type, tick);
-- When ticks were given, in milliseconds since 1970 UTC: of each own replica and type one at most a minute.
CREATE TABLE IF NOT EXISTS tick_time (
  replica TEXT NOT NULL, type TEXT NOT NULL, tick INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (replica, type, tick)) STRICT, WITHOUT ROWID;
-- Nodes below this one, as children reported them: child is the participant through whom it came, parent the row of the node above it, report
-- what it says of itself as JSON. Times are milliseconds since 1970 UTC by this node's clock; revision rises when anything but contact changes.
CREATE TABLE IF NOT EXISTS subtree (
  child TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, name TEXT NOT NULL, replica TEXT NOT NULL, report TEXT NOT NULL,
  contact INTEGER NOT NULL, reported INTEGER NOT NULL, gone INTEGER NOT NULL, revision INTEGER NOT NULL, touched INTEGER NOT NULL,
  PRIMARY KEY (child, id)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS subtree_touched ON subtree (touched);
