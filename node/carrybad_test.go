package node_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/syncerr"
)

// What is wrong with a stick is an error that says so, is audited where somebody made it, and takes nothing.
func TestBadSticks(t *testing.T) {
	a, b, c, stranger := alone(t, "district"), alone(t, "clinic"), alone(t, "other"), alone(t, "stranger")
	introduce(t, a, b, c)
	a.write(t, "Patient", "p1", "x")
	good := t.TempDir()
	a.out(t, good, b, 0)
	before := b.digestOf(t)
	for _, tc := range []struct {
		name string
		spot func(t *testing.T, dir string)
		kind syncerr.Kind
		by   *running
	}{
		{"a cut file", func(t *testing.T, dir string) { cut(t, files(t, dir)[1]) }, syncerr.Invalid, b},
		{"a changed file", func(t *testing.T, dir string) { flip(t, files(t, dir)[2]) }, syncerr.Invalid, b},
		{"a cut manifest", func(t *testing.T, dir string) { cut(t, files(t, dir)[0]) }, syncerr.Invalid, b},
		{"a changed manifest", func(t *testing.T, dir string) { flip(t, files(t, dir)[0]) }, syncerr.Invalid, b},
		{"a missing file", func(t *testing.T, dir string) { unlink(t, files(t, dir)[2]) }, syncerr.NotFound, b},
		{"a stick pulled out before the manifest", func(t *testing.T, dir string) { unlink(t, files(t, dir)[0]) }, syncerr.NotFound, b},
		{"a file that leads out of the stick", func(t *testing.T, dir string) { link(t, "/etc/hostname", files(t, dir)[1]) }, syncerr.Invalid, b},
		{"a manifest that leads out of the stick", func(t *testing.T, dir string) { link(t, "/etc/hostname", files(t, dir)[0]) }, syncerr.Invalid, b},
		{"files of two bundles mixed", func(t *testing.T, dir string) {
			other := t.TempDir()
			a.out(t, other, b, 0)
			rename(t, files(t, other)[2], files(t, dir)[2])
		}, syncerr.Invalid, b},
		{"a bundle for another node", func(t *testing.T, dir string) { moveTo(t, dir, b.key(t), c.key(t)) }, syncerr.Denied, c},
		{"a node of another network", func(t *testing.T, dir string) { moveTo(t, dir, b.key(t), stranger.key(t)) }, syncerr.Denied, stranger},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			tc.spot(t, dir)
			was := tc.by.digestOf(t)
			took, err := tc.by.tryIn(t, dir)
			if err == nil || syncerr.KindOf(err) != tc.kind || len(took) > 0 {
				t.Errorf("%+v, %v: want %s", took, err, tc.kind)
			}
			if tc.by.digestOf(t) != was {
				t.Error("something was taken from it")
			}
			refused, err := tc.by.Engine().Store().AuditRecords(t.Context(), audit.Query{Operation: audit.Refuse, Limit: 1})
			if tc.kind == syncerr.Denied && (err != nil || len(refused) != 1 || !strings.Contains(refused[0].Details, "key is SHA256:")) {
				t.Errorf("audit: %+v, %v", refused, err)
			}
		})
	}
	if b.digestOf(t) != before {
		t.Error("the clinic has something")
	}
	if took := b.in(t, good); !took[0].Whole {
		t.Errorf("the stick itself is good: %+v", took)
	}
	// A stick of a node that was forgotten is not taken.
	b.out(t, good, a, 0)
	if err := a.Control().ForgetPeer(t.Context(), "clinic"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.tryIn(t, good); syncerr.KindOf(err) != syncerr.Denied {
		t.Errorf("after it was forgotten: %v", err)
	}
}

func cut(t *testing.T, name string) {
	t.Helper()
	info, err := os.Stat(name)
	if err == nil {
		err = os.Truncate(name, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		b[len(b)/3] ^= 1
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func unlink(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, name string) {
	t.Helper()
	unlink(t, name)
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// moveTo puts the bundle for one reader where that of another is looked for.
func moveTo(t *testing.T, dir, reader, to string) {
	t.Helper()
	found := files(t, dir)
	old := filepath.Dir(found[0])
	rename(t, old, filepath.Join(filepath.Dir(old), carry.Tag(to)))
	if filepath.Base(old) != carry.Tag(reader) {
		t.Fatal("the folder is not named by the reader")
	}
}

// A write to the stick that fails leaves the bundle that stood there whole, and the next run cleans up.
func TestStickFailsWhileWritten(t *testing.T) {
	a, b, dir := alone(t, "district"), alone(t, "clinic"), t.TempDir()
	introduce(t, a, b)
	a.write(t, "Patient", "p1", "x")
	a.out(t, dir, b, 0)
	old := files(t, dir)
	a.write(t, "Patient", "p2", "x")
	_, n := a.sticks(t)
	f := openStick(t, dir)
	for _, why := range []error{syscall.ENOSPC, syscall.EIO} {
		_, err := f.Out(t.Context(), failing{n, why}, a.key(t), carry.To{Name: "clinic", Key: b.key(t)}, unbounded, 0)
		if want := map[error]syncerr.Kind{syscall.ENOSPC: syncerr.StorageFull, syscall.EIO: syncerr.Transient}[why]; syncerr.KindOf(err) != want {
			t.Errorf("%v: %v", why, err)
		}
		if now := files(t, dir); strings.Join(now, " ") != strings.Join(old, " ") {
			t.Errorf("%v left %v, before there was %v", why, now, old)
		}
	}
	// Killed in the middle: parts without a manifest.
	stale := filepath.Join(filepath.Dir(old[0]), "00FF0001.TRP")
	if err := os.WriteFile(stale, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if took := b.in(t, dir)[0]; !took.Whole || took.Run.Applied != 1 {
		t.Errorf("the old bundle: %+v", took)
	}
	a.out(t, dir, b, 0)
	if _, err := os.Stat(stale); err == nil {
		t.Error("what a killed run left is still there")
	}
	b.in(t, dir)
	sticksAgree(t, a, b)
	readme, err := os.ReadFile(filepath.Join(dir, "TRIBUTAR", "README.TXT"))
	if err != nil || !bytes.Contains(readme, []byte("From district for clinic")) || bytes.Contains(readme, []byte("p1")) {
		t.Errorf("%s, %v", readme, err)
	}
}

// failing is a node of whose bundles the second file cannot be written.
type failing struct {
	carry.Node
	why error
}

func (f failing) Write(ctx context.Context, peer string, space int64, keep func(uint64, carry.Part) error) ([]byte, carry.Written, error) {
	return f.Node.Write(ctx, peer, space, func(serial uint64, p carry.Part) error {
		if p.File == 2 {
			return &fs.PathError{Op: "write", Path: "x", Err: f.why}
		}
		return keep(serial, p)
	})
}
