package node_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/version"
)

// toParent carries requests to whichever process of the parent runs now.
type toParent struct{ now *node.Node }

func (p *toParent) RoundTrip(r *http.Request) (*http.Response, error) {
	r.RemoteAddr = "192.0.2.1:40000"
	out := httptest.NewRecorder()
	p.now.Handler().ServeHTTP(out, r)
	return out.Result(), nil
}

// The whole machine of a node at the top is put back, as a virtual machine is to a snapshot: its nonce was put back too, and it has nobody above
// that remembers. Its child does: what the two exchange begins after the node took a new replica, and what it had lost comes back.
func TestChildTellsThatItsParentWasPutBack(t *testing.T) {
	ctx := context.Background()
	parent := start(t, "parent", nil, node.Deps{}, nil)
	child := start(t, "child", parent, node.Deps{}, nil)
	parent.write(t, "Patient", "common", "x")
	child.await(t, "Patient", "common")
	child.stop()
	parent.stop()
	dir := filepath.Clean(parent.cfg.Node.DataDir)
	db, nonce := parent.cfg.Store.DSN, filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".nonce")
	first := map[string][]byte{db: read(t, db), nonce: read(t, nonce)}

	link := &toParent{now: again(t, parent.cfg)}
	c, err := node.New(ctx, child.cfg, node.Deps{Transport: link})
	if err != nil {
		t.Fatal(err)
	}
	defer end(t, c)
	put(t, link.now, "lost")
	settle(t, c, 1)
	old := link.now.Engine().Store().Identity()
	end(t, link.now)
	putBack(t, first)
	link.now = again(t, parent.cfg)
	put(t, link.now, "other") // bears the version that the child has of the one that was lost
	settle(t, c, 3)

	p := link.now
	if now := p.Engine().Store().Identity(); now.Replica == old.Replica || now.Epoch == old.Epoch {
		t.Errorf("the node goes on as %+v", now)
	}
	rows, err := p.Engine().Store().AuditRecords(ctx, audit.Query{Operation: audit.Admin})
	if err != nil || len(rows) == 0 || rows[0].Action != "RESTORED" || !strings.Contains(rows[0].Details, "child child remembers its change") {
		t.Errorf("the audit does not say so: %+v %v", rows, err)
	}
	versions := map[version.Version]string{}
	for _, id := range []string{"common", "lost", "other"} {
		k := fhir.Key{Type: "Patient", ID: id}
		mine, ok, err := p.Engine().Store().Get(ctx, k)
		theirs, also, cerr := c.Engine().Store().Get(ctx, k)
		if err != nil || cerr != nil || !ok || !also || mine.Stamp.Version != theirs.Stamp.Version || string(mine.Body) != string(theirs.Body) {
			t.Errorf("%s: parent %s, child %s; %v %v", id, mine.Stamp.Version, theirs.Stamp.Version, err, cerr)
		}
		if o, twice := versions[mine.Stamp.Version]; twice {
			t.Errorf("%s stands for %s and for %s", mine.Stamp.Version, o, id)
		}
		versions[mine.Stamp.Version] = id
	}
	now := p.Engine().Store().Identity()
	settle(t, c, 3)
	if p.Engine().Store().Identity() != now {
		t.Error("it was found again")
	}
}
