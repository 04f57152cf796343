-- +goose Up
-- Addresses of endpoints that are no nodes: their replica is made of the address and does not tell it.
CREATE TABLE IF NOT EXISTS sdata_endpoint (replica CHAR(36) PRIMARY KEY, url VARCHAR(500) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Asynchronous operations of SData: what was frozen for a source, what came of a batch at a target. They stay until their consumer deletes
-- them; a deleted one stays as its name, so that it can be told from one that never was.
CREATE TABLE IF NOT EXISTS sdata_job (
  id VARCHAR(64) PRIMARY KEY, kind VARCHAR(10) NOT NULL, type VARCHAR(40) NOT NULL, run_name VARCHAR(200) NOT NULL, run_stamp VARCHAR(100) NOT NULL,
  created DATETIME(3) NOT NULL, deleted INT NOT NULL, status INT NOT NULL, body LONGBLOB NOT NULL,
  KEY sdata_job_created (created)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
