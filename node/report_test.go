package node_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
)

func silentAfter(d time.Duration) func(*config.Config) {
	return func(c *config.Config) { c.Network.SilentAfter = config.Duration(d) }
}

// network asks over HTTP how the tree below a node stands, as a program would.
func (s *still) network() (w control.Network) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.cfg.Node.URL+"/control/v1/network", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(s.cfg.Node.DataDir, "admin.token"))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&w); err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %v", res.Status, err)
	}
	return w
}

// silent checks which nodes below are named as silent.
func (s *still) silent(want ...string) {
	s.t.Helper()
	var got []string
	for _, n := range s.network().Silent {
		got = append(got, n.Name)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("at %s, %s: silent are %v, want %v", s.cal.now.Format(time.TimeOnly), s.cfg.Node.Name, got, want)
	}
}

// putBackFrom replaces the database by a copy while the node does not run.
func (s *still) putBackFrom(backup string) {
	s.t.Helper()
	s.close()
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(s.cfg.Store.DSN + suffix); err != nil && !os.IsNotExist(err) {
			s.t.Fatal(err)
		}
	}
	if err := os.Rename(backup, s.cfg.Store.DSN); err != nil {
		s.t.Fatal(err)
	}
	s.open()
}

// The nation names a clinic two levels below that stops, not before nothing was heard of it for as long as is configured and not much later, also
// after the district between them was put back to a copy of its database, which has older contacts in it.
func TestNationNamesASilentClinic(t *testing.T) {
	const after = 10 * time.Minute
	cal := &calendar{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	nation := newStill(t, cal, "nation", nil, silentAfter(after))
	district := newStill(t, cal, "district", nation, silentAfter(after))
	clinic := newStill(t, cal, "clinic", district)
	backup := filepath.Join(t.TempDir(), "backup.db")

	stops := func() {
		t.Helper()
		last := cal.now
		for len(nation.network().Silent) == 0 {
			if exchange(t, district); cal.now.Sub(last) > after+time.Minute {
				t.Fatalf("the nation does not name it after %s", cal.now.Sub(last))
			}
		}
		if d := cal.now.Sub(last); d < after-4*time.Minute { // a contact is noted once a minute, and told upward when it is a quarter of that time later
			t.Errorf("it is named after %s already", d)
		}
		nation.silent("clinic")
		exchange(t, district, district, district, district)
		district.silent("clinic")
	}
	for i := range 30 {
		exchange(t, clinic, district)
		nation.silent()
		if i == 2 {
			if err := district.Control().Backup(t.Context(), backup); err != nil {
				t.Fatal(err)
			}
		}
	}
	stops()
	exchange(t, clinic, district)
	nation.silent()

	old := district.Engine().Store().Identity()
	district.putBackFrom(backup)
	if district.Engine().Store().Identity().Epoch == old.Epoch {
		t.Fatal("the district did not notice that it was put back")
	}
	exchange(t, district, district)
	nation.silent() // what the nation heard is not unheard
	for range 5 {
		exchange(t, clinic, district)
		nation.silent()
	}
	w := nation.network()
	if w.Nodes != 2 || len(w.Self.Children) != 1 || len(w.Self.Children[0].Children) != 1 || w.Self.Children[0].Children[0].Name != "clinic" {
		t.Errorf("the tree after the district was put back: %+v", w.Self)
	}
	stops()
}

// However short the time is after which a node counts as silent, one that is well does not, be it that it reads seldom, or never and has nothing to send.
func TestAWellNodeIsNotSilent(t *testing.T) {
	cal := &calendar{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	nation := newStill(t, cal, "nation", nil, silentAfter(time.Minute))
	district := newStill(t, cal, "district", nation) // it tells of contacts every ten minutes
	often := newStill(t, cal, "often", district)
	seldom := newStill(t, cal, "seldom", district, func(c *config.Config) {
		c.Pull.Every, c.Push.Every = config.Duration(20*time.Minute), config.Duration(15*time.Minute)
	})
	quiet := newStill(t, cal, "quiet", nation, func(c *config.Config) { c.Pull.Enabled = false })
	pass := func(s *still) {
		t.Helper()
		if _, err := s.Sync(t.Context(), control.Both); err != nil {
			t.Fatal(err)
		}
	}
	for minute := range 135 {
		cal.now = cal.now.Add(time.Minute)
		if minute%20 == 0 {
			pass(seldom)
		}
		if minute < 120 { // then it stops
			pass(quiet)
		}
		pass(often)
		pass(district)
		if minute < 120 {
			nation.silent()
		}
	}
	nation.silent("quiet")
}
