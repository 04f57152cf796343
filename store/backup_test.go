package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-sync/tributary/internal/testdb"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// A backup is one moment of the database, taken while it is written, with a nonce by which a node notices that it was restored.
func TestBackupWhileWritersWrite(t *testing.T) {
	w := newWorld(t, "sqlite", testdb.SQLite(t))
	body := bytes.Repeat([]byte("0123456789abcdef"), 256)
	for i := range 200 {
		w.put(key("Patient", fmt.Sprint("before", i)), string(body))
	}
	w.do(func(tx *store.Tx) error { return tx.SetNonce("of the running node") })
	stop, running := make(chan struct{}), make(chan struct{}, 4)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := 0; ; j++ {
				select {
				case <-stop:
					return
				default:
				}
				// Two keys in one transaction: a copy that tears it holds the one without the other.
				if err := w.Write(t.Context(), func(tx *store.Tx) error {
					for _, half := range []string{"left", "right"} {
						if _, err := author(w.Store, tx, key("Patient", fmt.Sprint(half, i, "-", j)), body, ""); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					t.Error(err)
					return
				}
				if j == 0 {
					running <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-running
	}
	from, err := w.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tributary 100%.backup")
	if err := w.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	to, err := w.Head(t.Context())
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}

	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v: it holds records", info, err)
	}
	left, err := filepath.Glob(filepath.Dir(path) + "/*")
	if err != nil || len(left) != 1 {
		t.Errorf("files left: %q, %v", left, err)
	}
	b := &world{t: t, driver: "sqlite", dsn: path}
	b.millis.Store(w.millis.Load())
	b.Store = b.again()
	same(t, "identity", b.Identity(), w.Identity())
	rows := b.log()
	contiguous(t, rows, len(rows))
	if n := uint64(len(rows)); n < from.Seq || n > to.Seq || n%2 != 0 {
		t.Errorf("%d rows, while the log went from %d to %d", n, from.Seq, to.Seq)
	}
	halves := map[string]int{}
	for _, row := range rows {
		c := b.get(row.Key)
		if !bytes.Equal(c.Body, body) {
			t.Fatalf("%s has %d bytes", row.Key, len(c.Body))
		}
		halves[strings.TrimPrefix(strings.TrimPrefix(row.Key.ID, "left"), "right")]++
	}
	for id, n := range halves {
		if n != 2 && !strings.HasPrefix(id, "before") {
			t.Errorf("%d halves of %s", n, id)
		}
	}
	var check string
	if err := raw(t, "sqlite", path).QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity: %s, %v", check, err)
	}
	now, before, err := b.Nonces(t.Context())
	if err != nil || !strings.HasPrefix(now, "backup-") || before != "" {
		t.Errorf("nonce %q after %q, %v", now, before, err)
	}
	if now, _, err := w.Nonces(t.Context()); err != nil || now != "of the running node" {
		t.Errorf("the node's own nonce is %q, %v", now, err)
	}
	b.put(key("Patient", "next"), "it goes on")
}

func TestBackupRefused(t *testing.T) {
	testdb.Each(t, func(t *testing.T, driver, dsn string) {
		w := newWorld(t, driver, dsn)
		path := filepath.Join(t.TempDir(), "backup")
		if driver == "mysql" {
			wantKind(t, "of MySQL", w.Backup(t.Context(), path), syncerr.Usage, "mariadb-dump")
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("it left a file: %v", err)
			}
			return
		}
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantKind(t, "onto a file", w.Backup(t.Context(), path), syncerr.Conflict, "new file")
		if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
			t.Errorf("the file holds %q, %v", b, err)
		}
		wantKind(t, "onto the database itself", w.Backup(t.Context(), dsn), syncerr.Conflict, "new file")
		if err := w.Backup(t.Context(), filepath.Join(t.TempDir(), "no", "folder")); err == nil {
			t.Error("into a folder that is not there: no error")
		}
		// What an earlier backup left when its machine stopped is no obstacle.
		half := filepath.Join(t.TempDir(), "backup")
		if err := os.WriteFile(half+".part", []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := w.Backup(t.Context(), half); err != nil {
			t.Error(err)
		}
	})
}
