package control

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/store"
)

// Status returns how the node stands. Everything but the counts of resources is read now.
func (c *Control) Status(ctx context.Context) (Status, error) {
	st := c.eng.Store()
	counts, at, err := c.Counts(ctx)
	if err != nil {
		return Status{}, err
	}
	head, err := st.Head(ctx)
	if err != nil {
		return Status{}, err
	}
	counts.Changes = int64(head.Seq)
	children, err := c.Children(ctx)
	if err != nil {
		return Status{}, err
	}
	out := Status{Time: c.now(), Node: c.node(ctx), Children: children, Counts: counts, CountedAt: at}
	if out.Node.Restored, err = c.restored(ctx); err != nil {
		return Status{}, err
	}
	if out.Knowledge, err = c.knowledge(ctx); err != nil {
		return Status{}, err
	}
	if out.Servers, err = c.servers(ctx, head.Seq); err != nil {
		return Status{}, err
	}
	if c.cfg.Parent.URL != "" {
		p, err := c.parent(ctx, head.Seq)
		if err != nil {
			return Status{}, err
		}
		out.Parent = &p
	}
	w, err := c.Network(ctx)
	if err != nil {
		return Status{}, err
	}
	out.Silent = w.Silent
	if c.deps.Skew != nil {
		if ahead := c.deps.Skew(); ahead != nil {
			out.Clock = &Clock{Ahead: *ahead, Level: clockLevel(*ahead)}
		}
	}
	if d, err := c.disk(); err == nil {
		out.Disk = &d
	}
	if out.Reach, err = c.Reach(ctx); err != nil {
		return Status{}, err
	}
	out.Notices = out.notices()
	out.Attention = texts(out.Notices)
	return out, nil
}

func (c *Control) node(ctx context.Context) Node {
	st := c.eng.Store()
	id := st.Identity()
	driver, server := st.Driver(ctx)
	started := c.deps.StartedAt.UnixMilli()
	return Node{
		Name: id.Name, URL: c.cfg.BaseURL(), Replica: id.Replica, Epoch: id.Epoch, Version: c.deps.Version, Schema: st.Schema(ctx),
		Driver: driver, Database: server, Started: started, Uptime: max(0, c.now()-started), Fingerprint: Fingerprint(c.deps.PublicKey),
	}
}

// Fingerprint returns the short form by which two people compare a public key on the telephone, empty for an empty key.
func Fingerprint(publicKey string) string {
	if publicKey == "" {
		return ""
	}
	return carry.Fingerprint(publicKey)
}

func (c *Control) parent(ctx context.Context, head uint64) (Parent, error) {
	out := Parent{URL: c.cfg.Redacted().Parent.URL}
	met, err := c.metParent(ctx)
	if err != nil {
		return out, err
	}
	out.Name, out.Replica, out.LastSeen = met.Name, met.Replica, met.LastSeen
	var links []LinkState
	if c.passes != nil {
		links = c.passes.LinkState()
	}
	if out.Pull, err = c.direction(ctx, side{peer: "parent", runs: Pull, enabled: c.config().Pull.Enabled}, Pull, links); err != nil {
		return out, err
	}
	if out.Push, err = c.direction(ctx, side{peer: "parent", runs: Push, enabled: c.config().Push.Enabled}, Push, links); err != nil {
		return out, err
	}
	if out.Push.Enabled {
		out.Push.Backlog = head - min(head, out.Push.Cursor.Seq)
	}
	for _, d := range []Direction{out.Pull, out.Push} {
		out.LastSeen = max(out.LastSeen, d.exchanged)
	}
	out.Reachable, out.LastError = reachable(c.now(), out.Pull, out.Push)
	return out, nil
}

// servers returns how the links to the servers beside the node stand.
func (c *Control) servers(ctx context.Context, head uint64) ([]Server, error) {
	var links []LinkState
	if c.passes != nil {
		links = c.passes.LinkState()
	}
	var out []Server
	shown := c.cfg.Redacted()
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Servers)) {
		cfg := c.cfg.Servers[name]
		s := Server{Name: name, URL: shown.Servers[name].Base()}
		var err error
		if s.Capture, err = c.direction(ctx, side{name, name, engine.Captures, len(cfg.PullTypes()) > 0}, Pull, links); err != nil {
			return nil, err
		}
		if s.Deliver, err = c.direction(ctx, side{name, name, engine.Gifts, len(cfg.PushTypes()) > 0}, Push, links); err != nil {
			return nil, err
		}
		s.Capture.CatchUp = false // the place in the server's feed stands where that of a catch-up does
		if s.Deliver.Enabled {
			s.Deliver.Backlog = head - min(head, s.Deliver.Cursor.Seq)
		}
		out = append(out, s)
	}
	for _, name := range slices.Sorted(maps.Keys(c.cfg.SData)) {
		key := "sdata/" + name
		s := Server{Name: key, URL: shown.SData[name].URL}
		var err error
		if s.Deliver, err = c.direction(ctx, side{key, key, engine.Immediate, true}, Push, links); err != nil {
			return nil, err
		}
		s.Deliver.Backlog = head - min(head, s.Deliver.Cursor.Seq)
		out = append(out, s)
	}
	return out, nil
}

// attemptsWithin is the longest time between two attempts of a direction that fails, in milliseconds: a direction with an error
// met it at most that long ago.
const attemptsWithin = 5 * 60_000

// reachable judges by the newest attempt of either direction: a failure says nothing once the other direction went well after it.
// A push that had nothing to send asked nobody, so only passes that left a run tell of the push.
func reachable(now int64, pull, push Direction) (ok bool, lastError string) {
	newest := int64(-1)
	for _, d := range []Direction{pull, push} {
		at, problem := d.exchanged, d.LastError
		if d.Last != nil && d.Last.Outcome == "failed" && d.Last.Finished >= at {
			at = d.Last.Finished
			if problem == "" {
				problem = d.Last.Error
			}
		}
		if d.LastError != "" {
			at = max(at, now-attemptsWithin)
		}
		if !d.Enabled || (problem == "" && at == 0) || at < newest || (at == newest && problem == "") {
			continue
		}
		newest, ok, lastError = at, problem == "", problem
	}
	return ok, lastError
}

// metParent returns the parent as it was last met, the zero Participant where it never was.
func (c *Control) metParent(ctx context.Context) (store.Participant, error) {
	rows, err := c.eng.Store().Participants(ctx, store.KindParent)
	if err != nil || len(rows) == 0 {
		return store.Participant{}, err
	}
	return slices.MaxFunc(rows, func(a, b store.Participant) int { return int(min(max(a.LastSeen-b.LastSeen, -1), 1)) }), nil
}

// ParentName returns the address of the parent and the name that it gave itself; both are empty where there is none, the name
// also until it was met. Runs and audit records of an exchange name the parent by its address.
func (c *Control) ParentName(ctx context.Context) (url, name string, err error) {
	if c.cfg.Parent.URL == "" {
		return "", "", nil
	}
	met, err := c.metParent(ctx)
	return c.cfg.Parent.URL, met.Name, err
}

// side is one direction of one link: whose cursor it has, and which runs are of it.
type side struct {
	peer    string
	server  string // empty for the parent
	runs    string
	enabled bool
}

func (s side) has(r audit.Run) bool { return s.server == "" || r.Peer == s.server }

func (c *Control) direction(ctx context.Context, s side, name string, links []LinkState) (Direction, error) {
	out := Direction{LinkState: LinkState{Direction: name, Server: s.server, Enabled: s.enabled}}
	for _, l := range links {
		if l.Direction == name && l.Server == s.server {
			out.LinkState = l
		}
	}
	limit := 1
	if s.server != "" {
		limit = maxList // those of other servers are among them
	}
	runs, err := c.eng.Store().Runs(ctx, s.runs, limit)
	if err != nil {
		return out, err
	}
	if i := slices.IndexFunc(runs, s.has); i >= 0 {
		out.Last = &runs[i]
	}
	p, err := c.eng.Store().Position(ctx, s.peer, name)
	if err != nil {
		return out, err
	}
	if out.exchanged, err = c.lastSuccess(ctx, s, p.Updated); err != nil {
		return out, err
	}
	out.LastSuccess = max(out.exchanged, out.LastGood)
	if name == Pull {
		out.exchanged = out.LastSuccess
	}
	out.Cursor, out.Backlog, out.CatchUp = p.Cursor, p.Backlog, p.Resume != ""
	return out, nil
}

// lastSuccess returns when the newest pass that went well ended. After thousands of failures only the cursor remembers: moved is
// when it last did.
func (c *Control) lastSuccess(ctx context.Context, s side, moved int64) (int64, error) {
	for _, limit := range []int{10, maxList} {
		runs, err := c.eng.Store().Runs(ctx, s.runs, limit)
		if err != nil {
			return 0, err
		}
		if i := slices.IndexFunc(runs, func(r audit.Run) bool { return r.Outcome == "done" && s.has(r) }); i >= 0 {
			return runs[i].Finished, nil
		}
		if len(runs) < limit {
			break
		}
	}
	return max(0, moved), nil
}

// silentNamed is how many silent nodes are named in the status.
const silentNamed = 5

// notices says what a person should look at.
func (s Status) notices() []Sentence {
	var out []Sentence
	if p := s.Parent; p != nil && !p.Reachable && (p.Pull.Enabled || p.Push.Enabled) && p.LastError != "" {
		out = append(out, Sentence{
			Code: "parent_fails", Words: map[string]string{"error": p.LastError},
			Text: "The parent does not answer as it should: " + p.LastError + ". This node goes on working and tries again by itself.",
		})
	}
	if r := s.Node.Restored; r != nil && s.Time-r.At < restoredFor {
		out = append(out, Sentence{Code: "restored", Times: map[string]int64{"at": r.At}, Words: map[string]string{"why": r.Why}, Text: r.sentence()})
	}
	for _, v := range s.Servers {
		for _, d := range []Direction{v.Capture, v.Deliver} {
			if d.LastError != "" {
				out = append(out, Sentence{
					Code: "server_fails", Words: map[string]string{"server": v.Name, "error": d.LastError},
					Text: "The server " + v.Name + " does not answer as it should: " + d.LastError + ". This node goes on working and tries again by itself.",
				})
				break
			}
		}
	}
	for _, k := range s.Children {
		if k.Cloned != 0 {
			what, hint := k.cloned()
			out = append(out, Sentence{Code: "child_cloned", Words: map[string]string{"child": k.Name}, Text: what + " " + hint})
		}
	}
	for i, n := range s.Silent {
		if i == silentNamed {
			rest := len(s.Silent) - i
			out = append(out, Sentence{
				Code: "silent_more", Count: int64(rest), Text: plural(rest, "more node", "more nodes") + " below this one are silent; `tributary network` shows them.",
			})
			break
		}
		out = append(out, n.sentence(s.Time))
	}
	if d := s.Disk; d != nil && d.Level == Fail {
		out = append(out, Sentence{
			Code: "disk_full", Count: int64(d.Free >> 20), //nolint:gosec // megabytes
			Text: plural(d.Free>>20, "megabyte is", "megabytes are") + " left on the disk: make room soon, because when it is full nothing new can be saved.",
		})
	}
	if k := s.Clock; k != nil && k.Level != OK {
		code, words, off := "clock_ahead", "ahead of", k.Ahead
		if off < 0 {
			code, words, off = "clock_behind", "behind", -off
		}
		out = append(out, Sentence{
			Code: code, Spans: map[string]int64{"span": off},
			Text: "This machine's clock is " + Span(time.Duration(off)*time.Millisecond) + " " + words + " the parent's: set it.",
		})
	}
	if n := s.Counts.Open; n > 0 {
		out = append(out, Sentence{Code: "conflicts", Count: n, Text: plural(n, "conflict waits", "conflicts wait") + " for a person to decide which copy is right."})
	}
	if n := s.Counts.Parked; n > 0 {
		out = append(out, Sentence{Code: "parked", Count: n, Text: plural(n, "change", "changes") + " could not be taken over or delivered and will be tried again."})
	}
	return out
}
