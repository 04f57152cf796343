-- +goose Up
-- What reads by sessions (phones, scripts, dashboards): one row for each device id under which a registration came. seq: up to there its
-- queue was brought up to date with the log; target and resume: a walk over everything that is under way, and where it is; round rises
-- when what was given out before is not to be acknowledged any more; place is the last that was given in the queue.
CREATE TABLE IF NOT EXISTS device (
  num INTEGER PRIMARY KEY, registration TEXT NOT NULL, uuid TEXT NOT NULL, secret TEXT NOT NULL, scope TEXT NOT NULL, epoch TEXT NOT NULL,
  round INTEGER NOT NULL, seq INTEGER NOT NULL, target INTEGER NOT NULL, resume TEXT NOT NULL, place INTEGER NOT NULL,
  created TEXT NOT NULL, last_seen TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS device_uuid ON device (registration, uuid);
-- What a device has, or is to be told: acked is the sequence of the copy that it acknowledged, 0 for none; place is where the resource
-- stands in its queue, NULL where nothing waits.
CREATE TABLE IF NOT EXISTS device_ack (
  device INTEGER NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, acked INTEGER NOT NULL, place INTEGER,
  PRIMARY KEY (device, type, id)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS device_ack_place ON device_ack (device, place);
-- Sessions: head is where the log stood when it began, place how far the queue was read, given how many items went out of how many.
CREATE TABLE IF NOT EXISTS device_session (
  id TEXT PRIMARY KEY, device INTEGER NOT NULL, head INTEGER NOT NULL, place INTEGER NOT NULL, given INTEGER NOT NULL, total INTEGER NOT NULL,
  started TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS device_session_device ON device_session (device);
