-- +goose Up
-- Addresses of endpoints that are no nodes: their replica is made of the address and does not tell it.
CREATE TABLE IF NOT EXISTS sdata_endpoint (replica TEXT PRIMARY KEY, url TEXT NOT NULL) STRICT;
-- Asynchronous operations of SData: what was frozen for a source, what came of a batch at a target. They stay until their consumer deletes
-- them; a deleted one stays as its name, so that it can be told from one that never was.
CREATE TABLE IF NOT EXISTS sdata_job (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, type TEXT NOT NULL, run_name TEXT NOT NULL, run_stamp TEXT NOT NULL, created TEXT NOT NULL,
  deleted INTEGER NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS sdata_job_created ON sdata_job (created);
