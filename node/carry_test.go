package node_test

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/carry"
	client "github.com/tributary-sync/tributary/clients/control"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// alone is a node without a parent.
func alone(t *testing.T, name string) *running { return start(t, name, nil, node.Deps{}, nil) }

// introduce lets nodes know each other's keys; the first one decides.
func introduce(t *testing.T, nodes ...*running) {
	t.Helper()
	ctx := context.Background()
	cards, prints := make([][]byte, len(nodes)), make([]string, len(nodes))
	for i, n := range nodes {
		got, err := n.Control().Introduce(ctx, control.Introduce{Decides: i == 0})
		if err != nil {
			t.Fatal(err)
		}
		own, err := carry.ReadCard(got.Card)
		if err != nil {
			t.Fatal(err)
		}
		cards[i], prints[i] = got.Card, carry.Fingerprint(own.Key)
	}
	for i, n := range nodes {
		got, err := n.Control().Introduce(ctx, control.Introduce{Cards: cards, Accept: prints, Decides: i == 0})
		if err != nil || len(got.Introduced) != len(nodes)-1 {
			t.Fatalf("%s: %+v, %v", n.cfg.Node.Name, got, err)
		}
	}
}

// sticks is how the command line reaches a node.
func (r *running) sticks(t *testing.T) (*client.Client, carry.Node) {
	t.Helper()
	rt := &http.Transport{}
	t.Cleanup(rt.CloseIdleConnections)
	c := client.New(r.cfg.Node.URL, r.AdminToken(), rt)
	return c, c.Carrier()
}

func (r *running) key(t *testing.T) string {
	t.Helper()
	s, err := r.Control().Sticks(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s.PublicKey
}

func openStick(t *testing.T, dir string) *carry.Folder {
	t.Helper()
	f, err := carry.OpenFolder(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func unbounded() int64 { return -1 }

// out writes a stick at one node for another.
func (r *running) out(t *testing.T, dir string, to *running, limit int64) carry.Written {
	t.Helper()
	_, n := r.sticks(t)
	w, err := openStick(t, dir).Out(t.Context(), n, r.key(t), carry.To{Name: to.cfg.Node.Name, Key: to.key(t)}, unbounded, limit)
	if err != nil {
		t.Fatalf("%s out: %v", r.cfg.Node.Name, err)
	}
	return w
}

// in takes what is on a stick for a node.
func (r *running) in(t *testing.T, dir string) []carry.Taken {
	t.Helper()
	all, err := r.tryIn(t, dir)
	if err != nil {
		t.Fatalf("%s in: %v", r.cfg.Node.Name, err)
	}
	return all
}

func (r *running) tryIn(t *testing.T, dir string) ([]carry.Taken, error) {
	t.Helper()
	_, n := r.sticks(t)
	f := openStick(t, dir)
	found, err := f.Bundles(r.key(t))
	if err != nil {
		return nil, err
	}
	var out []carry.Taken
	for _, b := range found {
		taken, err := f.In(t.Context(), n, b)
		if err != nil {
			return out, err
		}
		out = append(out, taken)
	}
	return out, nil
}

// digestOf tells all that a node has, and what it knows, so that two nodes can be compared.
func (r *running) digestOf(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := r.Engine().Store().Read(context.Background(), func(rd *store.Reader) error {
		rows, err := rd.Log()
		if err != nil {
			return err
		}
		last := map[fhir.Key]store.Row{}
		for _, row := range rows {
			last[row.Key] = row
		}
		known, err := rd.Knowledge(nil)
		if err != nil {
			return err
		}
		for _, k := range sortedKeysOf(last) {
			c, _, err := rd.Get(k)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %s {%s} %s\n", k, c.Stamp.Version, c.Stamp.Vector, c.Body)
		}
		for _, k := range known {
			fmt.Fprintf(&b, "knows %s {%s} but %v\n", k.Type, k.Vector, k.Lacks)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sortedKeysOf(m map[fhir.Key]store.Row) []fhir.Key {
	return slices.SortedFunc(maps.Keys(m), func(a, b fhir.Key) int { return strings.Compare(a.String(), b.String()) })
}

func sticksAgree(t *testing.T, nodes ...*running) {
	t.Helper()
	first := nodes[0].digestOf(t)
	for _, n := range nodes[1:] {
		if got := n.digestOf(t); got != first {
			t.Errorf("%s has\n%s%s has\n%s", nodes[0].cfg.Node.Name, first, n.cfg.Node.Name, got)
		}
	}
	for _, n := range nodes {
		if held, err := n.Engine().Store().Held(context.Background(), 0); err != nil || len(held) > 0 {
			t.Errorf("%s holds %d copies, %v", n.cfg.Node.Name, len(held), err)
		}
	}
}

// Two nodes with nothing but a stick between them come to the same: records, deletions, conflicts, a transaction, and what they know. A copy that
// the follower has a rival of is held until the answer comes back.
func TestStickAlone(t *testing.T) {
	a, b, dir := alone(t, "district"), alone(t, "clinic"), t.TempDir()
	introduce(t, a, b)
	for i := range 5 {
		a.write(t, "Patient", fmt.Sprintf("a%d", i), "at the district")
		b.write(t, "Patient", fmt.Sprintf("b%d", i), "at the clinic")
	}
	a.write(t, "Patient", "both", "as the district says")
	b.write(t, "Patient", "both", "as the clinic says")
	a.unit(t, "u1", "u2", "u3")
	if w := a.out(t, dir, b, 0); !w.Whole || w.Manifest.Lines(carry.Changes) != 9 {
		t.Fatalf("%+v", w)
	}
	took := b.in(t, dir)
	if len(took) != 1 || !took[0].Whole || took[0].Run.Applied != 8 || took[0].Run.Held != 1 {
		t.Fatalf("%+v", took)
	}
	if again := b.in(t, dir); !again[0].Already {
		t.Errorf("taken again: %+v", again)
	}
	b.out(t, dir, a, 0)
	if took := a.in(t, dir); !took[0].Whole || took[0].Run.Parked != 0 {
		t.Fatalf("%+v", took)
	}
	a.out(t, dir, b, 0)
	b.in(t, dir)
	sticksAgree(t, a, b)
	conflicts(t, a, 1)
	conflicts(t, b, 0)
	if n := units(t, b, "u1", "u2", "u3"); n != 1 {
		t.Errorf("the transaction came as %d", n)
	}
	// The rest of the trips changes nothing more, and carries nothing.
	for range 2 {
		b.out(t, dir, a, 0)
		a.in(t, dir)
		if w := a.out(t, dir, b, 0); w.Manifest.Lines(carry.Changes)+w.Manifest.Lines(carry.Receipts) != 0 {
			t.Errorf("there is nothing to carry: %+v", w.Manifest.Parts)
		}
		b.in(t, dir)
	}
	a.remove(t, "Patient", "b0")
	b.remove(t, "Patient", "a0")
	a.out(t, dir, b, 0)
	b.in(t, dir)
	b.out(t, dir, a, 0)
	a.in(t, dir)
	a.out(t, dir, b, 0)
	b.in(t, dir)
	sticksAgree(t, a, b)
	recs, err := b.Engine().Store().AuditRecords(t.Context(), audit.Query{Peer: "stick:district", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	in, out := 0, 0
	for _, r := range recs {
		switch {
		case r.LinkType != carry.LinkType || r.Run == "":
			t.Errorf("%+v", r)
		case r.Operation == audit.Pull:
			in++
		case r.Operation == audit.Push:
			out++
		}
	}
	if in < 9 || out < 6 {
		t.Errorf("%d changes that came and %d that went are in the audit", in, out)
	}
}

// unit writes patients in one transaction.
func (r *running) unit(t *testing.T, ids ...string) {
	t.Helper()
	var writes []engine.Write
	for _, id := range ids {
		res, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Patient","id":%q}`, id), 0)
		if err != nil {
			t.Fatal(err)
		}
		writes = append(writes, engine.Write{Op: engine.Update, Key: res.Key, Body: res})
	}
	if _, err := r.Engine().Author(t.Context(), "test", writes); err != nil {
		t.Fatal(err)
	}
}

// units returns in how many transactions keys came.
func units(t *testing.T, r *running, ids ...string) int {
	t.Helper()
	found := map[string]bool{}
	err := r.Engine().Store().Read(t.Context(), func(rd *store.Reader) error {
		rows, err := rd.Log()
		for _, row := range rows {
			for _, id := range ids {
				if row.Key.ID == id {
					found[cmp.Or(row.Unit, "alone: "+id)] = true
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func (r *running) remove(t *testing.T, typ, id string) {
	t.Helper()
	if _, err := r.Engine().Author(t.Context(), "test", []engine.Write{{Op: engine.Delete, Key: fhir.Key{Type: typ, ID: id}}}); err != nil {
		t.Fatal(err)
	}
}

func conflicts(t *testing.T, r *running, want int) {
	t.Helper()
	got, err := r.Engine().Store().Conflicts(t.Context(), store.ConflictFilter{Limit: 100})
	if err != nil || len(got) != want {
		t.Errorf("%s: %d conflicts, %v; want %d", r.cfg.Node.Name, len(got), err, want)
	}
}

// A stick that is too small takes what fits, and says so; the trips after it bring the rest, and knowledge only comes when all is there.
func TestSmallStick(t *testing.T) {
	a, b, dir := alone(t, "district"), alone(t, "clinic"), t.TempDir()
	introduce(t, a, b)
	noise := noise()
	for i := range 40 {
		a.write(t, "Patient", fmt.Sprintf("p%02d", i), noise(60_000))
	}
	const room = 800 << 10
	trips, came := 0, 0
	for whole := false; !whole; trips++ {
		if trips > 20 {
			t.Fatal("it does not come to an end")
		}
		w := a.out(t, dir, b, room)
		if size := sizeOf(t, dir); size > room+64<<10 {
			t.Errorf("%d bytes are on a stick of %d", size, room)
		}
		took := b.in(t, dir)[0]
		if whole = w.Whole; took.Whole != whole || took.Gap || took.Run.Applied == 0 && !whole {
			t.Fatalf("trip %d: %+v after %+v", trips, took, w)
		}
		if came += int(took.Run.Applied); !whole && strings.Contains(b.digestOf(t), "knows Patient") {
			t.Error("it knows what it has not")
		}
		if trips == 1 {
			a.write(t, "Patient", "p00", "changed behind the list")
		}
		b.out(t, dir, a, 0)
		a.in(t, dir)
	}
	if trips < 3 || came < 40 {
		t.Errorf("%d trips brought %d changes", trips, came)
	}
	sticksAgree(t, a, b)
	_, n := a.sticks(t)
	_, err := openStick(t, dir).Out(t.Context(), n, a.key(t), carry.To{Name: "clinic", Key: b.key(t)}, func() int64 { return 100 << 10 }, 0)
	if syncerr.KindOf(err) != syncerr.StorageFull {
		t.Errorf("a full stick: %v", err)
	}
	// What the clinic has taken makes room for its answer, and what it has not stays.
	a.write(t, "Patient", "more", noise(900_000))
	a.out(t, dir, b, 0)
	before, taken := sizeOf(t, dir), b.in(t, dir)[0].Serial
	_, n = b.sticks(t)
	for _, to := range []carry.To{{Name: "district", Key: a.key(t), Taken: taken - 1}, {Name: "district", Key: a.key(t), Taken: taken}} {
		_, err := openStick(t, dir).Out(t.Context(), n, b.key(t), to, func() int64 { return 1_300_000 - sizeOf(t, dir) }, 0)
		if gone := sizeOf(t, dir) < before-500_000; gone != (to.Taken == taken) || gone != (err == nil) {
			t.Errorf("bundle %d, taken up to %d: gone %v, %v", taken, to.Taken, gone, err)
		}
	}
}

// noise returns a source of text that cannot be compressed much.
func noise() func(int) string {
	x := uint64(1)
	return func(n int) string {
		b := make([]byte, n)
		for i := range b {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			b[i] = 'a' + byte(x>>32)%26
		}
		return string(b)
	}
}

func sizeOf(t *testing.T, dir string) int64 {
	t.Helper()
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// files returns the files of bundles under a folder, the manifests first.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var manifests, parts []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch filepath.Ext(name) {
		case ".TRB":
			manifests = append(manifests, name)
		case ".TRP":
			parts = append(parts, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(manifests, parts...)
}

// Sticks that are lost, late and taken in any order: nothing is lost, and nothing comes back.
func TestSticksInAnyOrder(t *testing.T) {
	a, b := alone(t, "district"), alone(t, "clinic")
	introduce(t, a, b)
	var kept []string
	for i := range 6 {
		a.write(t, "Patient", "p", fmt.Sprint("version ", i))
		a.write(t, "Patient", fmt.Sprint("q", i), "x")
		if i == 3 {
			a.remove(t, "Patient", "q1")
		}
		dir := t.TempDir()
		a.out(t, dir, b, 0)
		kept = append(kept, dir)
	}
	for _, i := range []int{3, 0, 5, 5, 1, 0} { // 2 and 4 are lost
		if took := b.in(t, kept[i])[0]; took.Gap || took.Run.Parked > 0 {
			t.Errorf("stick %d: %+v", i, took)
		}
	}
	sticksAgree(t, a, b)
}

// A stick beside a wire that sometimes works: the clinic's parent is the district, and both ways bring the same, whichever comes first.
func TestStickBesideWire(t *testing.T) {
	wire := &line{}
	top := alone(t, "district")
	low := start(t, "clinic", top, node.Deps{Transport: wire}, func(c *config.Config) { c.Pull.Wait = 0 })
	dir := t.TempDir()
	low.write(t, "Patient", "first", "by wire")
	top.await(t, "Patient", "first") // they have met
	introduce(t, top, low)
	s, err := low.Control().Sticks(t.Context())
	if err != nil || s.Peers[0].Is != "parent" || s.Peers[0].Decides != "district" {
		t.Fatalf("%+v, %v", s, err)
	}
	wire.cut.Store(true)
	for i := range 5 {
		low.write(t, "Patient", fmt.Sprint("c", i), "at the clinic")
		top.write(t, "Patient", fmt.Sprint("d", i), "at the district")
	}
	low.write(t, "Patient", "first", "the clinic's")
	top.write(t, "Patient", "first", "the district's")
	top.out(t, dir, low, 0)
	low.in(t, dir)
	low.out(t, dir, top, 0)
	top.in(t, dir)
	top.out(t, dir, low, 0)
	low.in(t, dir)
	sticksAgree(t, top, low)
	conflicts(t, top, 1)
	low.write(t, "Patient", "c0", "again")
	low.out(t, dir, top, 0) // the wire comes back before the stick arrives
	wire.cut.Store(false)
	if _, err := low.Sync(t.Context(), control.Both); err != nil {
		t.Fatal(err)
	}
	top.in(t, dir)
	low.write(t, "Patient", "c0", "and again")
	if _, err := low.Sync(t.Context(), control.Both); err != nil {
		t.Fatal(err)
	}
	sticksAgree(t, top, low)
	conflicts(t, top, 1)
	// What the stick brought up is not pushed again: the parent is known to have it.
	runs, err := low.Engine().Store().Runs(t.Context(), control.Push, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if r.Read > 3 {
			t.Errorf("a push sent %d changes", r.Read)
		}
	}
}

// A node whose database was put back unnoticed finds it out by a stick, before it takes anything, and gets back what it lost.
func TestStickFindsRestore(t *testing.T) {
	a, b, dir := alone(t, "district"), alone(t, "clinic"), t.TempDir()
	introduce(t, a, b)
	b.write(t, "Patient", "old", "before the copy")
	trip := func() {
		t.Helper()
		b.out(t, dir, a, 0)
		a.in(t, dir)
		a.out(t, dir, b, 0)
	}
	trip()
	b.in(t, dir)
	restore := backedUp(t, b)
	b = revived(t, b)
	b.write(t, "Patient", "lost", "after the copy")
	trip() // the answer is not taken
	b = restore(b)
	b.write(t, "Patient", "new", "in its second life, under a version that was given before")
	if _, err := b.tryIn(t, dir); err == nil || !strings.Contains(err.Error(), "older copy") {
		t.Fatalf("%v", err)
	}
	for range 3 {
		b.in(t, dir)
		trip()
	}
	b.in(t, dir)
	sticksAgree(t, a, b)
	for _, id := range []string{"old", "lost", "new"} {
		if _, ok, err := a.Engine().Store().Get(t.Context(), fhir.Key{Type: "Patient", ID: id}); err != nil || !ok {
			t.Errorf("%s is not there: %v", id, err)
		}
	}
}

// revived starts a node anew on the data that it left.
func revived(t *testing.T, r *running) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := r.cfg
	cfg.Node.Listen = l.Addr().String()
	cfg.Node.URL = "http://" + cfg.Node.Listen
	return serve(t, cfg, node.Deps{}, l)
}
