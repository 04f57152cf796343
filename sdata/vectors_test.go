package sdata_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/sdata"
)

const more = "http://n1.example/next"

// The labels are those of the vectors; those of the algebra alone are tested in package version.

func TestSD3EndOfFeed(t *testing.T) {
	h := newHost(t, "a", nil)
	h.apply(200, pageOf("catchUp", []uint64{6, 11, 9}, ""))
	h.wantTicks(map[string]uint64{"n1": 6, "n2": 11, "n3": 9, "own": 1})
	h.apply(200, pageOf("immediate", []uint64{6, 10, 10}, "")) // only what is carried is known
	h.apply(200, pageOf("catchUp", []uint64{6, 10, 10}, more)) // not the last page
	h.wantTicks(map[string]uint64{"n1": 6, "n2": 11, "n3": 9})
	h.apply(200, pageOf("catchUp", []uint64{6, 10, 10}, ""))
	h.wantTicks(map[string]uint64{"n1": 6, "n2": 11, "n3": 10})
}

// TestSD5 has the conflict table of 2.6. Case e of the specification's own table compares the digest's endpoints; 5.4 compares those of the
// two states, so the target's copy wins there.
func TestSD5(t *testing.T) {
	for _, c := range []struct {
		name             string
		source, target   change
		want, wantResult string
	}{
		{"a", change{node: 1, tick: 5}, change{node: 1, tick: 4}, "source", "OK"},
		{"b", change{node: 1, tick: 5}, change{node: 2, tick: 6}, "source", "OK"},
		{"c", change{node: 1, tick: 5}, change{node: 2, tick: 7}, "source", "a conflict was decided"},
		{"d", change{node: 1, tick: 5}, change{node: 3, tick: 7}, "source", "OK"},
		{"e", change{node: 3, tick: 8}, change{node: 2, tick: 7}, "target", "a conflict was decided"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, "b", priorities)
			c.target.id, c.target.text, c.source.id, c.source.text = "p", "target", "p", "source"
			var before []uint64
			switch c.target.node { // what the author of the target's copy had seen
			case 1:
				before = []uint64{5}
			case 2:
				before = []uint64{0, 8}
			case 3:
				before = []uint64{0, 0, 8}
			}
			h.apply(200, pageOf("catchUp", before, more, c.target))
			h.apply(200, pageOf("catchUp", []uint64{5, 8, 8}, ""))
			h.wantTicks(map[string]uint64{"n1": 5, "n2": 8, "n3": 8})
			f := h.apply(200, pageOf("catchUp", []uint64{6, 7, 9}, "", c.source))
			if got := f.Entries[0].Outcome.Message; got != c.wantResult {
				t.Errorf("outcome %q, want %q", got, c.wantResult)
			}
			if got := h.has("Patient", "p"); got != c.want {
				t.Errorf("the %s's copy stands, want the %s's", got, c.want)
			}
		})
	}
}

func TestImmediate(t *testing.T) {
	have := []uint64{6, 11, 10}
	source := []uint64{7, 11, 15}
	p := func(ticks ...uint64) (out []change) {
		for _, tick := range ticks {
			out = append(out, change{node: 1, tick: tick, id: fmt.Sprint("p", tick), text: "x"})
		}
		return out
	}
	for _, c := range []struct {
		name    string
		changes []change
		status  int
		want    map[string]uint64
		stands  string // ids that are there afterwards
	}{
		{"SD8", p(6), 200, map[string]uint64{"n1": 7, "n2": 11, "n3": 10}, "p6"},
		{"SD9", p(7), 400, map[string]uint64{"n1": 6, "n2": 11, "n3": 10}, ""},
		{"SD10", p(6, 7), 200, map[string]uint64{"n1": 8, "n2": 11, "n3": 10}, "p6 p7"},
		{"SD11", p(6, 7, 9), 400, map[string]uint64{"n1": 6, "n2": 11, "n3": 10}, ""},
		{"SD12", p(5), 200, map[string]uint64{"n1": 6, "n2": 11, "n3": 10}, "p5"},
		{"SD13 unseen", []change{{node: 4, tick: 1, id: "q", text: "x"}}, 200, map[string]uint64{"n4": 2}, "q"},
		{"SD13 gap", []change{{node: 4, tick: 2, id: "q", text: "x"}}, 400, map[string]uint64{"n4": 0}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, "b", nil)
			h.apply(200, pageOf("catchUp", have, ""))
			h.apply(c.status, pageOf("immediate", source, "", c.changes...))
			h.wantTicks(c.want)
			var there []string
			for _, id := range []string{"p5", "p6", "p7", "p9", "q"} {
				if h.has("Patient", id) != "" {
					there = append(there, id)
				}
			}
			if got := strings.Join(there, " "); got != c.stands {
				t.Errorf("%q are there, want %q", got, c.stands)
			}
			if refused := h.audit(audit.Query{Operation: audit.Refuse}); (len(refused) == 1) != (c.status == 400) {
				t.Errorf("refusals in the audit: %+v", refused)
			}
		})
	}
}

func TestSD12DuplicateIsHarmless(t *testing.T) {
	h := newHost(t, "b", nil)
	first := pageOf("immediate", []uint64{2}, "", change{node: 1, tick: 1, id: "p", text: "one"})
	h.apply(200, first)
	h.apply(200, pageOf("immediate", []uint64{3}, "", change{node: 1, tick: 2, id: "p", text: "two"}))
	wantStatuses(t, h.apply(200, first), 200)
	if got := h.has("Patient", "p"); got != "two" {
		t.Errorf("the duplicate left %q", got)
	}
	h.wantTicks(map[string]uint64{"n1": 3})
}

func TestSD14LostPushHeals(t *testing.T) {
	h := newHost(t, "b", nil)
	h.apply(200, pageOf("catchUp", []uint64{6}, ""))
	h.apply(400, pageOf("immediate", []uint64{8}, "", change{node: 1, tick: 7, id: "p7", text: "x"})) // (1,6) was lost
	h.apply(200, pageOf("catchUp", []uint64{8}, "", change{node: 1, tick: 6, id: "p6", text: "x"}, change{node: 1, tick: 7, id: "p7", text: "x"}))
	h.wantTicks(map[string]uint64{"n1": 8})
	if h.has("Patient", "p6") != "x" || h.has("Patient", "p7") != "x" {
		t.Error("the catch-up did not heal")
	}
}

func TestSD15TieOfPriorities(t *testing.T) {
	for _, c := range []struct{ name, first, second, want string }{
		{"later stamp, arrives last", "2009-01-01T10:00:00Z", "2009-01-01T10:00:01Z", "n2"},
		{"later stamp, arrives first", "2009-01-01T10:00:01Z", "2009-01-01T10:00:00Z", "n1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, "b", func(cfg *config.Config) {
				cfg.Conflicts.Default = reconcile.ReplicaPriority
				cfg.Conflicts.Priority = map[string]int{endpoint(1): 3, endpoint(2): 3}
			})
			h.apply(200, pageOf("catchUp", []uint64{2}, "", change{node: 1, tick: 1, id: "p", text: "n1", stamp: c.first}))
			h.apply(200, pageOf("catchUp", []uint64{0, 2}, "", change{node: 2, tick: 1, id: "p", text: "n2", stamp: c.second}))
			if got := h.has("Patient", "p"); got != c.want {
				t.Errorf("%s stands, want %s", got, c.want)
			}
		})
	}
}

func TestSD16DeleteOfWhatIsNotHere(t *testing.T) {
	h := newHost(t, "b", nil)
	h.apply(200, pageOf("catchUp", []uint64{8}, ""))
	wantStatuses(t, h.apply(200, pageOf("catchUp", []uint64{9}, "", change{node: 1, tick: 8, id: "p"})), 200)
	h.wantTicks(map[string]uint64{"n1": 9})
	if got := h.has("Patient", "p"); got != "gone" {
		t.Errorf("a tombstone is kept, here is %q", got)
	}
}

// TestSD17InterruptedPass: after the first page the next pass asks from there on.
func TestSD17InterruptedPass(t *testing.T) {
	h := newHost(t, "b", nil)
	var list []change
	for i := range uint64(20) {
		list = append(list, change{node: 1, tick: i + 1, id: fmt.Sprint("p", i), text: "x"})
	}
	h.apply(200, pageOf("catchUp", []uint64{21, 5}, more, list[:10]...))
	h.wantTicks(map[string]uint64{"n1": 11, "n2": 0})
	h.apply(200, pageOf("catchUp", []uint64{21, 5}, "", list[10:]...))
	h.wantTicks(map[string]uint64{"n1": 21, "n2": 5})
}

func TestSD18Async(t *testing.T) {
	h := newHost(t, "b", nil)
	page := pageOf("catchUp", []uint64{2}, "", change{node: 1, tick: 1, id: "p", text: "x"})
	const post = "/sdata/Patient/$syncTarget?trackingID=6F1C1111-05E8-4f35-8115-E205446667B6&runName=Full&runStamp=1"
	a := h.must(200, "POST", post, page) // nothing runs in the background here: synchronous
	if f, err := sdata.ReadFeed(a.body); err != nil || len(f.Entries) != 1 {
		t.Fatalf("result %s, %v", a.body, err)
	}
	again := h.must(202, "POST", strings.Replace(post, "trackingID", "trackingId", 1), page) // one job, same Location
	location := again.header.Get("Location")
	if tr, ok := sdata.ReadTracking(again.body); !ok || tr.Phase == "" || tr.PollingMillis == 0 {
		t.Errorf("tracking %s", again.body)
	}
	if !strings.Contains(location, "$syncTarget('6f1c1111-05e8-4f35-8115-e205446667b6')") || !strings.Contains(location, "runName=Full") {
		t.Errorf("Location %s", location)
	}
	for range 2 { // repeatable
		if got := h.must(200, "GET", location, nil); string(got.body) != string(a.body) {
			t.Errorf("the result differs: %s", got.body)
		}
	}
	h.must(409, "POST", "/sdata/Patient/$syncTarget?trackingID=6F1C1111-05E8-4f35-8115-E205446667B6&runName=Other&runStamp=1", page)
	h.must(200, "DELETE", location, nil)
	h.must(410, "DELETE", location, nil)
	h.must(410, "GET", location, nil)
	h.must(404, "GET", "/sdata/Patient/$syncTarget('11111111-05e8-4f35-8115-e205446667b6')", nil)
	if rows := h.audit(audit.Query{Run: sdata.RunID("Full", "1")}); len(rows) != 1 || rows[0].Key.ID != "p" || rows[0].Outcome != audit.Applied {
		t.Errorf("the run's audit: %+v", rows)
	}
}

func TestSD19BatchWithABadEntry(t *testing.T) {
	h := newHost(t, "b", nil)
	f := h.apply(200, pageOf("catchUp", []uint64{4, 9}, "", change{node: 1, tick: 1, id: "p1", text: "x"},
		change{node: 1, tick: 2, id: "p2", text: "x", content: `{"resourceType":"Patient","id":"p2","id":"p2"}`}, change{node: 1, tick: 3, id: "p3", text: "x"}))
	wantStatuses(t, f, 201, 422, 201)
	if len(f.Entries[1].Trouble) != 1 || f.Entries[1].Trouble[0].Severity != sdata.Failure {
		t.Errorf("the refused entry says nothing: %+v", f.Entries[1])
	}
	h.wantTicks(map[string]uint64{"n1": 2, "n2": 9}) // T3: lowered to the first that was not taken, and no other endpoint's
	h.apply(200, pageOf("catchUp", []uint64{5}, "", change{node: 1, tick: 3, id: "p3", text: "x"}, change{node: 1, tick: 4, id: "p2", text: "mended"}))
	h.wantTicks(map[string]uint64{"n1": 5})
	if h.has("Patient", "p2") != "mended" {
		t.Error("the mended record was not taken")
	}
}

func TestT3SourceWithholdsBehindAnException(t *testing.T) {
	h := newHost(t, "b", nil)
	h.apply(200, pageOf("catchUp", []uint64{4}, "", change{node: 1, tick: 1, id: "p1", text: "x"},
		change{node: 1, tick: 2, id: "p2", text: "x", content: `{"resourceType":"Patient","id":"p2","id":"p2"}`}, change{node: 1, tick: 3, id: "p3", text: "x"}))
	h.write("Patient", "mine", "y")
	f, _, body := h.select1(digestOf(), "")
	var got []string
	for _, e := range f.Entries {
		got = append(got, fmt.Sprint(e.ID, ":", e.State.Tick))
	}
	slices.Sort(got)
	if want := []string{"mine:1", "p1:1"}; !slices.Equal(got, want) {
		t.Errorf("a plain peer is sent %v, want %v", got, want)
	}
	if strings.Contains(string(body), "tributary-sync.github.io/ns/1\" version") || strings.Contains(string(body), "<t:stamp") || strings.Contains(string(body), "<t:known") {
		t.Error("a plain peer is told what only nodes read")
	}
	all, _, _ := h.select1(newHost(t, "c", nil).must(200, "GET", "/sdata/Patient/$syncDigest", nil).body, "")
	if len(all.Entries) != 3 || all.Digest.Known == nil || len(all.Digest.Known.Lacks) != 1 {
		t.Errorf("a node is sent all with the exceptions: %+v", all)
	}
}
