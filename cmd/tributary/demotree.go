package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	client "github.com/tributary-sync/tributary/clients/control"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/syncerr"
)

// tree is the four nodes of a demo. Each is a node like any other: it has its own folder, file, keys and port, and speaks HTTP
// with the others.
type tree struct {
	app   *app
	dir   string
	began time.Time
	nodes []*demoNode // parents before their children

	cancel context.CancelFunc
	group  *errgroup.Group
	failed context.Context // ends when a node stops by itself
}

type demoNode struct {
	name string
	*node.Node
	cfg     config.Config
	path    string // of its configuration
	control *client.Client
	http    *http.Client
	cable   *cable // to its parent
	log     *os.File
}

// cable carries requests to a parent until it is cut.
type cable struct {
	next http.RoundTripper
	cut  atomic.Bool
}

// RoundTrip carries a request, or fails like an unplugged network.
func (c *cable) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.cut.Load() {
		return nil, errors.New("the demo has cut this link")
	}
	res, err := c.next.RoundTrip(r)
	if err == nil && c.cut.Load() {
		_ = res.Body.Close() // the answer was on its way when the link was cut
		return nil, errors.New("the demo has cut this link")
	}
	return res, err
}

func (t *tree) start(ctx context.Context) error {
	t.app.say("Tributary demo: a nation, a district and two clinics on this machine.\n")
	listeners, err := listenAll(4)
	if err != nil {
		return err
	}
	// Those of nodes that run are closed by them already.
	defer func() {
		for _, l := range listeners[len(t.nodes):] {
			_ = l.Close()
		}
	}()
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.cancel = cancel
	t.group, t.failed = errgroup.WithContext(run)
	for i, place := range []struct{ name, parent string }{{"nation", ""}, {"district", "nation"}, {"clinic-a", "district"}, {"clinic-b", "district"}} {
		if err := t.add(ctx, place.name, t.node(place.parent), listeners[i]); err != nil {
			return err
		}
	}
	t.app.say("  nation    %s", t.node("nation").url())
	t.app.say("  district  %s   child of nation", t.node("district").url())
	t.app.say("  clinic-a  %s   child of district", t.node("clinic-a").url())
	t.app.say("  clinic-b  %s   child of district\n", t.node("clinic-b").url())
	return nil
}

func listenAll(n int) ([]net.Listener, error) {
	var out []net.Listener
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			for _, l := range out {
				_ = l.Close()
			}
			return nil, syncerr.New(syncerr.Unavailable, "demo", "no free port on the loopback: %w", err)
		}
		out = append(out, l)
	}
	return out, nil
}

// add makes a node as `tributary init` does, gets it a credential of its parent as `tributary child add` does, and runs it.
func (t *tree) add(ctx context.Context, name string, parent *demoNode, l net.Listener) error {
	n := &demoNode{name: name, path: filepath.Join(t.dir, name, "tributary.yaml"), cable: &cable{next: &http.Transport{DisableCompression: true}}}
	o := config.Options{Name: name, Listen: l.Addr().String()}
	if parent != nil {
		o.Parent = parent.url()
	}
	quiet := *t.app
	quiet.env = nil // settings for the user's own node must not leak into the demo
	var err error
	if n.cfg, err = quiet.initialise(ctx, n.path, o); err != nil {
		return err
	}
	file, err := n.undeferred()
	if err != nil {
		return err
	}
	if parent != nil {
		child, err := parent.control.AddChild(ctx, name, "")
		if err != nil {
			return err
		}
		if err := os.WriteFile(n.cfg.Parent.CredentialFile, []byte(child.Credential+"\n"), 0o600); err != nil {
			return syncerr.Wrap(syncerr.StorageFull, "demo", err)
		}
	}
	if n.log, err = os.Create(filepath.Join(t.dir, name, "node.log")); err != nil {
		return syncerr.Wrap(syncerr.StorageFull, "demo", err)
	}
	n.Node, err = node.New(ctx, n.cfg, node.Deps{
		Clock: t.app.clock, Transport: n.cable, Version: t.app.version, Log: slog.New(slog.NewTextHandler(n.log, nil)), File: file,
	})
	if err != nil {
		return errors.Join(err, n.log.Close())
	}
	t.nodes = append(t.nodes, n)
	operator := bearer{token: n.AdminToken(), next: &http.Transport{}}
	n.http = &http.Client{Transport: operator}
	n.control = client.New(n.url(), "", operator)
	t.group.Go(func() error { return n.Run(t.failed, l) })
	return nil
}

// undeferred makes the node decide by itself what a merge leaves open, because nobody is there to be asked: in its file, so that the file says what is
// in force.
func (n *demoNode) undeferred() (*config.File, error) {
	file, err := config.Open(n.path, nil)
	if err != nil {
		return nil, err
	}
	was, err := file.Read()
	if err != nil {
		return nil, err
	}
	to := was.Config.Sync()
	to.Conflicts.Default = reconcile.Merging + "," + reconcile.LastWriterWins
	is, err := was.With(to)
	if err != nil {
		return nil, err
	}
	n.cfg = is.Config
	return file, was.Replace(is)
}

func (n *demoNode) url() string { return n.cfg.BaseURL() }

func (t *tree) node(name string) *demoNode {
	for _, n := range t.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// running carries out a step and ends it early where a node stops by itself.
func (t *tree) running(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.failed, cancel)()
	err := step(ctx)
	if t.failed.Err() != nil {
		return syncerr.New(syncerr.Internal, "demo", "a node stopped by itself").WithHint("Run it again with --keep DIR and look at node.log of each node")
	}
	return err
}

// stop ends the nodes, children first in effect: all are told at once, and each waits for what it has begun.
func (t *tree) stop() error {
	if t.cancel == nil {
		return nil
	}
	t.cancel()
	errs := []error{t.group.Wait()}
	for _, n := range t.nodes {
		errs = append(errs, n.Close(), n.log.Close())
	}
	return errors.Join(errs...)
}

// until polls until done says so. It returns a Transient error that says what did not happen after limit.
func (t *tree) until(ctx context.Context, limit time.Duration, what string, done func() (bool, error)) error {
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return syncerr.New(syncerr.Transient, "demo", "%s within %s", what, limit).WithHint("Run it again with --keep DIR and look at node.log of each node")
		}
	}
}
