package reconcile_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// named gives the test's replicas their node names; rd has none, as a replica whose name has not come yet.
func named(r version.Replica) string {
	switch r {
	case ra:
		return "alpha"
	case rb:
		return "beta"
	case rc:
		return "gamma"
	}
	return ""
}

// authored returns a copy in conflict with every other replica's first.
func authored(r version.Replica, ms int64, content byte) version.Stamp {
	s := write(at(r, 1), content)
	s.Authored = ms
	return s
}

func TestResolve(t *testing.T) {
	early, late := authored(ra, 10, 1), authored(rb, 20, 2)
	gone := authored(rb, 20, deletion)
	same := authored(rb, 10, 2)
	prio := map[string]int{"alpha": 2, "beta": 1}
	const src, dst, pri, lww, dfr = reconcile.SourceWins, reconcile.DestinationWins, reconcile.ReplicaPriority, reconcile.LastWriterWins, reconcile.Defer
	type resolution = reconcile.Resolution
	in := func(p reconcile.Policy) resolution { return resolution{Incoming: true, Rule: p} }
	loc := func(p reconcile.Policy) resolution { return resolution{Rule: p} }
	kept := func(r resolution) resolution { r.Flagged = true; return r }
	ps := func(p reconcile.Policy) reconcile.Policies { return reconcile.Policies{Default: p, Priority: prio} }
	deletes := func(p reconcile.Policy) reconcile.Policies {
		return reconcile.Policies{Default: p, Priority: prio, DeletesWin: true}
	}
	tests := []struct {
		name          string
		policies      reconcile.Policies
		a, b          version.Stamp
		want, swapped resolution // of a local, b incoming; of b local, a incoming
	}{
		{"source wins", ps(src), early, late, in(src), in(src)},
		{"destination wins", ps(dst), early, late, loc(dst), loc(dst)},
		{"last writer wins", ps(lww), early, late, in(lww), loc(lww)},
		{"last writer, same time: higher origin", ps(lww), early, same, in(lww), loc(lww)},
		{"priority", ps(pri), early, late, in(pri), loc(pri)},
		{"priority beats time", ps(pri), authored(ra, 99, 1), late, in(pri), loc(pri)},
		{"one without priority is weakest", ps(pri), authored(rc, 99, 3), early, in(pri), loc(pri)},
		{"one without name is weakest", ps(pri), authored(rd, 99, 3), early, in(pri), loc(pri)},
		{"priority tie: the last writer", reconcile.Policies{Default: pri, Priority: map[string]int{"alpha": 1, "beta": 1}}, early, late, in(pri), loc(pri)},
		{"no priorities: the last writer", reconcile.Policies{Default: pri}, early, late, in(pri), loc(pri)},
		{"priority 0 and below count as none", reconcile.Policies{Default: pri, Priority: map[string]int{"alpha": 0, "beta": -1, "gamma": 9}}, late, authored(rc, 1, 1), in(pri), loc(pri)},
		{"defer", ps(dfr), early, late, resolution{Deferred: true, Rule: dfr}, resolution{Deferred: true, Rule: dfr}},
		{"no default: last writer", reconcile.Policies{}, early, late, in(lww), loc(lww)},

		{"delete against edit, source wins", ps(src), early, gone, kept(loc(src)), kept(in(src))},
		{"delete against edit, destination wins", ps(dst), early, gone, kept(loc(dst)), kept(in(dst))},
		{"delete against edit, priority", ps(pri), early, gone, kept(loc(pri)), kept(in(pri))},
		{"delete against edit, last writer", ps(lww), early, gone, kept(loc(lww)), kept(in(lww))},
		{"delete against edit, defer", ps(dfr), early, gone, resolution{Deferred: true, Rule: dfr}, resolution{Deferred: true, Rule: dfr}},
		{"deletes win, source wins", deletes(src), early, gone, in(src), loc(src)},
		{"deletes win, destination wins", deletes(dst), early, gone, in(dst), loc(dst)},
		{"deletes win, priority", deletes(pri), authored(rb, 99, 1), authored(ra, 1, deletion), in(pri), loc(pri)},
		{"deletes win, last writer", deletes(lww), authored(ra, 99, 1), gone, in(lww), loc(lww)},
		{"deletes win, defer", deletes(dfr), early, gone, resolution{Deferred: true, Rule: dfr}, resolution{Deferred: true, Rule: dfr}},
		{"deletes win says nothing about two edits", deletes(lww), early, late, in(lww), loc(lww)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireValid(t, tt.a, tt.b)
			if got := reconcile.Decide(tt.a, tt.b); got != reconcile.Conflict {
				t.Fatalf("the copies are %s, not in conflict", got)
			}
			if got := tt.policies.Resolve("Patient", tt.a, tt.b, named); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if got := tt.policies.Resolve("Patient", tt.b, tt.a, named); got != tt.swapped {
				t.Errorf("swapped: got %+v, want %+v", got, tt.swapped)
			}
		})
	}
}

// The policies judge who wrote the content, not which node decided last.
func TestResolveJudgesTheAuthor(t *testing.T) {
	byBeta := stamp(at(ra, 5), at(rb, 1), 1)
	byGamma := stamp(at(rd, 1), at(rc, 1), 2)
	p := reconcile.Policies{Default: reconcile.ReplicaPriority, Priority: map[string]int{"alpha": 1, "beta": 3, "gamma": 2}}
	if got := p.Resolve("Patient", byBeta, byGamma, named); !got.Incoming {
		t.Errorf("got %+v, want gamma's content", got)
	}
	p.Default = reconcile.LastWriterWins
	if got := p.Resolve("Patient", byBeta, byGamma, named); !got.Incoming {
		t.Errorf("got %+v, want the higher origin where the time is the same", got)
	}
	if got := p.Resolve("Patient", byGamma, byBeta, named); got.Incoming {
		t.Errorf("got %+v, want the higher origin where the time is the same, swapped", got)
	}
	byBeta.Authored = 1
	if got := p.Resolve("Patient", byBeta, byGamma, named); got.Incoming {
		t.Errorf("got %+v, want the content that was authored later", got)
	}
}

func TestPoliciesFor(t *testing.T) {
	p := reconcile.Policies{Default: reconcile.SourceWins, Types: map[string]reconcile.Policy{"Patient": reconcile.Defer}}
	for typ, want := range map[string]reconcile.Policy{"Patient": reconcile.Defer, "Observation": reconcile.SourceWins} {
		if got := p.For(typ); got != want {
			t.Errorf("%s: got %s, want %s", typ, got, want)
		}
	}
	if got := (reconcile.Policies{}).For("Patient"); got != reconcile.LastWriterWins {
		t.Errorf("nothing configured: got %s, want last-writer-wins", got)
	}
}

func TestParsePolicy(t *testing.T) {
	for _, want := range []string{"source-wins", "destination-wins", "replica-priority", "last-writer-wins", "defer"} {
		if got, err := reconcile.ParsePolicy(want); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", want, got, err)
		}
	}
	for _, bad := range []string{"", "Defer", "latest", "source-wins "} {
		_, err := reconcile.ParsePolicy(bad)
		if syncerr.KindOf(err) != syncerr.Usage {
			t.Errorf("%q: got %v, want a usage error", bad, err)
			continue
		}
		for _, p := range reconcile.PolicyNames() {
			if !strings.Contains(err.Error(), string(p)) {
				t.Errorf("%q: %v does not say that %s would do", bad, err, p)
			}
		}
	}
}

// One arbiter a link is not enough where two links decide the same conflict: symmetric policies must then agree.
func TestSymmetricPoliciesLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := pair(t)
		if reconcile.Decide(a, b) != reconcile.Conflict {
			a, b = authored(ra, rapid.Int64Range(1, 3).Draw(t, "a authored"), 1), authored(rb, rapid.Int64Range(1, 3).Draw(t, "b authored"), 2)
		}
		p := reconcile.Policies{
			Default:    rapid.SampledFrom([]reconcile.Policy{reconcile.ReplicaPriority, reconcile.LastWriterWins}).Draw(t, "policy"),
			Priority:   rapid.MapOf(rapid.SampledFrom([]string{"alpha", "beta", "gamma"}), rapid.IntRange(-1, 3)).Draw(t, "priority"),
			DeletesWin: rapid.Bool().Draw(t, "deletes win"),
		}
		one, two := p.Resolve("Patient", a, b, named), p.Resolve("Patient", b, a, named)
		if one.Incoming == two.Incoming || one.Flagged != two.Flagged || one.Deferred || two.Deferred {
			t.Fatalf("%+v\n%+v\none side says %+v, the other %+v", a, b, one, two)
		}
		if a.Deleted != b.Deleted {
			chosen := a
			if one.Incoming {
				chosen = b
			}
			if chosen.Deleted != p.DeletesWin || one.Flagged == p.DeletesWin {
				t.Fatalf("deletes win %t, but %+v was chosen and flagged %t", p.DeletesWin, chosen, one.Flagged)
			}
		}
	})
}
