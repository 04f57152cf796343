package resourcemanager_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// client notes what it is asked for in calls, which several share.
type client struct {
	name  string
	calls *[]string
	err   error
	short bool
}

func (c *client) Fetch(_ context.Context, refs []feed.Ref) ([]feed.Event, error) {
	var ids []string
	var out []feed.Event
	for _, r := range refs {
		ids = append(ids, r.Key.String())
		out = append(out, feed.Event{Key: r.Key})
	}
	*c.calls = append(*c.calls, c.name+": "+strings.Join(ids, " "))
	return out, c.err
}

func (c *client) Send(_ context.Context, s resourcemanager.Shipment) (resourcemanager.Sent, error) {
	var ids []string
	sent := resourcemanager.Sent{Status: 200, Bytes: 10}
	for _, ev := range s.Events {
		ids = append(ids, ev.Key.String())
		sent.Receipts = append(sent.Receipts, feed.Receipt{Key: ev.Key, Result: feed.Applied})
	}
	for _, n := range s.Names {
		ids = append(ids, n.Node)
	}
	for _, k := range s.Known {
		ids = append(ids, "knows "+k.Type)
	}
	*c.calls = append(*c.calls, c.name+": "+strings.Join(ids, " "))
	if c.short {
		sent.Receipts = sent.Receipts[1:]
	}
	return sent, c.err
}

func manager() (*resourcemanager.Manager, *client, *client, *[]string) {
	calls := &[]string{}
	node, rest := &client{name: "node", calls: calls}, &client{name: "rest", calls: calls}
	route := func(t string) string {
		switch t {
		case "Basic":
			return "rest"
		case "Group":
			return "none"
		}
		return "node"
	}
	return resourcemanager.New(route, map[string]resourcemanager.Client{"node": node, "rest": rest}), node, rest, calls
}

func keys(names ...string) []fhir.Key {
	var out []fhir.Key
	for _, n := range names {
		t, id, _ := strings.Cut(n, "/")
		out = append(out, fhir.Key{Type: t, ID: id})
	}
	return out
}

func events(names ...string) []feed.Event {
	var out []feed.Event
	for _, k := range keys(names...) {
		out = append(out, feed.Event{Key: k})
	}
	return out
}

func refs(names ...string) []feed.Ref {
	var out []feed.Ref
	for _, k := range keys(names...) {
		out = append(out, feed.Ref{Key: k})
	}
	return out
}

func TestManagerRoutes(t *testing.T) {
	m, _, _, calls := manager()
	sent, err := m.Send(t.Context(), resourcemanager.Shipment{
		Events: events("Patient/1", "Patient/2", "Basic/1", "Patient/3"), Names: []feed.Name{{Node: "n"}}, Known: []feed.Known{{Type: "Patient"}, {Type: "Basic"}},
	})
	if err != nil || sent.Status != 200 || sent.Bytes != 40 || len(sent.Receipts) != 4 {
		t.Fatalf("%+v %v", sent, err)
	}
	for i, k := range keys("Patient/1", "Patient/2", "Basic/1", "Patient/3") {
		if sent.Receipts[i].Key != k {
			t.Errorf("receipt %d is for %s", i, sent.Receipts[i].Key)
		}
	}
	// Runs keep the order of the changes; a fetch has no order and goes once to each client.
	got, err := m.Fetch(t.Context(), refs("Patient/1", "Basic/1", "Patient/2"))
	if err != nil || len(got) != 3 {
		t.Errorf("%v %v", got, err)
	}
	want := []string{"node: Patient/1 Patient/2 n", "rest: Basic/1 n", "node: Patient/3 n knows Patient", "rest: knows Basic", "node: Patient/1 Patient/2", "rest: Basic/1"}
	if !slices.Equal(*calls, want) {
		t.Errorf("%q, want %q", *calls, want)
	}
	if m.Name("Basic") != "rest" || m.Name("Patient") != "node" {
		t.Error("names")
	}
	if err := m.Check([]string{"Patient", "Basic"}); err != nil {
		t.Error(err)
	}
	if sent, err := m.Send(t.Context(), resourcemanager.Shipment{}); err != nil || len(sent.Receipts) != 0 {
		t.Errorf("%v %v", sent, err)
	}
}

func TestManagerUnknownClient(t *testing.T) {
	m, _, _, calls := manager()
	_, fetch := m.Fetch(t.Context(), refs("Patient/1", "Group/1"))
	_, send := m.Send(t.Context(), resourcemanager.Shipment{Events: events("Group/1")})
	for _, err := range []error{fetch, send, m.Check([]string{"Patient", "Group"})} {
		if syncerr.KindOf(err) != syncerr.Usage || !strings.Contains(err.Error(), `"none"`) || syncerr.HintOf(err) == "" {
			t.Errorf("%v", err)
		}
	}
	if len(*calls) != 0 {
		t.Errorf("asked nevertheless: %q", *calls)
	}
}

func TestManagerFailures(t *testing.T) {
	away := errors.New("the peer is away")
	m, node, rest, calls := manager()
	rest.err = away
	if sent, err := m.Send(t.Context(), resourcemanager.Shipment{Events: events("Patient/1", "Basic/1", "Patient/2")}); !errors.Is(err, away) || len(sent.Receipts) != 1 || sent.Bytes != 20 {
		t.Errorf("%+v %v", sent, err)
	}
	if got, err := m.Fetch(t.Context(), refs("Basic/1", "Patient/1")); !errors.Is(err, away) || got != nil {
		t.Errorf("%v %v", got, err)
	}
	if len(*calls) != 3 {
		t.Errorf("went on after a failure: %q", *calls)
	}
	node.short = true
	if _, err := m.Send(t.Context(), resourcemanager.Shipment{Events: events("Patient/1", "Patient/2")}); syncerr.KindOf(err) != syncerr.Transient || !strings.Contains(err.Error(), "1 of 2") {
		t.Errorf("a short answer: %v", err)
	}
}
