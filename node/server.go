package node

import (
	"context"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/capture"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/internal/loop"
	"github.com/tributary-sync/tributary/resourcemanager"
)

// server is this node's side of the link to a server that knows no stamps.
type server struct {
	name    string
	capture *direction // nil where nothing is read
	deliver *direction // nil where nothing is given
}

func newServer(n *Node, name string, cfg config.Server) *server {
	credential := func() (string, error) {
		secret, _, err := config.ReadServerCredential(name, cfg)
		return secret, err
	}
	over := clients.NewFHIR(cfg.Base(), credential, n.deps.Transport, n.deps.Clock)
	rest := clients.NewREST(cfg.OpenMRS, clients.RESTOptions{OpenMRS: true, Authorize: clients.Credential(credential)}, n.deps.Transport)
	remote := func(resourceType string) (resourcemanager.Remote, error) {
		if cfg.Client(resourceType) == config.ClientREST {
			return rest, nil
		}
		return over, nil
	}
	l := capture.New(n.engine, capture.Server{
		Source: source(cfg, over, clients.NewAtom(cfg.Feed, credential, n.deps.Transport, n.deps.Clock)), Remote: remote,
		Traffic: func() (in, out int64) {
			in, out = over.Traffic()
			in2, out2 := rest.Traffic()
			return in + in2, out + out2
		},
	}, capture.Config{
		Name: name, URL: cfg.Base(), Pulls: cfg.PullTypes(), Pushes: cfg.PushTypes(), Clock: n.deps.Clock,
		Client: func(t string) string { return string(cfg.Client(t)) },
	})
	s := &server{name: name}
	if len(cfg.PullTypes()) > 0 {
		pass := func(ctx context.Context, _ time.Duration) (audit.Run, error) { return l.Pull(ctx) }
		s.capture = newDirection(control.Pull, pass, 0, loop.Config{Every: cfg.Interval(), Log: n.deps.Log, Now: n.deps.Clock})
	}
	if len(cfg.PushTypes()) > 0 {
		pass := func(ctx context.Context, _ time.Duration) (audit.Run, error) { return l.Push(ctx) }
		s.deliver = newDirection(control.Push, pass, 0, loop.Config{News: n.store.News, Log: n.deps.Log, Now: n.deps.Clock})
	}
	for _, d := range s.directions() {
		d.server = name
	}
	return s
}

// source returns how the changes of a server are found.
func source(cfg config.Server, over *clients.FHIR, atom *clients.Atom) feedreader.Foreign {
	types := cfg.PullTypes()
	switch {
	case len(types) == 0:
		return nil
	case cfg.Changes == config.FromAtom:
		return atom
	case cfg.Changes == config.FromLatest:
		return clients.NewLatest(over, types, cfg.Reach())
	}
	return clients.NewHistory(over, types, cfg.Reach())
}

func (s *server) directions() []*direction {
	var out []*direction
	for _, d := range []*direction{s.capture, s.deliver} {
		if d != nil {
			out = append(out, d)
		}
	}
	return out
}
