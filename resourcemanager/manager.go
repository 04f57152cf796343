// Package resourcemanager picks, by peer and resource type, the client that moves a resource. The rest of the program does not
// know which one it is (DESIGN.md section 7).
package resourcemanager

import (
	"context"
	"maps"
	"slices"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
)

// Client moves contents between this node and one peer.
type Client interface {
	// Fetch returns the contents of versions, as events without sequence, in any order. Where the peer no longer has a version
	// it gives its current one; what it does not have at all is left out.
	Fetch(ctx context.Context, refs []feed.Ref) ([]feed.Event, error)
	// Send gives changes to the peer. It returns one receipt a change, in their order.
	Send(ctx context.Context, s Shipment) (Sent, error)
}

// Shipment is what goes to a peer at once. Known is what this node knows, told behind the last changes of a complete pass; a client
// whose peer has no use for it leaves it out.
type Shipment struct {
	Events []feed.Event
	Names  []feed.Name
	Known  []feed.Known
}

// Sent is what came back from Send.
type Sent struct {
	Receipts []feed.Receipt
	Status   int   // HTTP status
	Bytes    int64 // on the wire, both ways
}

// Manager routes by resource type to the clients of one peer.
type Manager struct {
	route   func(resourceType string) string
	clients map[string]Client
}

// New returns a manager. route names the client of a resource type; clients are those that exist for this peer, by name.
func New(route func(resourceType string) string, clients map[string]Client) *Manager {
	return &Manager{route: route, clients: clients}
}

// Name returns the name of the client that moves a type.
func (m *Manager) Name(resourceType string) string { return m.route(resourceType) }

// Stampless reports whether no stamps travel with a type, so that the peer cannot decide about it.
func (m *Manager) Stampless(resourceType string) bool {
	c, err := m.client(resourceType)
	if err != nil {
		return false
	}
	_, is := c.(*Stampless)
	return is
}

// Check returns a Usage error where a type is routed to a client that does not exist.
func (m *Manager) Check(types []string) error {
	for _, t := range types {
		if _, err := m.client(t); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) client(resourceType string) (Client, error) {
	name := m.route(resourceType)
	if c, ok := m.clients[name]; ok {
		return c, nil
	}
	return nil, syncerr.New(syncerr.Usage, "choose client", "%s is to be moved by client %q, which this node does not have", resourceType, name).
		WithHint("Use client: node in the configuration")
}

// Fetch asks each reference's client for its content.
func (m *Manager) Fetch(ctx context.Context, refs []feed.Ref) ([]feed.Event, error) {
	var order []string
	by := map[string][]feed.Ref{}
	for _, r := range refs {
		name := m.route(r.Key.Type)
		if _, err := m.client(r.Key.Type); err != nil {
			return nil, err
		}
		if _, ok := by[name]; !ok {
			order = append(order, name)
		}
		by[name] = append(by[name], r)
	}
	var out []feed.Event
	for _, name := range order {
		c, err := m.client(by[name][0].Key.Type)
		if err != nil {
			return nil, err
		}
		got, err := c.Fetch(ctx, by[name])
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	return out, nil
}

// Send gives each change to its type's client. Runs of changes with the same client go together; a unit whose members have
// different clients travels in parts.
//
// Knowledge goes to its type's client behind all changes.
func (m *Manager) Send(ctx context.Context, s Shipment) (Sent, error) {
	var out Sent
	events := s.Events
	known := map[string][]feed.Known{}
	for _, k := range s.Known {
		known[m.route(k.Type)] = append(known[m.route(k.Type)], k)
	}
	for i := 0; i < len(events); {
		name := m.route(events[i].Key.Type)
		c, err := m.client(events[i].Key.Type)
		if err != nil {
			return out, err
		}
		n := i + 1
		for n < len(events) && m.route(events[n].Key.Type) == name {
			n++
		}
		part := Shipment{Events: events[i:n], Names: s.Names}
		if n == len(events) {
			part.Known = known[name]
			delete(known, name)
		}
		sent, err := c.Send(ctx, part)
		out.Bytes += sent.Bytes
		out.Status = sent.Status
		if err != nil {
			return out, err
		}
		if len(sent.Receipts) != n-i {
			return out, syncerr.New(syncerr.Transient, "push", "the peer answered %d of %d changes", len(sent.Receipts), n-i)
		}
		out.Receipts = append(out.Receipts, sent.Receipts...)
		i = n
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		c, err := m.client(known[name][0].Type)
		if err != nil {
			return out, err
		}
		sent, err := c.Send(ctx, Shipment{Known: known[name]})
		out.Bytes += sent.Bytes
		if err != nil {
			return out, err
		}
	}
	return out, nil
}
