package support

import (
	"context"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// What follows are the values of package control as far as they may be told. They are written out one by one: a field that is added there is not told
// until somebody has thought of it here.

type direction struct {
	Direction   string  `json:"direction"`
	Enabled     bool    `json:"enabled"`
	Running     bool    `json:"running"`
	CatchUp     bool    `json:"catchUp,omitempty"`
	Backlog     uint64  `json:"backlog"`
	Backoff     int64   `json:"backoffMs,omitempty"`
	LastSuccess int64   `json:"lastSuccess,omitempty"`
	NextAttempt int64   `json:"nextAttempt,omitempty"`
	Epoch       string  `json:"epoch,omitempty"`
	Seq         uint64  `json:"seq,omitempty"`
	LastError   *hidden `json:"lastError,omitempty"`
}

func (t tokens) direction(d control.Direction) direction {
	return direction{
		Direction: d.Direction, Enabled: d.Enabled, Running: d.Running, CatchUp: d.CatchUp, Backlog: d.Backlog, Backoff: d.Backoff,
		LastSuccess: d.LastSuccess, NextAttempt: d.NextAttempt, Epoch: t.run(d.Cursor.Epoch), Seq: d.Cursor.Seq, LastError: t.text(d.LastError),
	}
}

type peer struct {
	Name      string      `json:"name"`
	Replica   string      `json:"replica,omitempty"`
	Place     string      `json:"place,omitempty"`
	Created   int64       `json:"created,omitempty"`
	LastSeen  int64       `json:"lastSeen,omitempty"`
	Lag       uint64      `json:"lag,omitempty"`
	Cloned    int64       `json:"cloned,omitempty"`
	Reachable *bool       `json:"reachable,omitempty"`
	LastError *hidden     `json:"lastError,omitempty"`
	Ways      []direction `json:"directions,omitempty"`
}

func (t tokens) status(s control.Status) map[string]any {
	types := map[string]int64{}
	for name, n := range s.Counts.Resources {
		types[t.resourceType(name)] = n
	}
	var known []map[string]any
	for _, k := range s.Knowledge {
		known = append(known, map[string]any{
			"type": t.resourceType(k.Type), "replicas": k.Replicas, "changes": k.Changes, "exceptions": k.Exceptions, "forgotten": k.Forgotten,
		})
	}
	out := map[string]any{
		"time": s.Time, "name": t.name(s.Node.Name), "started": s.Node.Started, "uptimeMs": s.Node.Uptime,
		"counts": map[string]any{
			"resources": types, "deleted": s.Counts.Deleted, "changes": s.Counts.Changes, "parked": s.Counts.Parked, "held": s.Counts.Held,
			"openConflicts": s.Counts.Open, "conflicts": s.Counts.Conflicts,
		},
		"knowledge": known,
	}
	if r := s.Node.Restored; r != nil {
		out["restored"] = map[string]any{"at": r.At, "why": t.text(r.Why)}
	}
	if p := s.Parent; p != nil {
		out["parent"] = peer{
			Name: t.name(p.Name), Replica: t.run(string(p.Replica)), Place: Place(p.URL), LastSeen: p.LastSeen, Reachable: &p.Reachable,
			LastError: t.text(p.LastError), Ways: []direction{t.direction(p.Pull), t.direction(p.Push)},
		}
	}
	children, servers := []peer{}, []peer{}
	for _, c := range s.Children {
		children = append(children, peer{
			Name: t.name(c.Name), Replica: t.run(string(c.Replica)), Created: c.Created, LastSeen: c.LastSeen, Lag: c.Lag, Cloned: c.Cloned,
		})
	}
	for _, v := range s.Servers {
		servers = append(servers, peer{Name: t.name(v.Name), Place: Place(v.URL), Ways: []direction{t.direction(v.Capture), t.direction(v.Deliver)}})
	}
	out["children"], out["servers"] = children, servers
	return out
}

type check struct {
	Name    string           `json:"name"`
	Level   string           `json:"level"`
	Detail  *hidden          `json:"detail,omitempty"`
	Numbers map[string]int64 `json:"numbers,omitempty"`
}

// checks tells what a check is called where that is a word of this program, else of which kind it is.
func (t tokens) checks(all []control.Check) []check {
	out := []check{}
	for _, c := range all {
		out = append(out, check{Name: t.checkName(c.Name), Level: string(c.Level), Detail: t.text(c.Detail), Numbers: c.Numbers})
	}
	return out
}

type runRow struct {
	ID        string  `json:"run"`
	Direction string  `json:"direction"`
	Peer      string  `json:"peer"`
	Started   int64   `json:"started"`
	Finished  int64   `json:"finished,omitempty"`
	Outcome   string  `json:"outcome"`
	Read      int64   `json:"read"`
	Applied   int64   `json:"applied"`
	Skipped   int64   `json:"skipped"`
	Held      int64   `json:"held"`
	Parked    int64   `json:"parked"`
	BytesIn   int64   `json:"bytesIn"`
	BytesOut  int64   `json:"bytesOut"`
	Error     *hidden `json:"error,omitempty"`
}

func (t tokens) runs(all []audit.Run) []runRow {
	out := []runRow{}
	for _, r := range all {
		out = append(out, runRow{
			t.run(r.ID), r.Direction, t.name(r.Peer), r.Started, r.Finished, r.Outcome, r.Read, r.Applied, r.Skipped, r.Held, r.Parked,
			r.BytesIn, r.BytesOut, t.text(r.Error),
		})
	}
	return out
}

type auditRow struct {
	Row        int64   `json:"row"`
	Time       int64   `json:"time"`
	Operation  string  `json:"operation"`
	Outcome    string  `json:"outcome"`
	Action     string  `json:"action,omitempty"`
	Type       string  `json:"type,omitempty"`
	ID         string  `json:"id,omitempty"` // a token
	Peer       string  `json:"peer,omitempty"`
	Run        string  `json:"run,omitempty"`
	HTTPStatus int     `json:"httpStatus,omitempty"`
	Bytes      int64   `json:"bytes,omitempty"`
	Duration   int64   `json:"durationMs,omitempty"`
	Details    *hidden `json:"details,omitempty"`
}

func (t tokens) audit(all []audit.Record) []auditRow {
	out := []auditRow{}
	for _, r := range all {
		out = append(out, auditRow{
			Row: r.ID, Time: r.Time, Operation: string(r.Operation), Outcome: string(r.Outcome), Action: t.action(r.Action), Type: t.resourceType(r.Key.Type),
			ID: t.id(r.Key), Peer: t.name(r.Peer), Run: t.run(r.Run), HTTPStatus: r.HTTPStatus, Bytes: r.Bytes, Duration: r.Duration, Details: t.text(r.Details),
		})
	}
	return out
}

// action tells the words of this program, and of Atom feeds; peers may send any other.
func (t tokens) action(s string) string {
	switch s {
	case "", "CREATED", "UPDATED", "DELETED", "VOIDED", "NEW", "ACK", "ADD_CHILD", "ADD_DEVICE", "BACKUP", "CARRY", "CLONE", "COLLECT", "FORGET", "GIVE-UP", "INTRODUCE",
		"KNOWLEDGE", "RELEASE", "REMOVE_CHILD", "REMOVE_DEVICE", "RESOLVE", "RESTORED", "RESULTS", "RETRY", "REVIVE", "SDATA", "SET_DEVICE", "SETTINGS", "START", "SUPPORT", "TAKE-UP", "VERIFY":
		return s
	}
	return t.of("action", s)
}

type waitingRow struct {
	UUID      string  `json:"uuid,omitempty"`
	What      string  `json:"what"` // parked, held, or how the conflict stands
	Direction string  `json:"direction,omitempty"`
	Peer      string  `json:"peer,omitempty"`
	Type      string  `json:"type"`
	ID        string  `json:"id"` // a token
	Since     int64   `json:"since"`
	Closed    int64   `json:"closed,omitempty"`
	Attempts  int     `json:"attempts,omitempty"`
	NextRetry int64   `json:"nextRetry,omitempty"`
	Kind      string  `json:"kind,omitempty"`
	Rule      string  `json:"rule,omitempty"`
	Winner    string  `json:"winner,omitempty"`
	Reason    *hidden `json:"reason,omitempty"`
}

func (m *maker) waiting(ctx context.Context, c *control.Control) {
	out := []waitingRow{}
	row := func(k fhir.Key, w waitingRow) {
		w.Type, w.ID = m.resourceType(k.Type), m.id(k)
		out = append(out, w)
	}
	parked, err := c.Parked(ctx, control.ParkedQuery{Limit: maxWaiting})
	if err != nil {
		m.miss("parked", err)
	}
	for _, p := range parked {
		row(p.Key, waitingRow{
			UUID: m.run(p.UUID), What: "parked", Direction: p.Direction, Peer: m.name(p.Peer), Since: p.ParkedAt, Attempts: p.Attempts,
			NextRetry: p.NextRetry, Kind: m.kind(p.Kind), Reason: m.text(p.Reason),
		})
	}
	held, err := c.Held(ctx, maxWaiting)
	if err != nil {
		m.miss("held", err)
	}
	for _, h := range held {
		row(h.Key, waitingRow{What: "held", Peer: m.name(h.Peer), Since: h.HeldAt, Reason: m.text(h.Refusal)})
	}
	conflicts, err := c.Conflicts(ctx, control.ConflictQuery{Limit: maxWaiting})
	if err != nil {
		m.miss("conflicts", err)
	}
	for _, k := range conflicts {
		row(k.Key, waitingRow{
			UUID: m.run(k.UUID), What: k.Status, Peer: m.name(k.Peer), Since: k.Opened, Closed: k.Closed, Kind: m.kind(k.Kind), Rule: m.word("rule", k.Rule),
			Winner: m.kind(k.Winner), Reason: m.text(k.Reason),
		})
	}
	m.json("waiting.json", out)
}

// kind tells the words of closed lists: of errors, of conflicts, of sides.
func (t tokens) kind(s string) string {
	for k := syncerr.Internal; k <= syncerr.Usage; k++ {
		if s == k.String() {
			return s
		}
	}
	switch s {
	case "", "edit", "deletion", "identity", "local", "incoming", "both", "merged":
		return s
	}
	return t.of("kind", s)
}
