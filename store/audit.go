package store

import (
	"database/sql"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/version"
)

const auditColumns = "sync_audit_message_id, class, uuid, success, timestamp, resource_name, resource_id, version, used_resource_url, available_resource_urls, " +
	"parent_url, local_url, action, details, operation, link_type, next_message_uuid, creator_instance_id, merge_conflict_uuid, " +
	"peer, run, outcome, http_status, bytes, duration_ms"

// Audit writes a record in this transaction. Its time and UUID are given here where they are empty. It returns the UUID.
func (tx *Tx) Audit(r audit.Record) string {
	if r.UUID == "" {
		r.UUID = tx.rowUUID()
	}
	if r.Time == 0 {
		r.Time = tx.Now()
	}
	if r.Creator == "" {
		r.Creator = tx.Identity().Name
	}
	tx.audits = append(tx.audits, pendingAudit{class: classOf(r), time: r.Time, row: []any{
		nil, nil, r.UUID, boolInt(r.Outcome.Success()), timeText(r.Time), clip(r.Key.Type, 40), clip(r.Key.ID, 64), r.Version.String(),
		clip(r.URL, 500), nil, clip(r.ParentURL, 255), clip(r.LocalURL, 255), r.Action, clip(r.Details, 4000), string(r.Operation),
		r.LinkType, null(r.Next), clip(r.Creator, 100), null(r.Conflict), clip(r.Peer, 100), r.Run, string(r.Outcome), r.HTTPStatus, r.Bytes, r.Duration,
	}})
	return r.UUID
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// clip cuts a text to at most n bytes at a character boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

func scanAudit(rows *sql.Rows) (audit.Record, error) {
	var r audit.Record
	var at, ver, op, outcome string
	var success int
	var class int64
	var links, next, conflict sql.NullString
	if err := rows.Scan(&r.ID, &class, &r.UUID, &success, &at, &r.Key.Type, &r.Key.ID, &ver, &r.URL, &links, &r.ParentURL, &r.LocalURL, &r.Action,
		&r.Details, &op, &r.LinkType, &next, &r.Creator, &conflict, &r.Peer, &r.Run, &outcome, &r.HTTPStatus, &r.Bytes, &r.Duration); err != nil {
		return r, err
	}
	r.Time, r.Success, r.Operation, r.Outcome = parseTime(at), success != 0, audit.Operation(op), audit.Outcome(outcome)
	r.Next, r.Conflict = next.String, conflict.String
	if ver != "" {
		v, err := version.Parse(ver)
		if err != nil {
			return r, err
		}
		r.Version = v
	}
	return r, nil
}

// PruneAudit deletes at most limit audit rows, and as many closed runs, that are older than before (milliseconds since 1970 UTC). It
// returns how many audit rows.
func (tx *Tx) PruneAudit(before int64, limit int) (int, error) {
	deleted := 0
	for deleted < limit {
		var first, last sql.NullInt64
		if _, err := tx.one("SELECT MIN(block), MAX(block) FROM (SELECT block FROM audit_block WHERE first_at < ? ORDER BY block LIMIT ?) t",
			[]any{before, 1 + limit/auditBlock}, &first, &last); err != nil {
			return deleted, err
		}
		if !first.Valid {
			break
		}
		n, err := tx.pruneBlocks(first.Int64, last.Int64, before, limit-deleted)
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	return deleted, tx.exec("DELETE FROM sync_run WHERE finished < ?", timeText(before))
}

// pruneBlocks deletes old rows of some blocks, and the blocks that are empty then; of the others it notes that nothing old is in them.
func (tx *Tx) pruneBlocks(first, last, before int64, limit int) (int, error) {
	low, done := first*auditBlock, last*auditBlock+auditBlock-1
	var upTo sql.NullInt64
	var n int
	if _, err := tx.one("SELECT MAX(x), COUNT(*) FROM (SELECT sync_audit_message_id AS x FROM sync_audit_message WHERE sync_audit_message_id BETWEEN ? AND ? "+
		"AND timestamp < ? ORDER BY sync_audit_message_id LIMIT ?) t", []any{low, done, timeText(before), limit}, &upTo, &n); err != nil {
		return 0, err
	}
	if n == limit {
		done = upTo.Int64
	}
	if err := tx.exec("DELETE FROM sync_audit_message WHERE sync_audit_message_id BETWEEN ? AND ? AND timestamp < ?", low, done, timeText(before)); err != nil {
		return 0, err
	}
	whole := (done+1)/auditBlock - 1 // the last block that was looked through to its end
	if err := tx.exec("DELETE FROM audit_block WHERE block BETWEEN ? AND ? AND NOT EXISTS (SELECT 1 FROM sync_audit_message WHERE "+
		"sync_audit_message_id BETWEEN block * 256 AND block * 256 + 255)", first, whole); err != nil {
		return n, err
	}
	return n, tx.exec("UPDATE audit_block SET first_at = ? WHERE block BETWEEN ? AND ? AND first_at < ?", before, first, whole, before)
}
