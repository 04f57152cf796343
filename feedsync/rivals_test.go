package feedsync_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feedsync"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
)

// quarrel lets several endpoints change an item of a peer at once: the peer has the winner, and the others as its conflicts.
func (p *peer) quarrel(key string, texts map[string]string) {
	base := p.items[key]
	for _, by := range []string{"east", "south", "west"} {
		text, ok := texts[by]
		if !ok {
			continue
		}
		p.now += 1000
		x := base
		x.ID, x.Content, x.Conflicts = key, body(key, text), nil
		x = x.Update(by, p.now)
		mine := p.items[key]
		if len(mine.History) == 0 {
			p.items[key] = x
			continue
		}
		p.items[key] = feedsync.Merge(&mine, x)
	}
}

// kept returns the texts of both sides of all conflicts of the node.
func (c clinic) kept() (out []string) {
	c.t.Helper()
	err := c.Engine().Store().Read(c.t.Context(), func(r *store.Reader) error {
		list, err := r.ConflictsOf(fhir.Key{Type: "Patient", ID: "a"})
		for _, x := range list {
			out = append(out, div(x.LocalContent), div(x.IncomingContent))
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestRivalsOfAPeer: what lost at a peer is copied (3.3). Under every policy the peer's winner stands, the losers are kept, and the peer is rid of
// its conflicts when it has read what was decided (3.4).
func TestRivalsOfAPeer(t *testing.T) {
	for _, policy := range []reconcile.Policy{reconcile.SourceWins, reconcile.DestinationWins} {
		t.Run(string(policy), func(t *testing.T) {
			p := &peer{t: t, items: map[string]feedsync.Item{}, now: 1_700_000_000_000}
			c := newClinic(t, p, policy)
			p.edit("Patient/a", "one")
			c.read()
			p.read(c.Node)
			p.quarrel("Patient/a", map[string]string{"east": "from the east", "south": "from the south", "west": "from the west"})
			if n := len(p.items["Patient/a"].Conflicts); n != 2 {
				t.Fatalf("the peer has %d conflicts", n)
			}
			won := p.has("Patient/a")
			c.read()
			if c.has("Patient/a") != won {
				t.Errorf("the node has %q, the peer %q", c.has("Patient/a"), won)
			}
			if got, want := c.kept(), []string{"from the east", "from the south", "from the west"}; !slices.Equal(got, want) {
				t.Errorf("kept are %q, want %q", got, want)
			}
			p.read(c.Node)
			if x := p.items["Patient/a"]; len(x.Conflicts) != 0 || p.has("Patient/a") != won {
				t.Errorf("after reading, the peer has %s: %s", p.has("Patient/a"), show(x))
			}
			before := c.conflicts()
			for range 2 {
				c.read()
				p.read(c.Node)
			}
			if n := c.conflicts(); n != before {
				t.Errorf("idle rounds made %d conflicts of %d", n, before)
			}
			p.quarrel("Patient/a", map[string]string{"east": "east again", "west": "west again"})
			c.read()
			p.read(c.Node)
			if x := p.items["Patient/a"]; len(x.Conflicts) != 0 || c.has("Patient/a") != p.has("Patient/a") || len(c.kept()) != 5 {
				t.Errorf("the next quarrel: the node has %q, the peer %s; kept are %q", c.has("Patient/a"), show(x), c.kept())
			}
		})
	}
}

// TestRivalsWaitForAPerson: where a person decides, one rival after the other is put before him, and all stand in sx:conflicts at the peer until then, whether the
// peer reads what was decided in between or not.
func TestRivalsWaitForAPerson(t *testing.T) {
	for name, reads := range map[string]bool{"the peer reads": true, "the peer reads in the end": false} {
		t.Run(name, func(t *testing.T) {
			p := &peer{t: t, items: map[string]feedsync.Item{}, now: 1_700_000_000_000}
			c := newClinic(t, p, reconcile.Defer)
			p.edit("Patient/a", "one")
			c.read()
			p.quarrel("Patient/a", map[string]string{"east": "from the east", "south": "from the south", "west": "from the west"})
			won := p.has("Patient/a")
			for left := 2; left > 0; left-- {
				for range 2 {
					c.read()
					if reads {
						p.read(c.Node)
					}
				}
				if n := len(p.items["Patient/a"].Conflicts); n != left && reads {
					t.Fatalf("the peer has %d conflicts, want %d: %s", n, left, show(p.items["Patient/a"]))
				}
				c.resolve()
			}
			p.read(c.Node)
			c.read()
			if x := p.items["Patient/a"]; len(x.Conflicts) != 0 || p.has("Patient/a") != won || c.has("Patient/a") != won {
				t.Errorf("in the end the node has %q, the peer %s", c.has("Patient/a"), show(x))
			}
			if n := len(c.open()); n != 0 {
				t.Errorf("%d conflicts are open", n)
			}
		})
	}
}

func (c clinic) open() []store.Conflict {
	c.t.Helper()
	open, err := c.Engine().Store().Conflicts(c.t.Context(), store.ConflictFilter{Status: store.ConflictOpen})
	if err != nil {
		c.t.Fatal(err)
	}
	return open
}

// resolve decides the one conflict that is open: what stands here stays.
func (c clinic) resolve() {
	c.t.Helper()
	open := c.open()
	if len(open) != 1 {
		c.t.Fatalf("%d conflicts are open", len(open))
	}
	if _, err := c.Engine().Resolve(c.t.Context(), open[0].UUID, engine.Resolution{Choice: engine.KeepLocal}, "somebody"); err != nil {
		c.t.Fatal(err)
	}
}

// TestRivalOfAnotherResource: a conflict that is of another resource than its item touches nothing.
func TestRivalOfAnotherResource(t *testing.T) {
	p := &peer{t: t, items: map[string]feedsync.Item{}, now: 1_700_000_000_000}
	c := newClinic(t, p, reconcile.SourceWins)
	c.write("Patient/victim", "whole")
	p.edit("Patient/a", "one")
	x := p.items["Patient/a"]
	x.Conflicts = []feedsync.Item{{ID: "Patient/victim", Content: body("Patient/victim", "harm"), Updates: 9, History: []feedsync.Update{{Sequence: 9, By: "x", When: p.now}}}}
	p.items["Patient/a"] = x
	c.read()
	if c.has("Patient/victim") != "whole" || c.has("Patient/a") != "one" || c.conflicts() != 0 {
		t.Errorf("the node has %q and %q, %d conflicts", c.has("Patient/victim"), c.has("Patient/a"), c.conflicts())
	}
}

// TestSharing: a feed says up to when it goes and when it has to be read again, and gives what was changed since the last one (sx:sharing).
func TestSharing(t *testing.T) {
	p := &peer{t: t, items: map[string]feedsync.Item{}, now: 1_700_000_000_000}
	c := newClinic(t, p, reconcile.SourceWins)
	c.write("Patient/a", "one")
	whole := p.read(c.Node)
	if whole.Since != 0 || whole.Until == 0 || whole.Until%1000 != 0 || whole.Complete != "" || whole.Expires-whole.Until < (89*24*time.Hour).Milliseconds() {
		t.Errorf("the whole feed is from %d until %d, expires %d, and is part of %q", whole.Since, whole.Until, whole.Expires, whole.Complete)
	}
	span := func(since int64) string {
		return "http://node.example/ws/feedsync/patient?since=" + time.UnixMilli(since).UTC().Format(time.RFC3339)
	}
	for i := range 130 { // so many that there is a next page
		c.write("Patient/n"+strings.Repeat("x", i%40)+string(rune('a'+i/40)), "two")
	}
	part := p.readFrom(c.Node, span(whole.Until))
	if len(p.items) != 131 || part.Since != whole.Until || !strings.HasSuffix(part.Complete, "/ws/feedsync/patient") || part.Until < whole.Until {
		t.Errorf("%d items; the part is from %d until %d of %q", len(p.items), part.Since, part.Until, part.Complete)
	}
	later := p.readFrom(c.Node, span(part.Until+1000))
	if len(later.Items) != 0 {
		t.Errorf("%d items were changed later", len(later.Items))
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://node.example/ws/feedsync/patient?since=yesterday", nil)
	r.Header.Set("Authorization", "Bearer "+c.AdminToken())
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "is no time") {
		t.Errorf("since=yesterday: %d %s", w.Code, w.Body)
	}
}
