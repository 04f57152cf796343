-- +goose Up
-- Replicas of whose changes a child wants to know how far up they came: its own, and those of the nodes below it. revision is that of the
-- knowledge when the replica was noted.
CREATE TABLE IF NOT EXISTS reach_asked (
  child CHAR(36) NOT NULL, replica CHAR(36) NOT NULL, revision BIGINT NOT NULL,
  PRIMARY KEY (child, replica)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Up to which tick nodes above this one have the changes of replicas, as each said in the life that node_state "reach" names for its level
-- (1: the parent). aside: ticks among them that it lacks.
CREATE TABLE IF NOT EXISTS reached (
  level INT NOT NULL, replica CHAR(36) NOT NULL, type VARCHAR(40) NOT NULL, tick BIGINT NOT NULL, aside TEXT NOT NULL, revision BIGINT NOT NULL,
  PRIMARY KEY (level, replica, type), KEY reached_revision (revision)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- When ticks were given, in milliseconds since 1970 UTC: of each own replica and type one at most a minute.
CREATE TABLE IF NOT EXISTS tick_time (
  replica CHAR(36) NOT NULL, type VARCHAR(40) NOT NULL, tick BIGINT NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (replica, type, tick)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Nodes below this one, as children reported them: child is the participant through whom it came, parent the row of the node above it, report
-- what it says of itself as JSON. Times are milliseconds since 1970 UTC by this node's clock; revision rises when anything but contact changes.
CREATE TABLE IF NOT EXISTS subtree (
  child CHAR(36) NOT NULL, id CHAR(36) NOT NULL, parent CHAR(36) NOT NULL, name VARCHAR(100) NOT NULL, replica VARCHAR(36) NOT NULL, report TEXT NOT NULL,
  contact BIGINT NOT NULL, reported BIGINT NOT NULL, gone INT NOT NULL, revision BIGINT NOT NULL, touched BIGINT NOT NULL,
  PRIMARY KEY (child, id), KEY subtree_touched (touched)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
