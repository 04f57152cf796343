package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/version"
)

// mixed forces Patient to go over FHIR, a REST type over REST, and leaves the rest to the protocol between nodes.
func mixed(c *config.Config) {
	rules := []config.TypeRule{{Type: "Patient", Client: config.ClientFHIR}, {Type: "program", Client: config.ClientREST}, {Type: "*"}}
	c.Pull.Types, c.Push.Types = rules, rules
}

// edit writes, or deletes, as an application does; it reports whether that was a change.
func (r *running) edit(t *testing.T, k fhir.Key, text string) {
	t.Helper()
	write := engine.Write{Op: engine.Delete, Key: k}
	if text != "" {
		body := fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"language":%q}`, k.Type, k.ID, text)
		if fhir.IsREST(k.Type) {
			body = fmt.Appendf(nil, `{"uuid":%q,"name":%q}`, k.ID, text)
		}
		doc, err := fhir.ParseAs(k.Type, body, 0)
		if err != nil {
			t.Fatal(err)
		}
		write = engine.Write{Op: engine.Update, Key: k, Body: doc}
	}
	if _, err := r.Engine().Author(context.Background(), "test", []engine.Write{write}); err != nil {
		t.Fatal(err)
	}
}

// agree waits until all nodes have the same copies of keys, under the same versions.
func agree(t *testing.T, nodes []*running, keys []fhir.Key) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		differ := ""
		for _, k := range keys {
			var first version.Stamp
			for i, n := range nodes {
				c, _, err := n.Engine().Store().Get(context.Background(), k)
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					first = c.Stamp
				} else if c.Stamp.Version != first.Version || !c.Stamp.SameContent(first) {
					differ += fmt.Sprintf("%s: %s has %+v, %s has %+v\n", k, nodes[0].cfg.Node.Name, first, n.cfg.Node.Name, c.Stamp)
				}
			}
		}
		if differ == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal(differ)
		}
	}
}

// A child whose link to its parent goes over FHIR for one type, over REST for another and over the nodes' protocol for the rest converges
// just the same, with a sibling that speaks to the parent as nodes do (DESIGN.md section 7).
func TestMixedClients(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { mixedWorld(t, seed) })
	}
}

func mixedWorld(t *testing.T, seed uint64) {
	t.Helper()
	ctx := context.Background()
	parent := start(t, "parent", nil, node.Deps{}, nil)
	a := start(t, "a", parent, node.Deps{}, mixed)
	b := start(t, "b", parent, node.Deps{}, nil)
	nodes := []*running{parent, a, b}
	var keys []fhir.Key
	for i := range 4 {
		keys = append(keys, fhir.Key{Type: "Patient", ID: fmt.Sprint("p", i)}, fhir.Key{Type: "Observation", ID: fmt.Sprint("o", i)},
			fhir.Key{Type: "program", ID: fmt.Sprintf("00000000-0000-4000-8000-00000000000%d", i)})
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for round := range 6 {
		for i := range 15 {
			k, text := keys[r.IntN(len(keys))], fmt.Sprintf("r%d-%d", round, i)
			if r.IntN(6) == 0 {
				text = ""
			}
			nodes[r.IntN(3)].edit(t, k, text)
		}
		agree(t, nodes, keys)
	}
	for _, n := range []*running{a, b} { // what has converged stays
		for range 3 {
			if _, err := n.Sync(ctx, "both"); err != nil {
				t.Fatal(err)
			}
		}
	}
	head, err := a.Engine().Store().Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := a.Sync(ctx, "both"); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := a.Engine().Store().Head(ctx); err != nil || now != head {
		t.Errorf("idle passes write: %s, %s, %v", head, now, err)
	}
	over := map[string]int{}
	rows, err := a.Engine().Store().AuditRecords(ctx, audit.Query{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Key.Type != "" && row.LinkType != "" {
			over[row.Key.Type+" "+row.LinkType+" "+string(row.Operation)]++
		}
	}
	for _, want := range []string{"Patient fhir PULL", "Patient fhir PUSH", "program rest PULL", "program rest PUSH", "Observation node PULL", "Observation node PUSH"} {
		if over[want] == 0 {
			t.Errorf("nothing went as %s: %v", want, over)
		}
	}
	for name := range over {
		if strings.HasPrefix(name, "Patient node") || strings.HasPrefix(name, "program node") {
			t.Errorf("%d went as %s", over[name], name)
		}
	}
}

// courier is a client that an implementer injects: it moves documents to the parent's store in its own way.
type courier struct {
	to    *running
	moved map[string]int
}

func (c *courier) Fetch(ctx context.Context, refs []feed.Ref) ([]feed.Event, error) {
	var out []feed.Event
	for _, ref := range refs {
		got, ok, err := c.to.Engine().Store().Get(ctx, ref.Key)
		if err != nil || !ok {
			return out, err
		}
		c.moved["down"]++
		out = append(out, feed.Event{Key: ref.Key, Stamp: got.Stamp, Content: got.Body, Action: feed.Updated})
	}
	return out, nil
}

func (c *courier) Send(ctx context.Context, s resourcemanager.Shipment) (resourcemanager.Sent, error) {
	c.moved["up"] += len(s.Events)
	receipts, err := c.to.Engine().Accept(ctx, engine.Batch{Link: engine.Link{Peer: "courier", Child: "courier", ClientName: "courier"}, Events: s.Events, Names: s.Names})
	return resourcemanager.Sent{Receipts: receipts, Status: 200}, err
}

// An injected client moves a type of its own.
func TestInjectedClientOfAnotherKind(t *testing.T) {
	parent := start(t, "parent", nil, node.Deps{}, nil)
	c := &courier{to: parent, moved: map[string]int{}}
	child := start(t, "child", parent, node.Deps{Clients: map[string]resourcemanager.Client{"courier": c}}, func(cfg *config.Config) {
		rules := []config.TypeRule{{Type: "Basic", Client: "courier"}, {Type: "*"}}
		cfg.Pull.Types, cfg.Push.Types = rules, rules
	})
	up, down, other := fhir.Key{Type: "Basic", ID: "up"}, fhir.Key{Type: "Basic", ID: "down"}, fhir.Key{Type: "Patient", ID: "other"}
	child.edit(t, up, "en")
	parent.edit(t, down, "fr")
	child.edit(t, other, "pt")
	agree(t, []*running{parent, child}, []fhir.Key{up, down, other})
	child.stop()
	if c.moved["up"] == 0 || c.moved["down"] == 0 {
		t.Errorf("it moved %v", c.moved)
	}
}
