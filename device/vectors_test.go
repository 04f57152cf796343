package device_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/tributary-sync/tributary/audit"
)

// The vectors of reference/seed-protocols.md section 2.4, each under its label.
func TestBaseSyncVectors(t *testing.T) {
	for label, run := range map[string]func(w *world, p phone){
		"BS1 nothing new": func(w *world, p phone) {
			p.nothing()
			d, err := w.Control().Devices(context.Background())
			if err != nil || len(d) != 1 || len(d[0].Devices) != 1 || d[0].Devices[0].Waiting != 0 {
				w.t.Errorf("%+v %v", d, err)
			}
			p.nothing()
			if n := w.audited(audit.Device, ""); n != 1 { // that it is a new device, and no session
				w.t.Errorf("%d rows", n)
			}
		},
		"BS2 a fresh device": func(w *world, p phone) {
			w.put("Patient", "1", "")
			w.put("Location", "2", "")
			s := p.start(1, 2)
			got := p.page(s)
			if got.Meta.Count != 2 || got.Meta.Left != 0 {
				w.t.Errorf("%+v", got.Meta)
			}
			want(w.t, text(got.Items), "created Location/2, created Patient/1")
			p.ack(got.Items...)
			if p.page(s) != nil {
				w.t.Error("the queue is not drained")
			}
			p.nothing()
		},
		"BS3 half acknowledged": func(w *world, p phone) {
			w.put("Patient", "1", "")
			w.put("Location", "2", "")
			items := p.drain(p.start(1, 2))
			p.ack(items[0])
			want(w.t, text(p.drain(p.start(1, 1))), "created Patient/1")
		},
		"BS4 no acknowledgement": func(w *world, p phone) {
			w.put("Patient", "1", "")
			w.put("Location", "2", "")
			p.page(p.start(1, 2))
			want(w.t, text(p.drain(p.start(1, 2))), "created Location/2, created Patient/1")
		},
		"BS5 update after acknowledgement": func(w *world, p phone) {
			w.put("Patient", "1", "")
			s := p.start(1, 1)
			first := p.drain(s)[0]
			p.ack(first)
			w.put("Patient", "1", `,"active":true`)
			second := p.drain(p.start(1, 1))[0]
			if second.String() != "updated Patient/1" || second.Data["active"] != true || second.Meta.Sync.Key == first.Meta.Sync.Key ||
				second.Meta.Sync.Revision <= first.Meta.Sync.Revision {
				w.t.Errorf("%+v after %+v", second, first)
			}
		},
		"BS6 create and update between sessions": func(w *world, p phone) {
			w.put("Patient", "1", "")
			w.put("Patient", "1", `,"active":true`)
			got := p.drain(p.start(1, 1))
			if len(got) != 1 || got[0].Data["active"] != true {
				w.t.Errorf("%+v", got)
			}
		},
		"BS7 delete after acknowledgement": func(w *world, p phone) {
			w.put("Patient", "1", "")
			p.sync()
			w.remove("Patient", "1")
			got := p.drain(p.start(1, 1))
			if text(got) != "deleted Patient/1" || len(got[0].Data) != 1 {
				w.t.Errorf("%+v", got)
			}
			p.ack(got...)
			p.nothing()
			p.nothing()
		},
		"BS8 created and deleted before the first start": func(w *world, p phone) {
			w.put("Patient", "1", "")
			w.remove("Patient", "1")
			p.nothing()
			w.put("Patient", "2", "") // nor between two sessions
			w.remove("Patient", "2")
			p.nothing()
		},
		"BS9 a changed device id": func(w *world, p phone) {
			w.put("Patient", "1", "")
			p.sync()
			w.put("Patient", "1", `,"active":true`)
			before := w.audited(audit.Device, audit.Done)
			p.uuid = "another"
			want(w.t, p.sync(), "created Patient/1")
			if n := w.audited(audit.Device, audit.Done); n != before+3 { // new, start, acknowledged
				w.t.Errorf("%d rows of it", n-before)
			}
		},
		"BS10 the order of the Java client": func(w *world, p phone) {
			// It reads, acknowledges nothing of a page, reads again, and ends at the 204 alone.
			w.fill("Patient", 101, "p%03d", nil)
			s := p.start(2, 101)
			one := p.page(s)
			p.ackKeys()
			two := p.page(s)
			if p.page(s) != nil || len(one.Items) != 100 || one.Meta.Left != 1 || len(two.Items) != 1 || two.Meta.Left != 0 {
				w.t.Errorf("%+v, %+v", one.Meta, two.Meta)
			}
			p.ack(append(one.Items, two.Items...)...)
			p.nothing()
		},
		"BS11 acknowledged twice, and what is no key": func(w *world, p phone) {
			w.put("Patient", "1", "")
			w.put("Patient", "2", "")
			got := p.drain(p.start(1, 2))
			p.ack(got[0])
			p.ack(got[0], got[0])
			p.ackKeys("User-1234-1", "", "-", "Patient/2-2-000000000000000000000000", "Patient/2-x-"+strings.Repeat("0", 24), strings.Repeat("é", 4000))
			if n := w.audited(audit.Device, audit.Refused); n != 1 {
				w.t.Errorf("%d refusals", n)
			}
			want(w.t, text(p.drain(p.start(1, 1))), "created Patient/2")
		},
		"BS12 changes during a drain": func(w *world, p phone) {
			w.fill("Patient", 150, "p%03d", nil)
			s := p.start(2, 150)
			first := p.page(s)
			w.put("Patient", "p000", `,"active":true`) // was given
			w.put("Patient", "p149", `,"active":true`) // was not
			w.put("Patient", "p120", `,"active":true`)
			w.remove("Patient", "p121")
			w.put("Patient", "new", "")
			rest := p.drain(s)
			all := append(first.Items, rest...)
			p.ack(all...)
			if len(all) != 150 || !slices.Equal(distinct(all), distinct(first.Items, rest)) || len(distinct(all)) != 150 {
				w.t.Errorf("%d items, %d of them different", len(all), len(distinct(all)))
			}
			last := rest[len(rest)-1]
			if last.Data["id"] != "p149" || last.Data["active"] != true {
				w.t.Errorf("what was not given yet is not the newest: %+v", last)
			}
			want(w.t, p.sync(), "updated Patient/p000, created Patient/new")
			p.nothing()
		},
		"BS13 an item that is never acknowledged": func(w *world, p phone) {
			w.fill("Patient", 250, "p%03d", nil)
			for left := 250; left > 1; left = 1 {
				got := p.drain(p.start((left+99)/100, left))
				poison := slices.IndexFunc(got, func(i item) bool { return i.Data["id"] == "p007" })
				if len(got) != left || poison < 0 {
					w.t.Fatalf("%d items", len(got))
				}
				p.ack(slices.Delete(got, poison, poison+1)...)
			}
			want(w.t, text(p.drain(p.start(1, 1))), "created Patient/p007")
		},
		"BS14 no device id": func(w *world, p phone) {
			w.put("Patient", "1", "")
			s := p.start(1, 1)
			for _, id := range []string{"", "  ", "two words", "žluť", strings.Repeat("x", 65)} {
				p.uuid = id
				for _, call := range [][2]string{{"POST", "/v2/sync/start"}, {"GET", "/v2/sync/" + s + "/queues/main"}, {"POST", "/v2/sync/ack"}} {
					body := p.call(call[0], call[1], `{"data":{"ack_keys":[]}}`, http.StatusBadRequest, nil)
					if !strings.Contains(body, "X-Tributary-Device-UUID") || !strings.HasPrefix(body, `{"errors":[{"error":{"code":"invalid"`) {
						w.t.Errorf("%q: %s", id, body)
					}
				}
			}
		},
		"BS15 two devices": func(w *world, p phone) {
			w.put("Patient", "1", "")
			other := phone{w, p.token, "tablet"}
			third := w.admit("dashboard", "*")
			got := p.drain(p.start(1, 1))
			p.ack(got...)
			p.nothing()
			for _, o := range []phone{other, third} {
				o.ack(got...) // those of another device count for nothing
				want(w.t, text(o.drain(o.start(1, 1))), "created Patient/1")
				o.ack(got...)
				want(w.t, o.sync(), "created Patient/1")
			}
		},
		"BS16 what cannot be read": func(w *world, p phone) {
			for i := range 3 {
				w.put("Patient", fmt.Sprint(i), fmt.Sprintf(`,"gender":"other","language":"%s"`, strings.Repeat("x", 400)))
			}
			w.spoil("Patient", "1")
			s := p.start(1, 3)
			got := p.page(s)
			want(w.t, text(got.Items), "created Patient/0, created Patient/2")
			if len(got.Meta.Failed) != 1 || got.Meta.Failed[0]["type"] != "Patient" || got.Meta.Failed[0]["id"] != "1" {
				w.t.Errorf("%+v", got.Meta)
			}
			if p.page(s) != nil {
				w.t.Error("the session does not end")
			}
			p.ack(got.Items...)
			if s = p.start(1, 1); p.page(s) != nil { // a page of nothing but what failed would be an empty one
				w.t.Error("a page came")
			}
			w.put("Patient", "1", "")
			want(w.t, p.sync(), "created Patient/1")
		},
		"BS17 an old revision acknowledged": func(w *world, p phone) {
			w.put("Patient", "1", "")
			got := p.drain(p.start(1, 1))
			w.put("Patient", "1", `,"active":true`)
			p.ack(got...)
			again := p.drain(p.start(1, 1))
			if text(again) != "updated Patient/1" || again[0].Data["active"] != true {
				w.t.Errorf("%+v", again)
			}
			p.ack(again...)
			p.ack(got...) // late, and older than what it has by now
			p.nothing()
			if _, err := w.Control().SetDevice(context.Background(), "phone", []string{"Patient"}); err != nil { // compares all that it has
				w.t.Fatal(err)
			}
			p.nothing()
		},
	} {
		t.Run(label, func(t *testing.T) {
			each(t, func(w *world) { run(w, w.admit("phone", "*")) })
		})
	}
}

func distinct(lists ...[]item) (out []string) {
	for _, l := range lists {
		for _, i := range l {
			out = append(out, i.Meta.Type+"/"+i.Data["id"].(string))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// spoil damages a resource's content as a bad disk does.
func (w *world) spoil(typ, id string) {
	w.t.Helper()
	dsn := w.cfg.Store.DSN
	if w.cfg.Store.Driver == "sqlite" {
		dsn += "?_pragma=busy_timeout(10000)"
	} else if _, err := mysql.ParseDSN(dsn); err != nil {
		w.t.Fatal(err)
	}
	db, err := sql.Open(w.cfg.Store.Driver, dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	res, err := db.Exec("UPDATE change_log SET content = ? WHERE type = ? AND id = ?", []byte("rust"), typ, id)
	if err != nil {
		w.t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		w.t.Fatal(n, err)
	}
}

// Pages that are read side by side are different ones.
func TestParallelReaders(t *testing.T) {
	each(t, func(w *world) {
		const count = 530
		w.fill("Patient", count, "p%03d", nil)
		p := w.admit("phone", "Patient")
		s := p.start(6, count)
		var mu sync.Mutex
		var all []item
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				got := p.drain(s)
				p.ack(got...)
				mu.Lock()
				defer mu.Unlock()
				all = append(all, got...)
			})
		}
		group.Wait()
		if len(all) != count || len(distinct(all)) != count {
			w.t.Errorf("%d items, %d different", len(all), len(distinct(all)))
		}
		p.nothing()
	})
}
