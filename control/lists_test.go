package control_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/reconcile"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

func wantKind(t *testing.T, what string, err error, kind syncerr.Kind) {
	t.Helper()
	if err == nil || syncerr.KindOf(err) != kind {
		t.Errorf("%s: got %v, want an error of kind %s", what, err, kind)
	}
}

func TestChildren(t *testing.T) {
	w, ctx := newWorld(t, ""), context.Background()
	fixed := control.New(w.eng, w.cfg, w.passes, control.Deps{Clock: w.clock.Now, Rand: bytes.NewReader(make([]byte, 32))})
	c, err := fixed.As("nurse").AddChild(ctx, "clinic-b", " key \n")
	w.must(err)
	if want := "trib_" + strings.Repeat("A", 43); c.Credential != want || c.PublicKey != "key" || c.Name != "clinic-b" || c.LastSeen != 0 || c.ID == "" {
		t.Errorf("got %+v", c)
	}
	p, ok, err := w.eng.Store().ParticipantBy(ctx, store.KindChild, "", control.HashCredential(c.Credential))
	w.must(err)
	if !ok || p.Name != "clinic-b" || strings.Contains(p.Credential, "trib_") || len(p.Credential) != 64 {
		t.Errorf("stored as %+v", p)
	}
	_, err = w.AddChild(ctx, "clinic-b", "")
	wantKind(t, "the same name", err, syncerr.Conflict)
	for _, name := range []string{"", "a b", "../x", "-rf", strings.Repeat("x", 65), "<b>"} {
		_, err := w.AddChild(ctx, name, "")
		wantKind(t, "name "+name, err, syncerr.Usage)
	}
	_, err = w.AddChild(ctx, "clinic-c", strings.Repeat("k", 501))
	wantKind(t, "a long key", err, syncerr.Usage)
	second, err := w.AddChild(ctx, "clinic_c", "")
	w.must(err)
	if len(second.Credential) != len(c.Credential) || second.Credential == c.Credential {
		t.Errorf("got credential %q", second.Credential)
	}

	edit(t, w.eng, "1", "A")
	edit(t, w.eng, "2", "B")
	p.Seq, p.LastSeen = 1, w.Now()
	w.write(func(tx *store.Tx) error { return tx.SaveParticipant(p) })
	list, err := w.Children(ctx)
	w.must(err)
	if len(list) != 2 || list[0].Lag != 1 || list[0].LastSeen == 0 || list[1].Lag != 2 {
		t.Errorf("got children %+v", list)
	}

	w.must(w.RemoveChild(ctx, "clinic-b"))
	wantKind(t, "remove twice", w.RemoveChild(ctx, "clinic-b"), syncerr.NotFound)
	records, err := w.Audit(ctx, audit.Query{Operation: audit.Admin})
	w.must(err)
	var got []string
	for _, r := range records {
		got = append(got, r.Action+" by "+r.Peer)
		if strings.Contains(r.Details, "trib_") {
			t.Errorf("the audit holds a credential: %+v", r)
		}
	}
	if want := "REMOVE_CHILD by operator, ADD_CHILD by operator, ADD_CHILD by nurse"; strings.Join(got, ", ") != want {
		t.Errorf("got audit %v, want %s", got, want)
	}
}

// conflict makes an open conflict about Patient/1 at the node and returns it.
func conflict(t *testing.T, w *world) control.Conflict {
	t.Helper()
	parent := open(t, w.clock, "district", reconcile.Defer)
	edit(t, w.eng, "1", "Banda")
	w.pull(parent, false, edit(t, parent, "1", "Phiri"))
	list, err := w.Conflicts(context.Background(), control.ConflictQuery{Status: control.ConflictOpen})
	w.must(err)
	if len(list) != 1 {
		t.Fatalf("got conflicts %+v", list)
	}
	return list[0]
}

func TestConflicts(t *testing.T) {
	w, ctx := newWorld(t, ""), context.Background()
	c := conflict(t, w)
	if c.LocalContent != nil || c.IncomingContent != nil || c.Key != key("1") || c.Peer != "district" {
		t.Errorf("a listed conflict: %+v", c)
	}
	full, err := w.Conflict(ctx, c.UUID)
	w.must(err)
	if !strings.Contains(string(full.LocalContent), "Banda") || !strings.Contains(string(full.IncomingContent), "Phiri") {
		t.Errorf("got %s and %s", full.LocalContent, full.IncomingContent)
	}
	if s := status(t, w); s.Counts.Open != 1 || len(s.Attention) != 1 || !strings.Contains(s.Attention[0], "1 conflict waits for a person") {
		t.Errorf("got %+v", s.Attention)
	}
	for _, choice := range []string{"", "both"} {
		_, err := w.ResolveConflict(ctx, c.UUID, control.Resolution{Choice: control.Choice(choice)})
		wantKind(t, "choice "+choice, err, syncerr.Usage)
	}
	_, err = w.ResolveConflict(ctx, "no-such", control.Resolution{Choice: "local"})
	wantKind(t, "resolve another", err, syncerr.NotFound)
	_, err = w.ResolveConflict(ctx, "", control.Resolution{Choice: "local"})
	wantKind(t, "resolve none", err, syncerr.Usage)
	_, err = w.Conflict(ctx, "no-such")
	wantKind(t, "show another", err, syncerr.NotFound)
	_, err = w.Conflict(ctx, "")
	wantKind(t, "show none", err, syncerr.Usage)
	_, err = w.Conflicts(ctx, control.ConflictQuery{Status: "closed"})
	wantKind(t, "another state", err, syncerr.Usage)

	after, err := w.As("nurse").ResolveConflict(ctx, c.UUID, control.Resolution{Choice: "incoming", Remark: "asked the mother"})
	w.must(err)
	if after.Status != control.ConflictDecided || after.Winner != "incoming" || after.Closed == 0 || after.Decided.IsZero() {
		t.Errorf("got %+v", after)
	}
	if s := status(t, w); s.Counts.Open != 0 {
		t.Errorf("the counts still say %d open conflicts", s.Counts.Open)
	}
	records, err := w.Audit(ctx, audit.Query{Operation: audit.Admin})
	w.must(err)
	if len(records) != 1 || records[0].Peer != "nurse" || records[0].Conflict != c.UUID {
		t.Errorf("got audit %+v", records)
	}
	names, err := w.Names(ctx, after.Local.Author, after.Incoming.Author, "00000000-0000-4000-8000-000000000000")
	w.must(err)
	if len(names) != 2 || names[after.Local.Author] != "clinic-a" || names[after.Incoming.Author] != "district" {
		t.Errorf("got names %v", names)
	}
}

func TestParked(t *testing.T) {
	w, ctx := newWorld(t, ""), context.Background()
	parent := open(t, w.clock, "district", reconcile.Defer)
	for _, id := range []string{"1", "2"} {
		ev := edit(t, parent, id, "Banda")
		ev.Content = []byte(`{"resourceType":"Patient","id":"` + id + `","name":[{"family":"somebody else"}]}`)
		w.pull(parent, false, ev)
	}
	list, err := w.Parked(ctx, control.ParkedQuery{Direction: control.Pull})
	w.must(err)
	if len(list) != 2 || list[0].NextRetry <= w.Now() || !strings.Contains(list[0].Reason, "hash") {
		t.Fatalf("got %+v", list)
	}
	one, err := w.Parked(ctx, control.ParkedQuery{Key: key("2")})
	w.must(err)
	if len(one) != 1 || one[0].Key != key("2") {
		t.Errorf("got %+v", one)
	}
	_, err = w.Parked(ctx, control.ParkedQuery{Direction: "up"})
	wantKind(t, "another direction", err, syncerr.Usage)
	_, err = w.RetryParked(ctx, control.ParkedChoice{UUID: "no-such"})
	wantKind(t, "retry another", err, syncerr.NotFound)
	w.clock.Add(time.Second)
	if list[0].Cause != list[1].Cause || list[0].Like != 2 {
		t.Errorf("one reason, two causes: %+v", list)
	}
	for _, x := range []struct {
		which control.ParkedChoice
		want  int
	}{{control.ParkedChoice{UUID: list[0].UUID}, 1}, {control.ParkedChoice{Cause: list[0].Cause}, 2}, {control.ParkedChoice{All: true}, 2}} {
		if n, err := w.RetryParked(ctx, x.which); n != x.want || err != nil {
			t.Errorf("retry %+v: got %d, %v, want %d", x.which, n, err, x.want)
		}
	}
	list, err = w.Parked(ctx, control.ParkedQuery{})
	w.must(err)
	for _, p := range list {
		if p.NextRetry != w.Now() {
			t.Errorf("%s is due at %d, now is %d", p.Key, p.NextRetry, w.Now())
		}
	}
	empty := newWorld(t, "")
	if n, err := empty.RetryParked(ctx, control.ParkedChoice{All: true}); n != 0 || err != nil {
		t.Errorf("retry all of nothing: %d, %v", n, err)
	}
}

// What is given up is not tried any more, is listed apart and in the audit, and can be taken up again.
func TestGiveUp(t *testing.T) {
	w, ctx := newWorld(t, ""), context.Background()
	parent := open(t, w.clock, "district", reconcile.Defer)
	for _, id := range []string{"1", "2", "3"} {
		ev := edit(t, parent, id, "Banda")
		ev.Content = []byte(`{"resourceType":"Patient","id":"` + id + `","name":[{"family":"somebody else"}]}`)
		w.pull(parent, false, ev)
	}
	names := func(state string) (out string) {
		list, err := w.Parked(ctx, control.ParkedQuery{State: state})
		w.must(err)
		for _, p := range list {
			out += p.Key.ID
		}
		return out
	}
	list, err := w.Parked(ctx, control.ParkedQuery{})
	w.must(err)
	nurse := w.As("nurse")
	_, err = nurse.GiveUpParked(ctx, control.ParkedChoice{UUID: list[0].UUID, Why: " "})
	wantKind(t, "no reason", err, syncerr.Usage)
	_, err = nurse.GiveUpParked(ctx, control.ParkedChoice{Why: "which?"})
	wantKind(t, "nothing named", err, syncerr.Usage)
	_, err = nurse.TakeUpParked(ctx, control.ParkedChoice{UUID: list[0].UUID})
	wantKind(t, "take up what was not given up", err, syncerr.NotFound)
	if n, err := nurse.GiveUpParked(ctx, control.ParkedChoice{UUID: list[0].UUID, Why: "made twice"}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if a, b, c := names(""), names(control.ParkedGivenUp), names(control.ParkedAll); a != "23" || b != "1" || c != "123" {
		t.Errorf("waiting %s, given up %s, all %s", a, b, c)
	}
	given, err := w.Parked(ctx, control.ParkedQuery{State: control.ParkedGivenUp})
	w.must(err)
	if g := given[0].GivenUp; g == nil || g.By != "nurse" || g.Why != "made twice" || g.At != w.Now() {
		t.Errorf("given up: %+v", g)
	}
	if n, err := w.RetryParked(ctx, control.ParkedChoice{All: true}); n != 2 || err != nil {
		t.Errorf("a retry of all takes what was given up: %d, %v", n, err)
	}
	_, err = w.RetryParked(ctx, control.ParkedChoice{UUID: list[0].UUID})
	wantKind(t, "retry what was given up", err, syncerr.NotFound)
	records, err := w.Audit(ctx, audit.Query{Type: "Patient", ID: "1", Operation: audit.Admin})
	w.must(err)
	if len(records) != 1 || records[0].Action != "GIVE-UP" || records[0].Peer != "nurse" || !strings.Contains(records[0].Details, "made twice") {
		t.Errorf("audit: %+v", records)
	}
	e, err := w.Explain(ctx, key("1"))
	w.must(err)
	if len(e.Parked) != 1 || e.Parked[0].GivenUp == nil {
		t.Errorf("explain: %+v", e.Parked)
	}
	if n, err := nurse.TakeUpParked(ctx, control.ParkedChoice{UUID: list[0].UUID}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if a, b := names(""), names(control.ParkedGivenUp); a != "123" || b != "" {
		t.Errorf("after taking up: waiting %s, given up %s", a, b)
	}
}

func TestSync(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, "https://district.example")
	runs, err := w.Sync(ctx, control.Pull)
	w.must(err)
	if len(runs) != 1 || runs[0].ID != "r-pull" {
		t.Errorf("got %+v", runs)
	}
	_, err = w.Sync(ctx, "")
	w.must(err)
	if got := strings.Join(w.passes.asked, " "); got != "pull both" {
		t.Errorf("asked for %s", got)
	}
	_, err = w.Sync(ctx, "sideways")
	wantKind(t, "another direction", err, syncerr.Usage)
	_, err = newWorld(t, "").Sync(ctx, control.Pull)
	wantKind(t, "no parent", err, syncerr.Usage)
	_, err = control.New(w.eng, w.cfg, nil, control.Deps{Clock: w.clock.Now}).Sync(ctx, control.Pull)
	wantKind(t, "a node that does not run", err, syncerr.Usage)
	_, err = w.Runs(ctx, "both", 0)
	wantKind(t, "runs of both", err, syncerr.Usage)
}

func TestConfigTextHidesSecrets(t *testing.T) {
	w := newWorld(t, "https://district.example")
	w.cfg.Store = config.Store{Driver: config.DriverMySQL, DSN: "tributary:hunter2@tcp(db:3306)/tributary"}
	text, err := control.New(w.eng, w.cfg, nil, control.Deps{Clock: w.clock.Now}).ConfigText(context.Background())
	w.must(err)
	if strings.Contains(text, "hunter2") || strings.Contains(text, "secret-of-the-child") || !strings.Contains(text, "name: clinic-a") {
		t.Errorf("got\n%s", text)
	}
}

// A verification is a run of its own kind, and one that failed is an operator's failure, not one of the pull.
func TestRunsOfVerifications(t *testing.T) {
	w, ctx := newWorld(t, "https://district.example"), context.Background()
	w.run(control.Pull, "1", "done", "")
	w.run(control.VerifyRuns, "2", "failed", "the link is down")
	runs, err := w.Runs(ctx, control.VerifyRuns, 0)
	if err != nil || len(runs) != 1 || runs[0].ID != "2" {
		t.Errorf("runs %+v, %v", runs, err)
	}
	records, err := w.Audit(ctx, audit.Query{Outcome: audit.Failed})
	if err != nil || len(records) != 1 || records[0].Operation != audit.Admin || records[0].Action != "VERIFY" || records[0].Details != "the link is down" {
		t.Errorf("audit %+v, %v", records, err)
	}
}

// What a caller named and what is no key must not break the JSON of the audit.
func TestAuditOfWhatIsNoKey(t *testing.T) {
	w, ctx := newWorld(t, ""), context.Background()
	w.must(w.eng.Note(ctx, audit.Record{Operation: audit.Refuse, Outcome: audit.Refused, Key: fhir.Key{Type: "Foo", ID: "a b"}, Details: "no such type"}))
	w.must(w.eng.Note(ctx, audit.Record{Operation: audit.Refuse, Outcome: audit.Refused, Key: fhir.Key{Type: "Patient"}}))
	records, err := w.Audit(ctx, audit.Query{})
	w.must(err)
	if len(records) != 2 || records[1].Key != (fhir.Key{}) || records[1].Details != "Foo/a b: no such type" || records[0].Details != "Patient" {
		t.Errorf("got %+v", records)
	}
}
