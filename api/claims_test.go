package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
)

// sends is a request of the child with a body of lines as they are: its own client would not write most of what follows.
func (f *family) sends(url string, lines ...string) answer {
	f.t.Helper()
	body := strings.Join(lines, "\n") + "\n" + `{"end":{"cursor":""}}` + "\n"
	return f.do("POST", url, body, func(r *http.Request) {
		r.Header = http.Header{
			"Authorization": {"Bearer " + f.credential}, "Tributary-Protocol": {"1"}, "Tributary-Node": {"clinic-a"}, "Tributary-Key": {"k"},
			"Tributary-Replica": {"11111111-1111-4111-8111-111111111111"}, "Content-Type": {"application/x-ndjson"},
		}
	})
}

// deletion is a line with the deletion of a Patient by a node that nobody knows.
func deletion(id, version, vector string) string {
	return fmt.Sprintf(`{"seq":0,"key":"Patient/%s","action":"DELETED","version":"%s","vector":"%s","committed":1,"deleted":true}`, id, version, vector)
}

func (f *family) refused() []audit.Record {
	f.t.Helper()
	rows, err := f.eng.Store().AuditRecords(context.Background(), audit.Query{Outcome: audit.Refused})
	if err != nil {
		f.t.Fatal(err)
	}
	return rows
}

// A change whose vector has seen what this node never made, or has not seen itself, is refused with a reason and audited, and nothing
// changes; what can be is taken.
func TestImpossibleVectorsAreRefused(t *testing.T) {
	const unmade = "change 2 of this node's own to Patient, and this node has made 1"
	other := deletion("other", "1-"+string(strange), "1-"+string(strange))
	for _, c := range []struct {
		name, version, vector string
		status                int
		why                   string
	}{
		{"changes of this node that it never made", "3-STRANGE", "3-STRANGE 2-OWN", 200, unmade},
		{"made by this node, which never did", "2-OWN", "2-OWN", 200, unmade},
		{"a vector that goes back behind its version", "3-STRANGE", "2-STRANGE 1-OWN", 400, "does not contain its version"},
		{"what it has made", "3-STRANGE", "3-STRANGE 1-OWN", 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFamily(t)
			ctx := context.Background()
			r, err := fhir.Parse([]byte(patient("p", "A")), 0)
			if err != nil {
				t.Fatal(err)
			}
			written, err := f.eng.Author(ctx, "test", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}})
			if err != nil {
				t.Fatal(err)
			}
			named := strings.NewReplacer("STRANGE", string(strange), "OWN", string(f.eng.Store().Identity().Replica))
			a := f.sends("/sync/changes", deletion("p", named.Replace(c.version), inOrder(named.Replace(c.vector))), other).want(c.status)
			now, _, err := f.eng.Store().Get(ctx, r.Key)
			if err != nil {
				t.Fatal(err)
			}
			if c.why == "" {
				if !now.Stamp.Deleted || len(f.refused()) != 0 {
					t.Errorf("it was not taken: %s", a.body)
				}
				return
			}
			if !strings.Contains(string(a.body), c.why) || now.Stamp.Version != written[0].Stamp.Version || !now.Stamp.Vector.Equal(written[0].Stamp.Vector) {
				t.Errorf("answered %s, the copy is %v", a.body, now.Stamp)
			}
			if rows := f.refused(); len(rows) != 1 || !strings.Contains(rows[0].Details, c.why) || rows[0].Peer != "clinic-a" {
				t.Errorf("audit: %+v", rows)
			}
			_, ok, err := f.eng.Store().Get(ctx, key("Patient/other"))
			if ok != (c.status == 200) || err != nil {
				t.Errorf("the change that came with it is here: %v %v", ok, err)
			}
		})
	}
}

// Knowledge of what is no type, of what is no version, of one type twice, or that is too long, is refused with a reason and audited, with a
// push and for a catch-up; nothing of it is learnt, and nothing that came with it is taken.
func TestKnowledgeThatCannotBeIsRefused(t *testing.T) {
	known := func(resourceType, vector string) string {
		return `{"known":{"type":"` + resourceType + `","vector":"` + vector + `"}}`
	}
	one := "1-" + string(strange)
	var many []string
	for i := range 501 {
		many = append(many, known(fmt.Sprintf("rest-%d", i), one))
	}
	for _, c := range []struct {
		name, why string
		status    int
		lines     []string
	}{
		{"of an unknown type", "is not a resource type", 400, []string{known("no type", one)}},
		{"of what is no version", "vector", 400, []string{known("Patient", "9223372036854775808-"+string(strange))}},
		{"of one type twice", "twice", 400, []string{known("Patient", one), known("Patient", one)}},
		{"of more types than there are", "more than 500", 413, many},
		{"longer than any network makes it", "longer than", 413, []string{known("Patient", one+strings.Repeat(" ", 16<<20))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFamily(t)
			ctx := context.Background()
			for i, url := range []string{"/sync/changes", "/sync/catchup"} {
				lines := c.lines
				if i == 0 {
					if len(lines[0]) > 16<<20 {
						continue // a push may have a line of that length: that of a resource
					}
					lines = append([]string{deletion("p", one, one)}, lines...)
				}
				a := f.sends(url, lines...)
				if a.status != c.status || !strings.Contains(string(a.body), c.why) {
					t.Errorf("%s answered %d %s", url, a.status, a.body)
				}
				if rows := f.refused(); len(rows) == 0 || rows[0].URL != url || !strings.Contains(rows[0].Details, c.why) || rows[0].Peer != "clinic-a" {
					t.Errorf("%s, audit: %+v", url, rows)
				}
			}
			if _, ok, err := f.eng.Store().Get(ctx, key("Patient/p")); ok || err != nil {
				t.Errorf("what came with it was taken: %v", err)
			}
			if known, err := f.eng.Store().Knowledge(ctx, nil); err != nil || len(known) != 0 {
				t.Errorf("it was learnt: %+v %v", known, err)
			}
		})
	}
}

// A child that tells less than it told before, as one that was put back does, takes nothing away; the places of a catch-up that cannot be are
// refused and audited.
func TestWhatGoesBackChangesNothing(t *testing.T) {
	f := newFamily(t)
	for _, tick := range []string{"7", "3"} {
		f.sends("/sync/changes", `{"known":{"type":"Patient","vector":"`+tick+"-"+string(strange)+`"}}`).want(200)
	}
	known, err := f.eng.Store().Knowledge(context.Background(), nil)
	if err != nil || len(known) != 1 || known[0].Vector.Tick(strange) != 7 {
		t.Errorf("it knows %+v, %v", known, err)
	}
	for i, place := range []string{"x", "1/Nonsense/0//0/", "9/Patient/1//0/"} {
		if a := f.sends("/sync/catchup?resume="+place, `{"known":{"type":"Patient"}}`); a.status != 400 && a.status != 409 && a.status != 410 {
			t.Errorf("place %q: %d %s", place, a.status, a.body)
		}
		if rows := f.refused(); len(rows) != i+1 || rows[0].URL != "/sync/catchup" {
			t.Errorf("place %q, audit: %+v", place, rows)
		}
	}
}

// inOrder returns a vector's text with its versions by replica, as they have to stand.
func inOrder(vector string) string {
	versions := strings.Fields(vector)
	slices.SortFunc(versions, func(a, b string) int { return strings.Compare(a[strings.Index(a, "-"):], b[strings.Index(b, "-"):]) })
	return strings.Join(versions, " ")
}
