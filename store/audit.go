package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/version"
)

const auditColumns = "uuid, success, timestamp, resource_name, resource_id, version, used_resource_url, available_resource_urls, " +
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
	tx.audits = append(tx.audits, []any{
		r.UUID, boolInt(r.Outcome.Success()), timeText(r.Time), clip(r.Key.Type, 40), clip(r.Key.ID, 64), r.Version.String(),
		clip(r.URL, 500), nil, clip(r.ParentURL, 255), clip(r.LocalURL, 255), r.Action, clip(r.Details, 4000), string(r.Operation),
		r.LinkType, null(r.Next), clip(r.Creator, 100), null(r.Conflict), clip(r.Peer, 100), r.Run, string(r.Outcome), r.HTTPStatus, r.Bytes, r.Duration,
	})
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

// AuditRecords returns the records that q selects, newest first.
func (s *Store) AuditRecords(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	var where []string
	var args []any
	and := func(cond string, a ...any) { where, args = append(where, cond), append(args, a...) }
	if q.Operation != "" {
		and("operation = ?", string(q.Operation))
	}
	if q.Outcome != "" {
		and("outcome = ?", string(q.Outcome))
	}
	if q.Failures {
		and("success = 0")
	}
	if q.Type != "" {
		and("resource_name = ?", q.Type)
	}
	if q.ID != "" {
		and("resource_id = ?", q.ID)
	}
	if q.Run != "" {
		and("run = ?", q.Run)
	}
	if q.Peer != "" {
		and("peer = ?", q.Peer)
	}
	if q.From > 0 {
		and("timestamp >= ?", timeText(q.From))
	}
	if q.To > 0 {
		and("timestamp < ?", timeText(q.To))
	}
	if q.Before > 0 {
		and("sync_audit_message_id < ?", q.Before)
	}
	cond := ""
	if len(where) > 0 {
		cond = " WHERE " + strings.Join(where, " AND ")
	}
	limit := q.Limit
	if limit <= 0 || limit > 10_000 {
		limit = 100
	}
	d := s.direct(ctx)
	var out []audit.Record
	err := d.each("SELECT sync_audit_message_id, "+auditColumns+" FROM sync_audit_message"+cond+" ORDER BY sync_audit_message_id DESC LIMIT ?",
		append(args, limit), func(rows *sql.Rows) error {
			r, err := scanAudit(rows)
			out = append(out, r)
			return err
		})
	return out, s.dialect.wrap("read audit", err)
}

func scanAudit(rows *sql.Rows) (audit.Record, error) {
	var r audit.Record
	var at, ver, op, outcome string
	var success int
	var links, next, conflict sql.NullString
	if err := rows.Scan(&r.ID, &r.UUID, &success, &at, &r.Key.Type, &r.Key.ID, &ver, &r.URL, &links, &r.ParentURL, &r.LocalURL, &r.Action,
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

// AuditCounts returns how many records there are of each outcome since from (milliseconds since 1970 UTC).
func (s *Store) AuditCounts(ctx context.Context, from int64) (map[audit.Outcome]int64, error) {
	d := s.direct(ctx)
	out := map[audit.Outcome]int64{}
	err := d.each("SELECT outcome, COUNT(*) FROM sync_audit_message WHERE timestamp >= ? GROUP BY outcome", []any{timeText(from)},
		func(rows *sql.Rows) error {
			var o string
			var n int64
			if err := rows.Scan(&o, &n); err != nil {
				return err
			}
			out[audit.Outcome(o)] = n
			return nil
		})
	return out, s.dialect.wrap("count audit", err)
}

// PruneAudit deletes at most limit audit rows, and as many closed runs, that are older than before (milliseconds since 1970 UTC). It
// returns how many audit rows.
func (tx *Tx) PruneAudit(before int64, limit int) (int, error) {
	var upTo sql.NullInt64
	var n int
	if _, err := tx.one("SELECT MAX(x), COUNT(*) FROM (SELECT sync_audit_message_id AS x FROM sync_audit_message WHERE timestamp < ? "+
		"ORDER BY sync_audit_message_id LIMIT ?) t", []any{timeText(before), limit}, &upTo, &n); err != nil {
		return 0, err
	}
	if n > 0 {
		if err := tx.exec("DELETE FROM sync_audit_message WHERE sync_audit_message_id <= ? AND timestamp < ?", upTo.Int64, timeText(before)); err != nil {
			return 0, err
		}
	}
	return n, tx.exec("DELETE FROM sync_run WHERE finished < ?", timeText(before))
}
