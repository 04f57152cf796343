package node

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/clients"
	peers "github.com/tributary-sync/tributary/clients/sdata"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/internal/loop"
	"github.com/tributary-sync/tributary/sdata"
)

// newSData wires SData synchronization.
func newSData(n *Node) *sdata.Server {
	return sdata.New(n.engine, sdata.Config{
		URL: n.cfg.BaseURL(), Priority: n.cfg.Conflicts.Priority, Clock: n.deps.Clock, Log: n.deps.Log, Background: n.beside.do, Peer: api.CallerName,
		Alert: n.alert,
	})
}

// targetName is by which operators call a target of immediate changes: servers beside the node have names of their own.
func targetName(name string) string { return "sdata/" + name }

// newTarget wires the pushes to an SData endpoint.
func newTarget(n *Node, name string, cfg config.SDataTarget) (*direction, error) {
	credential := func() (string, error) {
		secret, _, err := config.ReadTargetCredential(name, cfg)
		return secret, err
	}
	c, err := peers.New(cfg.URL, peers.Options{Transport: n.deps.Transport, NewID: n.store.NewUUID, Authorize: clients.Credential(credential), Tries: 1})
	if err != nil {
		return nil, err
	}
	p := sdata.NewPusher(n.sdata, c, sdata.PushConfig{Name: targetName(name), Types: cfg.PushTypes(), Every: cfg.Interval(), Clock: n.deps.Clock})
	pass := func(ctx context.Context, _ time.Duration) (audit.Run, error) { return p.Pass(ctx) }
	d := newDirection(control.Push, pass, 0, loop.Config{News: n.store.News, Log: n.deps.Log, Now: n.deps.Clock})
	d.server = targetName(name)
	return d, nil
}

// alertWithin is how long a command that is told of an alert may take.
const alertWithin = 30 * time.Second

// alert tells people of what failed elsewhere: a line in the log, and the command of the configuration with the alert on its standard input.
func (n *Node) alert(ctx context.Context, a sdata.Alert) {
	n.deps.Log.Warn("alert", "run", a.Run, "peer", a.Peer, "type", a.Type, "entries", a.Entries, "failed", a.Failed, "severity", a.Worst)
	if n.cfg.Alerts.Command == "" {
		return
	}
	text, err := json.Marshal(a)
	if err != nil {
		panic("bug: an alert has no JSON form: " + err.Error())
	}
	tell := func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, alertWithin)
		defer cancel()
		cmd := exec.CommandContext(ctx, n.cfg.Alerts.Command)
		cmd.Stdin = bytes.NewReader(append(text, '\n'))
		if err := cmd.Run(); err != nil {
			n.deps.Log.Error("the command of alerts failed", "error", err)
		}
	}
	if !n.beside.do(tell) {
		tell(ctx)
	}
}

// beside is the work that requests begin and do not wait for. It is done while Run runs, and ends with it.
type beside struct {
	mu    sync.Mutex
	ctx   context.Context
	group *errgroup.Group // nil where nothing runs
}

// open lets work begin until ctx ends.
func (b *beside) open(ctx context.Context, g *errgroup.Group) {
	b.mu.Lock()
	b.ctx, b.group = ctx, g
	b.mu.Unlock()
	g.Go(func() error {
		<-ctx.Done()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.group = nil
		return nil
	})
}

// do begins work; it reports false where nothing runs that could do it.
func (b *beside) do(work func(context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.group == nil {
		return false
	}
	ctx := b.ctx
	b.group.Go(func() error {
		work(ctx)
		return nil
	})
	return true
}
