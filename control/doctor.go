package control

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/carry"
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
)

// Doctor looks at everything that can be wrong with a node, and says what to do about it. It returns an error only where ctx
// has ended: what fails is a check.
func (c *Control) Doctor(ctx context.Context) ([]Check, error) {
	var out []Check
	out = append(out, c.checkConfig()...)
	out = append(out, c.checkDatabase(ctx)...)
	out = append(out, c.checkDisk())
	if c.cfg.Parent.URL != "" {
		out = append(out, c.checkParent(ctx)...)
	}
	s, err := c.Status(ctx)
	if err != nil {
		out = append(out, failed("status", err))
	} else {
		out = append(out, c.checkPasses(s)...)
		if r := s.Node.Restored; r != nil && s.Time-r.At < restoredFor {
			out = append(out, Check{Name: "restore", Level: Warn, Detail: r.sentence(), Hint: "`tributary verify` shows whether this node and its parent agree again"})
		}
		out = append(out, c.checkServers(s)...)
		out = append(out, checkChildren(s.Children)...)
		out = append(out, c.checkHistory(ctx)...)
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
	return Check{Name: name, Level: Fail, Detail: err.Error(), Hint: syncerr.HintOf(err)}
}

func (c *Control) checkConfig() []Check {
	var out []Check
	if err := c.config().Validate(); err != nil {
		out = append(out, failed("configuration", err))
	}
	for _, w := range c.config().Warnings() {
		out = append(out, Check{Name: "configuration", Level: Warn, Detail: w})
	}
	if c.cfg.Parent.URL != "" {
		_, warning, err := config.ReadCredential(c.cfg)
		switch {
		case err != nil:
			out = append(out, failed("credential", err))
		case warning != "":
			out = append(out, Check{Name: "credential", Level: Warn, Detail: warning})
		}
	}
	if len(out) == 0 {
		out = append(out, Check{Name: "configuration", Level: OK, Detail: "nothing to say against it"})
	}
	return out
}

func (c *Control) checkDatabase(ctx context.Context) []Check {
	st := c.eng.Store()
	ctx, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	if err := st.Ping(ctx); err != nil {
		return []Check{failed("database", err)}
	}
	driver, server := st.Driver(ctx)
	return []Check{
		{Name: "database", Level: OK, Detail: fmt.Sprintf("%s (%s) answers and takes resources of up to %s", driver, server, config.Size(st.Limit()))},
		{Name: "schema", Level: OK, Detail: fmt.Sprintf("version %d", st.Schema(ctx))},
	}
}

// disk looks at the disk of the database, or of the keys where the database is on a server.
func (c *Control) disk() (Disk, error) {
	out := Disk{Folder: c.cfg.Node.DataDir, Level: OK}
	if c.cfg.Store.Driver == config.DriverSQLite && c.cfg.Store.DSN != "" {
		out.Folder = filepath.Dir(c.cfg.Store.DSN)
	}
	var err error
	if out.Free, err = carry.FreeSpace(out.Folder); err != nil {
		return out, err
	}
	switch {
	case out.Free < diskFail:
		out.Level = Fail
	case out.Free < diskWarn:
		out.Level = Warn
	}
	return out, nil
}

func (c *Control) checkDisk() Check {
	d, err := c.disk()
	if err != nil {
		return Check{Name: "disk", Level: Warn, Detail: fmt.Sprintf("the free space of %s cannot be read: %v", d.Folder, err)}
	}
	k := Check{Name: "disk", Level: d.Level, Detail: fmt.Sprintf("%d MB free in %s", d.Free>>20, d.Folder)}
	switch d.Level {
	case Fail:
		k.Hint = "Make room soon: when it is full, nothing new can be saved"
	case Warn:
		k.Hint = "Make room, or move the database to a larger disk"
	}
	return k
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

func (c *Control) checkClock(date int64) Check {
	off := time.Duration(c.now()-date) * time.Millisecond
	k := Check{Name: "clock", Level: OK, Detail: "agrees with the parent's"}
	word := "ahead of"
	if off < 0 {
		off, word = -off, "behind"
	}
	if off < clockWarn {
		return k
	}
	k.Level, k.Detail = Warn, fmt.Sprintf("%s %s the parent's", Span(off), word)
	k.Hint = "Set this machine's clock: no record is lost by a wrong one, but where the last writer wins, the wrong one may"
	if off >= clockFail {
		k.Level = Fail
	}
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
