package node

import (
	"context"
	"net/http"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/capture"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/internal/loop"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// Participant is something beside a node that an embedding program knows how to talk to. Source says what changed there (a feedreader.Whole may
// also say what is missing); nil where nothing is read. Remote reads and writes its documents.
type Participant struct {
	Source feedreader.Foreign
	Remote resourcemanager.Remote
}

// server is this node's side of the link to a server that knows no stamps.
type server struct {
	name    string
	capture *direction // nil where nothing is read
	deliver *direction // nil where nothing is given
}

func newServer(n *Node, name string, cfg config.Server) (*server, error) {
	credential := func() (string, error) {
		secret, _, err := config.ReadServerCredential(name, cfg)
		return secret, err
	}
	rt := clients.Polite(n.deps.Transport, cfg.Pause.Std(), n.deps.Clock)
	end, err := serverEnd(n, name, cfg, credential, rt)
	if err != nil {
		return nil, err
	}
	deletes, limit := cfg.Deletes()
	l := capture.New(n.engine, end, capture.Config{
		Name: name, URL: cfg.Base(), Pulls: cfg.PullTypes(), Pushes: cfg.PushTypes(), Clock: n.deps.Clock,
		Client: func(t string) string { return string(cfg.Client(t)) }, Absent: capture.Absent{Delete: deletes, Limit: limit, Told: cfg.AbsentLimit > 0},
		ByHash: cfg.Changes == config.FromSearch,
	})
	s := &server{name: name}
	if len(cfg.PullTypes()) > 0 {
		pass := func(ctx context.Context, _ time.Duration) (audit.Run, error) { return l.Pull(ctx) }
		// A source that fails is not asked more often than one that answers.
		longest := max(5*time.Minute, cfg.Interval())
		s.capture = newDirection(control.Pull, pass, 0, loop.Config{Every: cfg.Interval(), Wait: longest, Log: n.deps.Log, Now: n.deps.Clock})
	}
	if len(cfg.PushTypes()) > 0 {
		pass := func(ctx context.Context, _ time.Duration) (audit.Run, error) { return l.Push(ctx) }
		s.deliver = newDirection(control.Push, pass, 0, loop.Config{News: n.store.News, Log: n.deps.Log, Now: n.deps.Clock})
	}
	for _, d := range s.directions() {
		d.server = name
	}
	return s, nil
}

// serverEnd returns what speaks to the server.
func serverEnd(n *Node, name string, cfg config.Server, credential func() (string, error), rt http.RoundTripper) (capture.Server, error) {
	if cfg.Changes == config.FromProgram {
		p, ok := n.deps.Participants[name]
		if !ok {
			return capture.Server{}, syncerr.New(syncerr.Usage, "servers."+name, "this program has no participant of that name").
				WithHint("changes: program is for programs that embed a node and give it one (docs/participants.md)")
		}
		return capture.Server{Source: p.Source, Remote: func(string) (resourcemanager.Remote, error) { return p.Remote, nil }, Traffic: p.Remote.Traffic}, nil
	}
	if cfg.Changes == config.FromList || cfg.Changes == config.FromNews {
		list, err := clients.NewList(clients.ListOptions{
			Addresses: cfg.Feed, News: cfg.Changes == config.FromNews, Clock: n.deps.Clock,
			Items: cfg.List.Items, Next: cfg.List.Next, Total: cfg.List.Total, Template: cfg.List.Resource,
		}, credential, rt)
		if err != nil {
			return capture.Server{}, err
		}
		return capture.Server{
			Source: list, Remote: func(string) (resourcemanager.Remote, error) { return list, nil }, Traffic: list.Traffic,
		}, nil
	}
	if cfg.Changes == config.FromFeedSync {
		f := clients.NewFeedSync(cfg.Feed, cfg.PullTypes(), credential, rt, n.deps.Clock)
		return capture.Server{Source: f, Remote: func(string) (resourcemanager.Remote, error) { return f, nil }, Traffic: f.Traffic}, nil
	}
	over := clients.NewFHIR(cfg.Base(), credential, rt, n.deps.Clock)
	rest := clients.NewREST(cfg.OpenMRS, clients.RESTOptions{OpenMRS: true, Authorize: clients.Credential(credential)}, rt)
	remote := func(resourceType string) (resourcemanager.Remote, error) {
		if cfg.Client(resourceType) == config.ClientREST {
			return rest, nil
		}
		return over, nil
	}
	return capture.Server{
		Source: source(cfg, over, clients.NewAtom(cfg.Feed, credential, rt, n.deps.Clock)), Remote: remote,
		Traffic: func() (in, out int64) {
			in, out = over.Traffic()
			in2, out2 := rest.Traffic()
			return in + in2, out + out2
		},
	}, nil
}

// source returns how the changes of a server are found.
func source(cfg config.Server, over *clients.FHIR, atom *clients.Atom) feedreader.Foreign {
	types := cfg.PullTypes()
	switch {
	case len(types) == 0:
		return nil
	case cfg.Changes == config.FromAtom:
		return atom
	case cfg.Changes == config.FromSearch:
		return clients.NewSearch(over, types)
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
