package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/syncerr"
)

// The limits of Doctor.
const (
	diskFail    = 200 << 20 // bytes free below which writes are about to stop
	diskWarn    = 2 << 30
	clockWarn   = time.Minute // the last-writer policy goes by clocks
	clockFail   = time.Hour
	passWarn    = 24 * time.Hour
	probeWithin = 15 * time.Second
	pingWithin  = 5 * time.Second
	quickWithin = 20 * time.Second
	stickWarn   = 30 * 24 * time.Hour
	certWarn    = 21 * 24 * time.Hour
)

// Doctor looks at everything that can be wrong with a node, and says what to do about it; full, it reads the whole database. It returns an
// error only where ctx has ended: what fails is a check.
func (c *Control) Doctor(ctx context.Context, full bool) ([]Check, error) {
	out := Environment(ctx, c.config(), c.deps.Reach, c.now())
	out = append(out, c.checkDatabase(ctx, full)...)
	if c.cfg.Parent.URL != "" {
		out = append(out, c.checkParent(ctx)...)
	}
	s, err := c.Status(ctx)
	if err != nil {
		out = append(out, failed("status", err))
	} else {
		out = append(out, c.checkPasses(s)...)
		out = append(out, checkEpoch(s))
		out = append(out, c.checkServers(s)...)
		out = append(out, checkChildren(s.Children)...)
		out = append(out, c.checkHistory(ctx)...)
		out = append(out, c.checkSticks(ctx)...)
		out = append(out, c.checkWaiting(ctx, s)...)
	}
	return out, ctx.Err()
}

// Worst returns the worst level of checks, OK where there are none.
func Worst(checks []Check) Level {
	worst := OK
	for _, c := range checks {
		if c.Level == Fail || (c.Level == Warn && worst == OK) {
			worst = c.Level
		}
	}
	return worst
}

func failed(name string, err error) Check {
	hint := syncerr.HintOf(err)
	return Check{Name: name, Level: Fail, Detail: strings.TrimSuffix(err.Error(), ". "+hint), Hint: hint}
}

func (c *Control) checkDatabase(ctx context.Context, full bool) []Check {
	st := c.eng.Store()
	pinged, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	if err := st.Ping(pinged); err != nil {
		return []Check{failed("database", err)}
	}
	driver, server := st.Driver(ctx)
	out := []Check{
		{Name: "database", Level: OK, Detail: fmt.Sprintf("%s (%s) answers and takes resources of up to %s", driver, server, config.Size(st.Limit()))},
		{Name: "schema", Level: OK, Detail: fmt.Sprintf("version %d", st.Schema(ctx)), Numbers: map[string]int64{"schema": st.Schema(ctx)}},
	}
	k := c.checkIntegrity(ctx, full)
	if sizes, err := st.Sizes(ctx); err == nil {
		k.Numbers = map[string]int64{"databaseBytes": sizes.Database, "logBytes": sizes.Log, "freeBytes": sizes.Free}
	}
	return append(out, k)
}

// disk looks at the disk of the database, or of the keys where the database is on a server.
func (c *Control) disk() (Disk, error) { return diskOf(c.cfg) }

// checkIntegrity looks for damage. Quick, it gives up after a time: a large database on a slow card is read for minutes.
func (c *Control) checkIntegrity(ctx context.Context, full bool) Check {
	if !full {
		quick, cancel := context.WithTimeout(ctx, quickWithin)
		defer cancel()
		ctx = quick
	}
	problems, copies, err := c.eng.Store().Integrity(ctx, full)
	k := Check{Name: "integrity", Level: OK, Detail: "the structure of the database is whole; `tributary doctor --full` also reads every resource"}
	switch {
	case len(problems) > 0:
		k.Level, k.Detail = Fail, strings.Join(problems, "; ")
		k.Hint = "Copy the database away now (`tributary backup FILE`), check the disk or card, then go back to the newest good backup with `tributary restore FILE`; " +
			"what it lacks comes back from the parent and the children"
	case err != nil && !full && (errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil):
		k.Level, k.Detail = OK, fmt.Sprintf("not looked at to the end within %s; `tributary doctor --full` takes the time that it needs", Span(quickWithin))
	case err != nil:
		k = failed(k.Name, err)
	case full:
		k.Detail = "the database is whole, and " + plural(copies, "copy has", "copies have") + " the content that was written"
	}
	return k
}

// checkEpoch says whether this log is the continuation of its past.
func checkEpoch(s Status) Check {
	k := Check{Name: "epoch", Level: OK, Detail: "the log goes on as it began; epoch " + s.Node.Epoch}
	if r := s.Node.Restored; r != nil {
		k.Detail, k.Numbers = r.sentence(), map[string]int64{"restored": r.At}
		if s.Time-r.At < restoredFor {
			k.Name, k.Level, k.Hint = "restore", Warn, "`tributary verify` shows whether this node and its parent agree again"
		}
	}
	return k
}

// checkSticks names the nodes for which a stick went out long ago and did not come back; nothing where no sticks are exchanged.
func (c *Control) checkSticks(ctx context.Context) []Check {
	if c.deps.Carrier == nil {
		return nil
	}
	peers, err := c.eng.Store().CarryPeers(ctx)
	if err != nil {
		return []Check{failed("sticks", err)}
	}
	var out []Check
	for _, p := range peers {
		k := Check{Name: "stick " + p.Name, Level: OK, Detail: "the last stick went out " + Ago(c.now(), p.OutAt) + " and came " + Ago(c.now(), p.InAt)}
		if p.OutAt > 0 && p.Acked < p.Out && c.now()-p.OutAt > stickWarn.Milliseconds() {
			k.Level = Warn
			k.Detail = "a stick went out " + Ago(c.now(), p.OutAt) + ", and nothing has come back that knows of it"
			k.Hint = "Carry it there and back, or, if this node is not met any more, `tributary carry forget " + p.Name + "`: until then old versions are kept for it"
		}
		out = append(out, k)
	}
	return out
}

func (c *Control) checkParent(ctx context.Context) []Check {
	if c.deps.Prober == nil {
		return []Check{{Name: "parent", Level: Warn, Detail: "it was not asked, because this node does not run", Hint: "Start the node with `tributary serve`"}}
	}
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	p, err := c.deps.Prober.Probe(ctx)
	switch {
	case syncerr.KindOf(err) == syncerr.Denied:
		k := failed("parent", err)
		if k.Hint == "" {
			k.Hint = "Run tributary child add " + c.cfg.Node.Name + " at the parent and put what it prints into " + c.cfg.Parent.CredentialFile
		}
		return []Check{k}
	case err != nil:
		k := failed("parent", err)
		if k.Hint == "" {
			k.Hint = "Check the network and parent.url; this node goes on working and catches up by itself"
		}
		return []Check{k}
	}
	name := p.Name
	if name == "" {
		name = c.cfg.Redacted().Parent.URL
	}
	out := []Check{{Name: "parent", Level: OK, Detail: name + " answers and accepts this node's credential"}}
	if p.Date > 0 {
		out = append(out, c.checkClock(p.Date))
	}
	return out
}

// clockLevel says how bad it is that the clock is ahead of the parent's by some milliseconds.
func clockLevel(ahead int64) Level {
	switch off := time.Duration(max(ahead, -ahead)) * time.Millisecond; {
	case off >= clockFail:
		return Fail
	case off >= clockWarn:
		return Warn
	}
	return OK
}

func (c *Control) checkClock(date int64) Check {
	off := time.Duration(c.now()-date) * time.Millisecond
	k := Check{Name: "clock", Level: OK, Detail: "agrees with the parent's", Numbers: map[string]int64{"aheadMs": c.now() - date}}
	word := "ahead of"
	if off < 0 {
		off, word = -off, "behind"
	}
	if k.Level = clockLevel(c.now() - date); k.Level == OK {
		return k
	}
	k.Detail = fmt.Sprintf("%s %s the parent's", Span(off), word)
	k.Hint = "Set this machine's clock: no record is lost by a wrong one, but where the last writer wins, the wrong one may"
	return k
}

func (c *Control) checkPasses(s Status) []Check {
	if s.Parent == nil {
		return nil
	}
	var out []Check
	for _, d := range []Direction{s.Parent.Pull, s.Parent.Push} {
		k := Check{Name: d.Direction, Level: OK, Detail: fmt.Sprintf("last went well %s, %s", Ago(s.Time, d.LastSuccess), backlogWords(d.Backlog))}
		switch {
		case !d.Enabled:
			k.Detail = "is off in the configuration"
		case d.LastSuccess == 0:
			k.Level, k.Detail = Warn, "has never gone well"
		case s.Time-d.LastSuccess > passWarn.Milliseconds():
			k.Level = Warn
		}
		if d.Enabled && d.LastError != "" {
			k.Level = Warn
			k.Detail += "; the last attempt: " + d.LastError
		}
		if k.Level == Warn {
			k.Hint = "`tributary sync` tries now and says what happens"
		}
		out = append(out, k)
	}
	return out
}

func backlogWords(n uint64) string {
	if n == 0 {
		return "nothing waits"
	}
	return plural(n, "change waits", "changes wait")
}

// checkChildren says which children run twice; nothing where none does.
func checkChildren(children []Child) []Check {
	var out []Check
	for _, k := range children {
		if k.Cloned != 0 {
			what, hint := k.cloned()
			out = append(out, Check{Name: "child", Level: Fail, Detail: what, Hint: hint})
		}
	}
	return out
}

// checkServers says of each server beside the node whether it answers, and since when it was given nothing: the log is kept for it.
func (c *Control) checkServers(s Status) []Check {
	var out []Check
	for _, v := range s.Servers {
		k := Check{Name: "server " + v.Name, Level: OK, Detail: v.URL + " answers"}
		_, warning, err := config.ReadServerCredential(v.Name, c.cfg.Servers[v.Name])
		if name, ok := strings.CutPrefix(v.Name, "sdata/"); ok {
			_, warning, err = config.ReadTargetCredential(name, c.cfg.SData[name])
		}
		keep := c.cfg.History.Keep.Std().Milliseconds()
		switch last := cmp.Or(v.Capture.LastError, v.Deliver.LastError); {
		case err != nil:
			k = failed(k.Name, err)
		case last != "":
			k.Level, k.Detail, k.Hint = Fail, last, "See that "+v.URL+" runs and takes the credential; nothing is lost, this node tries again by itself"
		case v.Capture.LastSuccess == 0 && v.Deliver.LastSuccess == 0:
			k.Level, k.Detail = Warn, v.URL+" was not met yet"
			k.Hint = "`tributary sync` tries it now"
		}
		if v.Deliver.Backlog > 0 && keep > 0 && s.Time-v.Deliver.LastSuccess > keep {
			k.Hint += ". What it was not given is kept though older than history.keep: take it out of servers in the configuration if it does not come back"
		}
		out = append(out, k)
		if warning != "" {
			out = append(out, Check{Name: k.Name, Level: Warn, Detail: warning})
		}
	}
	return out
}

// checkHistory names the children because of which the log is kept longer than history.keep; nothing where there is none.
func (c *Control) checkHistory(ctx context.Context) []Check {
	keep := c.cfg.History.Keep.Std()
	if keep <= 0 {
		return nil // for ever
	}
	kept, err := c.eng.KeptForChildren(ctx, c.now()-keep.Milliseconds())
	if err != nil {
		return []Check{failed("history", err)}
	}
	var out []Check
	for _, k := range kept {
		name := k.Child.Name
		what := "has never read this node's log"
		switch {
		case k.Child.Scope == "":
		case k.Child.Scope != "*":
			what = "reads only some resource types, and has not read what was written since " + UTC(k.Since)
		default:
			what = "has not read what was written since " + UTC(k.Since)
		}
		out = append(out, Check{
			Name: "history", Level: Warn,
			Detail: fmt.Sprintf("child %s %s (it was last here: %s); of the log %s for it though older than history.keep (%s)", name, what, Ago(c.now(), k.Child.LastSeen),
				plural(k.Rows, "row is kept", "rows are kept"), Span(keep)),
			Hint: "If it does not come back, `tributary child remove " + name + "` lets them go; added again later, it compares everything that it has",
		})
	}
	return out
}

func (c *Control) checkWaiting(ctx context.Context, s Status) []Check {
	out := []Check{{Name: "parked", Level: OK, Detail: "nothing is parked"}, {Name: "conflicts", Level: OK, Detail: "none waits for a person"}}
	if n := s.Counts.Parked; n > 0 {
		out[0] = Check{
			Name: "parked", Level: Warn, Detail: plural(n, "change", "changes") + " could not be applied or delivered",
			Hint: "`tributary parked list` says why; `tributary parked retry` tries them again",
		}
	}
	if n := s.Counts.Open; n > 0 {
		out[1] = Check{
			Name: "conflicts", Level: Warn, Detail: plural(n, "conflict waits", "conflicts wait") + " for a person",
			Hint: "`tributary conflict list` shows them, and the dashboard shows both copies side by side",
		}
	}
	held, err := c.Held(ctx, maxList)
	if err != nil {
		return append(out, failed("held", err))
	}
	refused := 0
	for _, h := range held {
		if h.Refusal != "" {
			refused++
		}
	}
	k := Check{Name: "held", Level: OK, Detail: plural(len(held), "copy waits", "copies wait") + " for the parent's decision"}
	if len(held) == 0 {
		k.Detail = "no copy waits for the parent's decision"
	}
	if refused > 0 {
		k.Level, k.Detail = Warn, plural(refused, "copy waits", "copies wait")+" because the parent refused this node's own"
		k.Hint = "`tributary explain " + held[firstRefused(held)].Key.String() + "` shows what the parent said"
	}
	return append(out, k)
}

func firstRefused(held []Held) int {
	for i, h := range held {
		if h.Refusal != "" {
			return i
		}
	}
	return 0
}
