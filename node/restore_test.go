package node_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// again starts a node on the data that another one left.
func again(t *testing.T, cfg config.Config) *node.Node {
	t.Helper()
	n, err := node.New(context.Background(), cfg, node.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// A clinic's database is replaced by an older copy: it notices before it writes anything, goes on under a new replica, and gets back
// from its parent what it had pushed since; what it wrote before the first contact stays (MS11).
func TestRestoredDatabase(t *testing.T) {
	ctx := context.Background()
	parent := start(t, "parent", nil, node.Deps{}, nil)
	child := start(t, "child", parent, node.Deps{}, nil)
	child.write(t, "Patient", "before", "x")
	parent.await(t, "Patient", "before")
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := child.Control().Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy of records may be read by others: %v %v", info.Mode(), err)
	}
	child.write(t, "Patient", "since", "x")
	child.write(t, "Patient", "before", "edited since")
	parent.await(t, "Patient", "since")
	old := child.Engine().Store().Identity()
	child.stop()

	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(child.cfg.Store.DSN + suffix); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.Rename(backup, child.cfg.Store.DSN); err != nil {
		t.Fatal(err)
	}
	n := again(t, child.cfg)
	now := n.Engine().Store().Identity()
	if now.Replica == old.Replica || now.Epoch == old.Epoch {
		t.Fatalf("the restored node goes on as %s in epoch %s", now.Replica, now.Epoch)
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"offline"}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := n.Engine().Author(ctx, "test", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}})
	if err != nil || out[0].Stamp.Version.Replica != now.Replica || out[0].Stamp.Version.Tick != 1 {
		t.Fatalf("the first write afterwards: %+v %v", out, err)
	}
	if _, err := n.Sync(ctx, "both"); err != nil {
		t.Fatal(err)
	}
	parent.await(t, "Patient", "offline")
	for _, id := range []string{"before", "since", "offline"} {
		k := fhir.Key{Type: "Patient", ID: id}
		mine, ok, err := n.Engine().Store().Get(ctx, k)
		theirs, _, perr := parent.Engine().Store().Get(ctx, k)
		if err != nil || perr != nil || !ok || mine.Stamp.Version != theirs.Stamp.Version || string(mine.Body) != string(theirs.Body) {
			t.Errorf("%s: child %s, parent %s; %v %v", id, mine.Stamp.Version, theirs.Stamp.Version, err, perr)
		}
	}
	rows, err := n.Engine().Store().AuditRecords(ctx, audit.Query{Operation: audit.Admin})
	if err != nil || len(rows) == 0 || rows[len(rows)-1].Action != "RESTORED" {
		t.Errorf("the audit does not say so: %+v %v", rows, err)
	}
}

// Starting again, and stopping between the two writes of the nonce, is no restore.
func TestRestartIsNoRestore(t *testing.T) {
	r := start(t, "n", nil, node.Deps{}, nil)
	was := r.Engine().Store().Identity()
	r.stop()
	file := filepath.Join(filepath.Dir(r.cfg.Node.DataDir), "."+filepath.Base(r.cfg.Node.DataDir)+".nonce")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.New(context.Background(), r.cfg, node.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, before, 0o600); err != nil { // the power went after the database had the new one
		t.Fatal(err)
	}
	if now := again(t, r.cfg).Engine().Store().Identity(); now != was {
		t.Errorf("got %+v, want %+v", now, was)
	}
}

// A machine is put back as a whole, writes, and is backed up before its parent is met, who then finds it out: what it had written gets
// new names. The backup still has the old ones. When the database alone is put back from it, the nonce tells, and what the parent does
// not confirm of that time is written again, so that no version stands for two changes (core-review rule 8).
func TestBackupOfASecondLife(t *testing.T) {
	ctx := context.Background()
	parent, child, db, nonce := met(t)
	first := map[string][]byte{db: read(t, db), nonce: read(t, nonce)}

	n := again(t, child.cfg)
	put(t, n, "first-life")
	if _, err := n.Sync(ctx, "both"); err != nil {
		t.Fatal(err)
	}
	end(t, n)
	putBack(t, first)
	n = again(t, child.cfg)
	put(t, n, "second-life") // bears the version that first-life has at the parent
	end(t, n)
	backup := read(t, db)
	n = again(t, child.cfg)
	settle(t, n, 2)
	end(t, n)
	if err := os.WriteFile(db, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	n = again(t, child.cfg)
	settle(t, n, 3)
	versions := map[version.Version]string{}
	for _, id := range []string{"first-life", "second-life"} {
		k := fhir.Key{Type: "Patient", ID: id}
		mine, ok, err := n.Engine().Store().Get(ctx, k)
		theirs, also, perr := parent.Engine().Store().Get(ctx, k)
		if err != nil || perr != nil || !ok || !also || mine.Stamp.Version != theirs.Stamp.Version {
			t.Errorf("%s: child %s, parent %s; %v %v", id, mine.Stamp.Version, theirs.Stamp.Version, err, perr)
		}
		if other, twice := versions[mine.Stamp.Version]; twice {
			t.Errorf("%s stands for %s and for %s", mine.Stamp.Version, other, id)
		}
		versions[mine.Stamp.Version] = id
	}
}

// met returns a parent, a stopped child that has pushed to it, and the child's database and nonce files.
func met(t *testing.T) (parent, child *running, db, nonce string) {
	t.Helper()
	parent = start(t, "parent", nil, node.Deps{}, nil)
	child = start(t, "child", parent, node.Deps{}, nil)
	child.write(t, "Patient", "common", "x")
	parent.await(t, "Patient", "common")
	child.stop()
	dir := filepath.Clean(child.cfg.Node.DataDir)
	return parent, child, child.cfg.Store.DSN, filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".nonce")
}

// putBack writes files as they were.
func putBack(t *testing.T, files map[string][]byte) {
	t.Helper()
	for path, b := range files {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// settle lets a node meet its parent, that it may learn from it that it was restored.
func settle(t *testing.T, n *node.Node, passes int) {
	t.Helper()
	for range passes {
		if _, err := n.Sync(context.Background(), "both"); err != nil && syncerr.KindOf(err) != syncerr.EpochChanged {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func end(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, n *node.Node, id string) {
	t.Helper()
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"`+id+`"}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Engine().Author(context.Background(), "test", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}}); err != nil {
		t.Fatal(err)
	}
}

// Both lives of a machine write the same content under the same version, at different times: those are two changes, and the second one gets a
// name of its own.
func TestSameContentInBothLives(t *testing.T) {
	ctx := context.Background()
	parent, child, db, nonce := met(t)
	first := map[string][]byte{db: read(t, db), nonce: read(t, nonce)}

	n := again(t, child.cfg)
	put(t, n, "same")
	if _, err := n.Sync(ctx, "both"); err != nil {
		t.Fatal(err)
	}
	end(t, n)
	putBack(t, first)
	n = again(t, child.cfg)
	put(t, n, "same")
	settle(t, n, 3)
	k := fhir.Key{Type: "Patient", ID: "same"}
	mine, _, err := n.Engine().Store().Get(ctx, k)
	theirs, _, perr := parent.Engine().Store().Get(ctx, k)
	if err != nil || perr != nil || mine.Stamp.Version != theirs.Stamp.Version || !mine.Stamp.SameWrite(theirs.Stamp) {
		t.Errorf("one version, two writes:\n%+v\n%+v\n%v %v", mine.Stamp, theirs.Stamp, err, perr)
	}
}

// What the parent confirms of a copy stays seen by what was written on it afterwards, under its new name too: nobody takes the one for a rival
// of the other.
func TestConfirmedStaysSeen(t *testing.T) {
	ctx := context.Background()
	parent, child, db, nonce := met(t)
	n := again(t, child.cfg)
	put(t, n, "p") // in the copy, and pushed after it was made
	end(t, n)
	first := map[string][]byte{db: read(t, db), nonce: read(t, nonce)}
	n = again(t, child.cfg)
	put(t, n, "later")
	if _, err := n.Sync(ctx, "both"); err != nil {
		t.Fatal(err)
	}
	end(t, n)
	putBack(t, first)
	n = again(t, child.cfg)
	k := fhir.Key{Type: "Patient", ID: "p"}
	before, _, err := n.Engine().Store().Get(ctx, k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Engine().Author(ctx, "test", []engine.Write{{Op: engine.Delete, Key: k}}); err != nil {
		t.Fatal(err)
	}
	settle(t, n, 3)
	mine, _, err := n.Engine().Store().Get(ctx, k)
	theirs, _, perr := parent.Engine().Store().Get(ctx, k)
	if err != nil || perr != nil || mine.Stamp.Version.Replica == before.Stamp.Version.Replica || mine.Stamp.Version != theirs.Stamp.Version || !theirs.Stamp.Deleted {
		t.Errorf("child %+v, parent %+v; %v %v", mine.Stamp, theirs.Stamp, err, perr)
	}
	if !mine.Stamp.Vector.Contains(before.Stamp.Version) {
		t.Errorf("%s has not seen %s, which it was written on", mine.Stamp.Version, before.Stamp.Version)
	}
	for _, st := range []*node.Node{n, parent.Node} {
		rows, err := st.Engine().Store().Conflicts(ctx, store.ConflictFilter{Limit: 10})
		if err != nil || len(rows) != 0 {
			t.Errorf("%+v %v", rows, err)
		}
	}
}
