-- +goose Up
-- What reads by sessions (phones, scripts, dashboards): one row for each device id under which a registration came. seq: up to there its
-- queue was brought up to date with the log; target and resume: a walk over everything that is under way, and where it is; round rises
-- when what was given out before is not to be acknowledged any more; place is the last that was given in the queue.
CREATE TABLE IF NOT EXISTS device (
  num BIGINT PRIMARY KEY, registration VARCHAR(64) NOT NULL, uuid VARCHAR(64) NOT NULL, secret VARCHAR(64) NOT NULL, scope TEXT NOT NULL, epoch VARCHAR(36) NOT NULL,
  round BIGINT NOT NULL, seq BIGINT NOT NULL, target BIGINT NOT NULL, resume TEXT NOT NULL, place BIGINT NOT NULL,
  created DATETIME(3) NOT NULL, last_seen DATETIME(3) NOT NULL,
  UNIQUE KEY device_uuid (registration, uuid)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- What a device has, or is to be told: acked is the sequence of the copy that it acknowledged, 0 for none; place is where the resource
-- stands in its queue, NULL where nothing waits.
CREATE TABLE IF NOT EXISTS device_ack (
  device BIGINT NOT NULL, type VARCHAR(40) NOT NULL, id VARCHAR(64) NOT NULL, acked BIGINT NOT NULL, place BIGINT,
  PRIMARY KEY (device, type, id), KEY device_ack_place (device, place)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Sessions: head is where the log stood when it began, place how far the queue was read, given how many items went out of how many.
CREATE TABLE IF NOT EXISTS device_session (
  id CHAR(36) PRIMARY KEY, device BIGINT NOT NULL, head BIGINT NOT NULL, place BIGINT NOT NULL, given BIGINT NOT NULL, total BIGINT NOT NULL,
  started DATETIME(3) NOT NULL,
  KEY device_session_device (device)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
