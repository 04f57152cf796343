package main

import (
	"context"
	"strings"
	"testing"

	client "github.com/tributary-sync/tributary/clients/device"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

// A device is admitted, reads, is given another scope and is sent away, whether the node runs or not.
func TestDevice(t *testing.T) {
	m := newMachine(t, "clinic", "")
	m.must(t, "load", m.write(t, "p.ndjson", patients(3)+`{"resourceType":"Location","id":"l"}`+"\n"))
	if out := m.must(t, "device", "list"); !strings.Contains(out, "There are no devices") {
		t.Error(out)
	}
	r := m.do(t, "device", "add", "phone", "Patient")
	credential := strings.TrimSpace(r.out)
	if r.code != 0 || strings.Contains(credential, "\n") || !strings.HasPrefix(credential, "trib_") || !strings.Contains(r.err, "Bearer") {
		t.Fatalf("device add: got exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	m.refused(t, 1, []string{"phone"}, "device", "add", "phone", "*")
	m.refused(t, 2, []string{"Patients"}, "device", "add", "tablet", "Patients")
	m.refused(t, 2, []string{"what it may see"}, "device", "add", "tablet")
	m.refused(t, 1, []string{"tablet"}, "device", "set", "tablet", "*")
	m.refused(t, 1, []string{"tablet"}, "device", "remove", "tablet")

	m.serve(t)
	c := client.New(m.url(), credential, "one", nil)
	sync := func() int {
		t.Helper()
		n, err := c.Sync(context.Background(), func(context.Context, []client.Item) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := sync(); n != 3 {
		t.Errorf("%d items", n)
	}
	if out := m.must(t, "device", "set", "phone", "Location", "Patient?_id=p1"); !strings.Contains(out, "Location, Patient?_id=p1") {
		t.Error(out)
	}
	if n := sync(); n != 3 { // two patients less, a place more
		t.Errorf("%d items", n)
	}
	var list []control.Device
	m.value(t, &list, "device", "list")
	if len(list) != 1 || list[0].Name != "phone" || len(list[0].Devices) != 1 || list[0].Devices[0].UUID != "one" || list[0].Devices[0].Waiting != 0 {
		t.Errorf("%+v", list)
	}
	if out := m.must(t, "device", "list"); !strings.Contains(out, "one") || !strings.Contains(out, "Patient?_id=p1") {
		t.Error(out)
	}
	m.must(t, "device", "remove", "phone")
	if _, err := c.Start(context.Background()); syncerr.KindOf(err) != syncerr.Denied {
		t.Error(err)
	}
	m.value(t, &list, "device", "list")
	if list == nil || len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
