CREATE TABLE `change_log` (
  `seq` bigint(20) NOT NULL,
  `type` varchar(40) NOT NULL,
  `id` varchar(64) NOT NULL,
  `ordinal` bigint(20) NOT NULL,
  `action` varchar(20) NOT NULL,
  `replica` char(36) NOT NULL,
  `tick` bigint(20) NOT NULL,
  `vector` mediumtext NOT NULL,
  `author` char(36) NOT NULL,
  `authored` bigint(20) NOT NULL,
  `origin` varchar(60) NOT NULL,
  `deleted` int(11) NOT NULL,
  `hash` varbinary(32) NOT NULL,
  `committed` bigint(20) NOT NULL,
  `unit` varchar(36) NOT NULL,
  `unit_size` int(11) NOT NULL,
  `source` varchar(100) NOT NULL,
  `content_seq` bigint(20) NOT NULL,
  `size` int(11) NOT NULL,
  `enc` int(11) NOT NULL,
  `content` longblob DEFAULT NULL,
  PRIMARY KEY (`seq`),
  UNIQUE KEY `change_log_ordinal` (`type`,`ordinal`),
  KEY `change_log_key` (`type`,`id`,`seq`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO change_log VALUES (1, 'Patient', 'p1', 1, 'CREATED', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1, '1-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1714550400000, '1-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 0, x'0101000000000000000000000000000000000000000000000000000000000000', 1714550400000, '', 0, '', 1, 81, 0, x'7b227265736f7572636554797065223a2250617469656e74222c226964223a227031222c226e616d65223a5b7b2266616d696c79223a224f27c5bd6f666965205c5c205c22e697a5e69cac5c22227d5d7d');
INSERT INTO change_log VALUES (2, 'Patient', 'p1', 2, 'UPDATED', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 2, '2-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1714550400000, '2-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 0, x'0102000000000000000000000000000000000000000000000000000000000000', 1714550400000, '', 0, '', 2, 1620, 1, x'28b52ffd605405dd020014057b227265736f7572636554797065223a2250617469656e74222c226964223a227031222c226e616d65223a5b7b2266616d696c79223a224f27c5bd6f666965205c5c205c22e697a5e69cac5c22227d5d7d015419062e118054');
INSERT INTO change_log VALUES (3, 'Patient', 'P1', 3, 'CREATED', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 3, '3-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1714550400000, '3-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 0, x'0103000000000000000000000000000000000000000000000000000000000000', 1714550400000, '', 0, '', 3, 81, 0, x'7b227265736f7572636554797065223a2250617469656e74222c226964223a227031222c226e616d65223a5b7b2266616d696c79223a224f27c5bd6f666965205c5c205c22e697a5e69cac5c22227d5d7d');
INSERT INTO change_log VALUES (4, 'Patient', 'P1', 4, 'DELETED', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 4, '4-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1714550400000, '4-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1, x'', 1714550400000, '', 0, '', 0, 0, 0, NULL);
INSERT INTO change_log VALUES (5, 'Encounter', 'e1', 1, 'CREATED', '00000000-0000-4000-8000-00000000000a', 3, '3-00000000-0000-4000-8000-00000000000a 1-00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-00000000000a', 1700000000000, '3-00000000-0000-4000-8000-00000000000a', 0, x'0703000000000000000000000000000000000000000000000000000000000000', 1714550400000, '', 0, 'north', 5, 81, 0, x'7b227265736f7572636554797065223a2250617469656e74222c226964223a227031222c226e616d65223a5b7b2266616d696c79223a224f27c5bd6f666965205c5c205c22e697a5e69cac5c22227d5d7d');
CREATE TABLE `counter` (
  `name` varchar(100) NOT NULL,
  `value` bigint(20) NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO counter VALUES ('committed', 1714550400000);
INSERT INTO counter VALUES ('ordinal/Encounter', 1);
INSERT INTO counter VALUES ('ordinal/Patient', 4);
INSERT INTO counter VALUES ('revision', 4);
INSERT INTO counter VALUES ('revision/up', 4);
INSERT INTO counter VALUES ('sequence', 5);
CREATE TABLE `goose_db_version` (
  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `version_id` bigint(20) NOT NULL,
  `is_applied` tinyint(1) NOT NULL,
  `tstamp` datetime DEFAULT current_timestamp(),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO goose_db_version VALUES (1, 0, 1, '2026-11-21 11:13:21');
INSERT INTO goose_db_version VALUES (2, 1, 1, '2026-11-21 11:13:22');
CREATE TABLE `knowledge` (
  `type` varchar(40) NOT NULL,
  `replica` char(36) NOT NULL,
  `tick` bigint(20) NOT NULL,
  `revision` bigint(20) NOT NULL,
  `up` bigint(20) NOT NULL,
  PRIMARY KEY (`type`,`replica`),
  KEY `knowledge_revision` (`revision`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO knowledge VALUES ('Patient', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 4, 4, 4);
CREATE TABLE `knowledge_exception` (
  `type` varchar(40) NOT NULL,
  `id` varchar(64) NOT NULL,
  `replica` char(36) NOT NULL,
  `tick` bigint(20) NOT NULL,
  `revision` bigint(20) NOT NULL,
  PRIMARY KEY (`type`,`id`,`replica`,`tick`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `knowledge_forgotten` (
  `type` varchar(40) NOT NULL,
  `replica` char(36) NOT NULL,
  `tick` bigint(20) NOT NULL,
  `revision` bigint(20) NOT NULL,
  PRIMARY KEY (`type`,`replica`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `node_state` (
  `name` varchar(100) NOT NULL,
  `value` text NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO node_state VALUES ('epoch', '5c2897ce-d6ef-4357-98e3-39811689c852');
INSERT INTO node_state VALUES ('name', 'clinic');
INSERT INTO node_state VALUES ('page_size', '4');
INSERT INTO node_state VALUES ('replica', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261');
CREATE TABLE `participant` (
  `id` varchar(64) NOT NULL,
  `kind` varchar(20) NOT NULL,
  `name` varchar(100) NOT NULL,
  `credential` varchar(100) NOT NULL,
  `replica` char(36) NOT NULL,
  `epoch` varchar(36) NOT NULL,
  `public_key` varchar(100) NOT NULL,
  `url` varchar(255) NOT NULL,
  `created` datetime(3) NOT NULL,
  `last_seen` datetime(3) NOT NULL,
  `seq` bigint(20) NOT NULL,
  `scope` text NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `participant_name` (`kind`,`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO participant VALUES ('c1', 'child', 'north', 'hash', '', '', '', '', '2024-05-01 08:00:00.000', '1970-01-01 00:00:00.000', 0, '');
CREATE TABLE `replica` (
  `id` varchar(64) NOT NULL,
  `name` varchar(100) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO replica VALUES ('be5d6e24-4e20-44aa-8c0f-78e3603d0261', 'clinic');
CREATE TABLE `resource` (
  `type` varchar(40) NOT NULL,
  `id` varchar(64) NOT NULL,
  `replica` char(36) NOT NULL,
  `tick` bigint(20) NOT NULL,
  `vector` mediumtext NOT NULL,
  `author` char(36) NOT NULL,
  `authored` bigint(20) NOT NULL,
  `origin` varchar(60) NOT NULL,
  `deleted` int(11) NOT NULL,
  `hash` varbinary(32) NOT NULL,
  `committed` bigint(20) NOT NULL,
  `seq` bigint(20) NOT NULL,
  `content_seq` bigint(20) NOT NULL,
  `delivered` varchar(36) NOT NULL,
  `created` varchar(60) NOT NULL,
  `num` bigint(20) NOT NULL,
  PRIMARY KEY (`type`,`id`),
  UNIQUE KEY `resource_num` (`num`),
  KEY `resource_version` (`type`,`replica`,`tick`),
  KEY `resource_committed` (`type`,`committed`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO resource VALUES ('Encounter', 'e1', '00000000-0000-4000-8000-00000000000a', 3, '3-00000000-0000-4000-8000-00000000000a 1-00000000-0000-4000-8000-00000000000b', '00000000-0000-4000-8000-00000000000a', 1700000000000, '3-00000000-0000-4000-8000-00000000000a', 0, x'0703000000000000000000000000000000000000000000000000000000000000', 1714550400000, 5, 5, '', '3-00000000-0000-4000-8000-00000000000a', 5);
INSERT INTO resource VALUES ('Patient', 'P1', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 4, '4-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1714550400000, '4-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1, x'', 1714550400000, 4, 0, '', '3-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 3);
INSERT INTO resource VALUES ('Patient', 'p1', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 2, '2-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 'be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1714550400000, '2-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 0, x'0102000000000000000000000000000000000000000000000000000000000000', 1714550400000, 2, 2, '', '1-be5d6e24-4e20-44aa-8c0f-78e3603d0261', 1);
CREATE TABLE `resource_index` (
  `num` bigint(20) NOT NULL,
  `param` int(11) NOT NULL,
  `value` varchar(200) NOT NULL,
  `space` bigint(20) NOT NULL,
  PRIMARY KEY (`num`,`param`,`value`,`space`),
  KEY `resource_index_value` (`param`,`value`,`num`,`space`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO resource_index VALUES (5, 407497618, 'v', 8147238921908631555);
INSERT INTO resource_index VALUES (5, 1820534634, 'urn:s', 0);
CREATE TABLE `resource_seen` (
  `type` varchar(40) NOT NULL,
  `replica` char(36) NOT NULL,
  `tick` bigint(20) NOT NULL,
  `id` varchar(64) NOT NULL,
  PRIMARY KEY (`type`,`replica`,`tick`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO resource_seen VALUES ('Encounter', '00000000-0000-4000-8000-00000000000b', 1, 'e1');
CREATE TABLE `server_copy` (
  `server` varchar(100) NOT NULL,
  `type` varchar(40) NOT NULL,
  `id` varchar(64) NOT NULL,
  `tag` varchar(255) NOT NULL,
  `deleted` int(11) NOT NULL,
  `hash` binary(32) NOT NULL,
  `vector` mediumtext NOT NULL,
  PRIMARY KEY (`server`,`type`,`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `sync_audit_message` (
  `sync_audit_message_id` bigint(20) NOT NULL AUTO_INCREMENT,
  `uuid` char(36) NOT NULL,
  `success` int(11) NOT NULL,
  `timestamp` datetime(3) NOT NULL,
  `resource_name` varchar(40) NOT NULL,
  `resource_id` varchar(64) NOT NULL,
  `version` varchar(60) NOT NULL,
  `used_resource_url` varchar(500) NOT NULL,
  `available_resource_urls` longtext DEFAULT NULL,
  `parent_url` varchar(255) NOT NULL,
  `local_url` varchar(255) NOT NULL,
  `action` varchar(20) NOT NULL,
  `details` mediumtext NOT NULL,
  `operation` varchar(20) NOT NULL,
  `link_type` varchar(20) NOT NULL,
  `next_message_uuid` char(36) DEFAULT NULL,
  `creator_instance_id` varchar(100) NOT NULL,
  `merge_conflict_uuid` char(36) DEFAULT NULL,
  `peer` varchar(100) NOT NULL,
  `run` varchar(36) NOT NULL,
  `outcome` varchar(20) NOT NULL,
  `http_status` int(11) NOT NULL,
  `bytes` bigint(20) NOT NULL,
  `duration_ms` bigint(20) NOT NULL,
  PRIMARY KEY (`sync_audit_message_id`),
  KEY `sync_audit_message_resource` (`resource_name`,`resource_id`),
  KEY `sync_audit_message_failure` (`success`,`sync_audit_message_id`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO sync_audit_message VALUES (1, '018f332a-e400-7455-b2ba-4a53b178f068', 1, '2024-05-01 08:00:00.000', 'Encounter', 'e1', '3-00000000-0000-4000-8000-00000000000a', '', NULL, '', '', '', 'it''s\nfine', 'RECEIVE', '', NULL, 'clinic', NULL, 'north', '', 'applied', 0, 0, 0);
CREATE TABLE `sync_conflict` (
  `uuid` char(36) NOT NULL,
  `type` varchar(40) NOT NULL,
  `id` varchar(64) NOT NULL,
  `status` varchar(10) NOT NULL,
  `rule` varchar(30) NOT NULL,
  `winner` varchar(10) NOT NULL,
  `flagged` int(11) NOT NULL,
  `peer` varchar(100) NOT NULL,
  `opened` datetime(3) NOT NULL,
  `closed` datetime(3) DEFAULT NULL,
  `decided_version` varchar(60) NOT NULL,
  `local_stamp` mediumtext NOT NULL,
  `local_content` longblob DEFAULT NULL,
  `incoming_stamp` mediumtext NOT NULL,
  `incoming_content` longblob DEFAULT NULL,
  PRIMARY KEY (`uuid`),
  KEY `sync_conflict_key` (`type`,`id`),
  KEY `sync_conflict_status` (`status`,`opened`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO sync_conflict VALUES ('00000000-0000-4000-8000-0000000000cc', 'Patient', 'p1', 'open', 'manual', '', 0, 'north', '2024-05-01 08:00:00.000', NULL, '', '{"version":"3-00000000-0000-4000-8000-00000000000a","vector":"3-00000000-0000-4000-8000-00000000000a 1-00000000-0000-4000-8000-00000000000b","author":"00000000-0000-4000-8000-00000000000a","authored":1700000000000,"origin":"3-00000000-0000-4000-8000-00000000000a","hash":"0703000000000000000000000000000000000000000000000000000000000000"}', x'7b227265736f7572636554797065223a2250617469656e74222c226964223a227031222c226e616d65223a5b7b2266616d696c79223a224f27c5bd6f666965205c5c205c22e697a5e69cac5c22227d5d7d', '{"version":"2-00000000-0000-4000-8000-00000000000b","vector":"2-00000000-0000-4000-8000-00000000000b","author":"00000000-0000-4000-8000-00000000000b","authored":1700000000000,"origin":"2-00000000-0000-4000-8000-00000000000b","hash":"0702000000000000000000000000000000000000000000000000000000000000"}', x'7b2269223a317d');
CREATE TABLE `sync_cursor` (
  `peer` varchar(100) NOT NULL,
  `direction` varchar(10) NOT NULL,
  `scope` text NOT NULL,
  `epoch` varchar(36) NOT NULL,
  `seq` bigint(20) NOT NULL,
  `backlog` bigint(20) NOT NULL,
  `revision` bigint(20) NOT NULL,
  `resume` varchar(2000) NOT NULL,
  `updated` datetime(3) NOT NULL,
  PRIMARY KEY (`peer`,`direction`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO sync_cursor VALUES ('district', 'pull', 'Patient', '00000000-0000-4000-8000-0000000000cc', 12, 0, 0, '', '2024-05-01 08:00:00.000');
CREATE TABLE `sync_held` (
  `type` varchar(40) NOT NULL,
  `id` varchar(64) NOT NULL,
  `version` varchar(60) NOT NULL,
  `peer` varchar(100) NOT NULL,
  `action` varchar(20) NOT NULL,
  `stamp` mediumtext NOT NULL,
  `content` longblob DEFAULT NULL,
  `held_at` datetime(3) NOT NULL,
  `refusal` text NOT NULL,
  PRIMARY KEY (`type`,`id`,`version`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO sync_held VALUES ('Patient', 'p1', '2-00000000-0000-4000-8000-00000000000b', 'district', 'UPDATED', '{"version":"2-00000000-0000-4000-8000-00000000000b","vector":"2-00000000-0000-4000-8000-00000000000b","author":"00000000-0000-4000-8000-00000000000b","authored":1700000000000,"origin":"2-00000000-0000-4000-8000-00000000000b","hash":"0702000000000000000000000000000000000000000000000000000000000000"}', x'7b227265736f7572636554797065223a2250617469656e74222c226964223a227031222c226e616d65223a5b7b2266616d696c79223a224f27c5bd6f666965205c5c205c22e697a5e69cac5c22227d5d7d', '2024-05-01 08:00:00.000', '');
CREATE TABLE `sync_parked` (
  `uuid` char(36) NOT NULL,
  `direction` varchar(10) NOT NULL,
  `peer` varchar(100) NOT NULL,
  `type` varchar(40) NOT NULL,
  `id` varchar(64) NOT NULL,
  `epoch` varchar(36) NOT NULL,
  `seq` bigint(20) NOT NULL,
  `unit` varchar(36) NOT NULL,
  `unit_size` int(11) NOT NULL,
  `action` varchar(20) NOT NULL,
  `stamp` mediumtext NOT NULL,
  `content` longblob DEFAULT NULL,
  `reason` text NOT NULL,
  `kind` varchar(20) NOT NULL,
  `attempts` int(11) NOT NULL,
  `parked_at` datetime(3) NOT NULL,
  `next_retry` datetime(3) NOT NULL,
  PRIMARY KEY (`uuid`),
  UNIQUE KEY `sync_parked_key` (`peer`,`direction`,`type`,`id`),
  KEY `sync_parked_retry` (`direction`,`next_retry`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO sync_parked VALUES ('018f332a-e400-7372-bff8-3e2ffa0d04e5', 'pull', 'district', 'Patient', 'bad', '', 0, '', 0, '', '{"version":"2-00000000-0000-4000-8000-00000000000b","vector":"2-00000000-0000-4000-8000-00000000000b","author":"00000000-0000-4000-8000-00000000000b","authored":1700000000000,"origin":"2-00000000-0000-4000-8000-00000000000b","hash":"0702000000000000000000000000000000000000000000000000000000000000"}', x'0001ff', 'bad', '', 1, '2024-05-01 08:00:00.000', '2024-05-01 08:01:00.000');
CREATE TABLE `sync_run` (
  `id` char(36) NOT NULL,
  `direction` varchar(10) NOT NULL,
  `peer` varchar(100) NOT NULL,
  `started` datetime(3) NOT NULL,
  `finished` datetime(3) DEFAULT NULL,
  `outcome` varchar(20) NOT NULL,
  `events_read` bigint(20) NOT NULL,
  `applied` bigint(20) NOT NULL,
  `skipped` bigint(20) NOT NULL,
  `held` bigint(20) NOT NULL,
  `parked` bigint(20) NOT NULL,
  `bytes_in` bigint(20) NOT NULL,
  `bytes_out` bigint(20) NOT NULL,
  `error` text NOT NULL,
  PRIMARY KEY (`id`),
  KEY `sync_run_started` (`started`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO sync_run VALUES ('00000000-0000-4000-8000-0000000000cc', 'pull', 'district', '2024-05-01 08:00:00.000', NULL, 'running', 0, 0, 0, 0, 0, 0, 0, '');
CREATE TABLE `tick` (
  `replica` char(36) NOT NULL,
  `type` varchar(40) NOT NULL,
  `value` bigint(20) NOT NULL,
  PRIMARY KEY (`replica`,`type`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO tick VALUES ('be5d6e24-4e20-44aa-8c0f-78e3603d0261', 'Patient', 4);
