package store

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Reach is what this node knows of the nodes above it: which lives they are in, and up to where it was told how far changes have come to them.
// What a node said counts for that life of it alone: it is dropped when that life is known to have ended.
type Reach struct {
	Above    []feed.Above `json:"above"` // the parent first
	Mark     string       `json:"mark"`  // the parent's, up to which it told
	Revision uint64       `json:"revision"`
	mark     feed.ReachMark
}

const stateReach = "reach"

// Reach returns what is known of the nodes above.
func (q *query) Reach() (Reach, error) {
	var out Reach
	text, err := q.State(stateReach)
	if err != nil || text == "" {
		return out, err
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return out, syncerr.Wrap(syncerr.Internal, "read the nodes above", err)
	}
	out.mark, err = feed.ParseReachMark(out.Mark)
	return out, err
}

func (tx *Tx) setReach(r Reach) error {
	r.Mark = r.mark.String()
	text, err := json.Marshal(r)
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, "store the nodes above", err)
	}
	return tx.SetState(stateReach, string(text))
}

// Below notes who the parent is, and which types are sent to it. Where it is another life than before, all that was told is dropped: it was told
// by a life that has ended, or by another node. The zero Above says that there is no parent, or that it is not known.
func (tx *Tx) Below(p feed.Above) error {
	was, err := tx.Reach()
	if err != nil {
		return err
	}
	switch {
	case len(was.Above) == 0 && p.Epoch == "":
		return nil
	case len(was.Above) > 0 && was.Above[0].Lives(p):
		if was.Above[0].Name == p.Name && slices.Equal(was.Above[0].Types, p.Types) && (was.Above[0].Types == nil) == (p.Types == nil) {
			return nil
		}
		was.Above[0] = p
	default:
		if err := tx.exec("DELETE FROM reached"); err != nil {
			return err
		}
		was = Reach{}
		if p.Epoch != "" {
			was.Above = []feed.Above{p}
		}
	}
	if was.Revision, err = tx.revised(false); err != nil {
		return err
	}
	return tx.setReach(was)
}

// TakeReached stores what the parent told of how far changes have come up. It does nothing where that does not fit: another life of the parent
// said it, or it is a delta from elsewhere.
func (tx *Tx) TakeReached(m feed.Reached) error {
	now, err := tx.Reach()
	if err != nil {
		return err
	}
	if len(now.Above) == 0 || now.Above[0].Epoch != m.Epoch || now.mark != m.Since {
		return nil
	}
	revision, err := tx.revised(false)
	if err != nil {
		return err
	}
	if m.HasAbove {
		for i := 1; i < len(now.Above); i++ {
			if i-1 < len(m.Above) && m.Above[i-1].Lives(now.Above[i]) {
				continue
			}
			if err := tx.exec("DELETE FROM reached WHERE level = ?", i+1); err != nil {
				return err
			}
		}
		now.Above = append(now.Above[:1], m.Above[:min(len(m.Above), feed.MaxAbove-1)]...)
		now.Revision = revision
	}
	var rows [][]any
	for _, p := range m.Progress {
		if p.Level+1 > len(now.Above) {
			continue
		}
		rows = append(rows, []any{p.Level + 1, string(p.Replica), p.Type, p.Tick, asideText(p.Aside), revision})
	}
	if err := tx.insert("REPLACE INTO reached (level, replica, type, tick, aside, revision)", 6, rows); err != nil {
		return err
	}
	now.mark = m.Until
	return tx.setReach(now)
}

func asideText(ticks []uint64) string {
	var b []byte
	for i, n := range ticks {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendUint(b, n, 10)
	}
	return string(b)
}

func parseAside(text string) []uint64 {
	var out []uint64
	for _, w := range strings.Fields(text) {
		if n, err := strconv.ParseUint(w, 10, 63); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// ReachedMark returns the mark up to which the parent told, "" where who it is was not noted yet.
func (q *query) ReachedMark() (string, error) {
	r, err := q.Reach()
	if len(r.Above) == 0 {
		return "", err
	}
	return r.mark.String(), err
}

// Ask notes that a child wants to know how far the changes of replicas have come.
func (tx *Tx) Ask(child string, replicas []version.Replica) error {
	for _, r := range replicas {
		var n int
		if ok, err := tx.one("SELECT 1 FROM reach_asked WHERE child = ? AND replica = ?", []any{child, string(r)}, &n); err != nil || ok {
			if err != nil {
				return err
			}
			continue
		}
		revision, err := tx.revised(false)
		if err != nil {
			return err
		}
		if err := tx.exec("INSERT INTO reach_asked (child, replica, revision) VALUES (?, ?, ?)", child, string(r), revision); err != nil {
			return err
		}
	}
	return nil
}

// progress is an entry with the revision at which it last changed.
type progress struct {
	feed.Progress
	revision uint64
}

// ReachedSince returns what a child is to be told of how far changes have come up, of those replicas that it asked about, and whether there is
// anything that it was not told: what this node has itself (DESIGN.md 4.3: its knowledge but for the exceptions), and what the nodes above
// told it. All of it is of one snapshot.
func (r *Reader) ReachedSince(child string, since feed.ReachMark) (feed.Reached, bool, error) {
	out := feed.Reached{Epoch: r.Identity().Epoch, Since: since}
	var now uint64
	if _, err := r.one("SELECT value FROM counter WHERE name = ?", []any{counterRevision}, &now); err != nil || now == since.Revision && !since.Part {
		return out, false, err
	}
	if since.Revision > now { // it was told by what this database was before
		since = feed.ReachMark{}
	}
	reach, err := r.Reach()
	if err != nil {
		return out, false, err
	}
	if since.Revision == 0 || reach.Revision > since.Revision || since.Part && reach.Revision == since.Revision {
		out.Above, out.HasAbove = reach.Above, true
	}
	all, err := r.moved(child, since)
	if err != nil {
		return out, false, err
	}
	out.Until = feed.ReachMark{Revision: now}
	if len(all) > feed.MaxProgress {
		all = all[:feed.MaxProgress]
		last := all[len(all)-1]
		out.Until = feed.ReachMark{Revision: last.revision, Part: true, Last: last.Way}
	}
	for _, p := range all {
		if p.Level == 0 {
			if err := r.aside(&p.Progress); err != nil {
				return out, false, err
			}
		}
		out.Progress = append(out.Progress, p.Progress)
	}
	return out, len(out.Progress) > 0 || out.HasAbove, nil
}

// moved returns the entries behind a mark, in the order of marks.
func (r *Reader) moved(child string, since feed.ReachMark) ([]progress, error) {
	found := map[feed.Way]*progress{}
	note := func(rows *sql.Rows) error {
		var p progress
		var replica, aside string
		if err := rows.Scan(&p.Level, &replica, &p.Type, &p.Tick, &aside, &p.revision); err != nil {
			return err
		}
		p.Replica, p.Aside = version.Replica(replica), parseAside(aside)
		if was := found[p.Way]; was != nil {
			was.revision = max(was.revision, p.revision)
			return nil
		}
		found[p.Way] = &p
		return nil
	}
	from := since.Revision
	for _, q := range []string{
		"SELECT 0, k.replica, k.type, k.tick, '', k.revision FROM knowledge k JOIN reach_asked a ON a.replica = k.replica AND a.child = ? WHERE k.revision >= ?",
		"SELECT 0, k.replica, k.type, k.tick, '', a.revision FROM reach_asked a JOIN knowledge k ON k.replica = a.replica WHERE a.child = ? AND a.revision >= ?",
		"SELECT 0, k.replica, k.type, k.tick, '', x.revision FROM knowledge_exception x JOIN reach_asked a ON a.replica = x.replica AND a.child = ? " +
			"JOIN knowledge k ON k.type = x.type AND k.replica = x.replica WHERE x.revision >= ?",
		"SELECT u.level, u.replica, u.type, u.tick, u.aside, u.revision FROM reached u JOIN reach_asked a ON a.replica = u.replica AND a.child = ? WHERE u.revision >= ?",
		"SELECT u.level, u.replica, u.type, u.tick, u.aside, a.revision FROM reach_asked a JOIN reached u ON u.replica = a.replica WHERE a.child = ? AND a.revision >= ?",
	} {
		if err := r.each(q, []any{child, from}, note); err != nil {
			return nil, err
		}
	}
	var out []progress
	for _, p := range found {
		if !since.Passed(p.revision, p.Way) {
			out = append(out, *p)
		}
	}
	slices.SortFunc(out, func(a, b progress) int {
		return cmp.Or(cmp.Compare(a.revision, b.revision), a.Compare(b.Way))
	})
	return out, nil
}

// aside notes which ticks this node lacks, those above the entry's too: one of them stands for older ones of its resource. Where they are too many to be named nothing is said: what was done before to the same
// resources is lacking too, and only who made it knows which ticks that are.
func (r *Reader) aside(p *feed.Progress) error {
	p.Aside = nil
	err := r.each("SELECT DISTINCT tick FROM knowledge_exception WHERE replica = ? AND type = ? ORDER BY tick LIMIT ?",
		[]any{string(p.Replica), p.Type, feed.MaxAside + 1}, func(rows *sql.Rows) error {
			var n uint64
			err := rows.Scan(&n)
			p.Aside = append(p.Aside, n)
			return err
		})
	if len(p.Aside) > feed.MaxAside {
		p.Tick, p.Aside = 0, nil
	}
	return err
}

// Own is how many changes a replica of this node made to a resource type, and since when those above a tick were made.
type Own struct {
	Replica version.Replica
	Type    string
	Tick    uint64
}

// Owns returns what this node made, under each of the replicas that it is or was, those of servers beside it included.
func (q *query) Owns() ([]Own, error) {
	var out []Own
	err := q.each("SELECT replica, type, value FROM tick WHERE value > 0 ORDER BY type, replica", nil, func(rows *sql.Rows) error {
		var o Own
		var replica string
		err := rows.Scan(&replica, &o.Type, &o.Tick)
		o.Replica = version.Replica(replica)
		out = append(out, o)
		return err
	})
	return out, err
}

// MadeAt returns a time before which every change of a replica to a type below a tick was made, and none from that tick on; 0 where it is not known.
// It is up to a minute early, earlier where times were thinned out, and never late.
func (q *query) MadeAt(replica version.Replica, resourceType string, tick uint64) (int64, error) {
	var at int64
	_, err := q.one("SELECT at FROM tick_time WHERE replica = ? AND type = ? AND tick <= ? ORDER BY tick DESC LIMIT 1", []any{string(replica), resourceType, tick}, &at)
	return at, err
}

// MadeThen says that a version which was given now stands for what was written at an earlier time, in milliseconds since 1970 UTC.
func (tx *Tx) MadeThen(resourceType string, v version.Version, at int64) {
	m := minting{resourceType, v.Replica}
	if first, ok := tx.made[m]; ok {
		first.at = min(first.at, at)
		tx.made[m] = first
	}
}

// ReachedBy returns how far changes have come to the nodes above, by level: those of one replica, or of all that were asked about where it is empty.
func (q *query) ReachedBy(replica version.Replica) ([]feed.Progress, error) {
	var out []feed.Progress
	where, args := "", []any(nil)
	if replica != "" {
		where, args = " WHERE replica = ?", []any{string(replica)}
	}
	err := q.each("SELECT level, replica, type, tick, aside FROM reached"+where+" ORDER BY level, replica, type", args, func(rows *sql.Rows) error {
		var p feed.Progress
		var replica, aside string
		err := rows.Scan(&p.Level, &replica, &p.Type, &p.Tick, &aside)
		p.Replica, p.Aside = version.Replica(replica), parseAside(aside)
		out = append(out, p)
		return err
	})
	return out, err
}

// CutTicks lowers the last ticks of a replica that this database once was to those that still stand in its log: what was above has other names.
func (tx *Tx) CutTicks(replica version.Replica) error {
	if replica == tx.Identity().Replica {
		return nil
	}
	last, err := tx.LastTicks(replica, 1<<62)
	if err != nil {
		return err
	}
	owns, err := tx.Owns()
	if err != nil {
		return err
	}
	for _, o := range owns {
		if o.Replica != replica || last[o.Type] >= o.Tick {
			continue
		}
		if err := tx.exec("UPDATE tick SET value = ? WHERE replica = ? AND type = ?", last[o.Type], string(replica), o.Type); err != nil {
			return err
		}
	}
	return nil
}

// ThinTimes drops the times of ticks that are more than a day past, but for one an hour: what is left is earlier, never late.
func (tx *Tx) ThinTimes() error {
	const hour = 3600_000
	return tx.exec("DELETE FROM tick_time WHERE at < ? AND EXISTS (SELECT 1 FROM (SELECT replica, type, tick, at FROM tick_time) o "+
		"WHERE o.replica = tick_time.replica AND o.type = tick_time.type AND o.tick < tick_time.tick AND o.at >= tick_time.at - tick_time.at % ? AND o.at <= tick_time.at)",
		tx.Now()-24*hour, hour)
}
