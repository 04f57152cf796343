package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	stamps "github.com/tributary-sync/tributary/version"
)

// showConflict cuts a link, edits one patient on both sides of it, heals it, and shows what was decided.
func (t *tree) showConflict(ctx context.Context, o demoOptions) error {
	a, b, district := t.node("clinic-a"), t.node("clinic-b"), t.node("district")
	key, err := t.somePatient(ctx)
	if err != nil {
		return err
	}
	t.app.say("2. The link of clinic-a is cut. Meanwhile one patient is edited on both sides.")
	a.cable.cut.Store(true)
	const phoneA, phoneB = "+1 555 0100", "+1 555 0199"
	if err := a.setPhone(ctx, key, phoneA); err != nil {
		return err
	}
	t.app.say("   clinic-a, offline: %s gets the telephone number %s", key, phoneA)
	if err := b.setPhone(ctx, key, phoneB); err != nil {
		return err
	}
	t.app.say("   clinic-b, online:  %s gets the telephone number %s", key, phoneB)
	// The other side must have arrived, or there is nothing to contradict.
	if err := t.until(ctx, o.limit, "clinic-b's edit did not reach the nation", func() (bool, error) {
		phone, err := t.node("nation").phone(ctx, key)
		return phone == phoneB, err
	}); err != nil {
		return err
	}
	t.app.say("   The nation has clinic-b's edit by now; clinic-a knows nothing of it. The link is healed.")
	a.cable.cut.Store(false)
	if _, err := a.control.Sync(ctx, control.Both); err != nil {
		return err
	}
	var conflict control.ShownConflict
	if err := t.until(ctx, o.limit, "the district did not find the conflict", func() (bool, error) {
		found, err := district.control.Conflicts(ctx, control.ConflictQuery{Key: key, Limit: 1})
		if err != nil || len(found) == 0 {
			return false, err
		}
		conflict, err = district.control.Conflict(ctx, found[0].UUID)
		return true, err
	}); err != nil {
		return err
	}
	t.tell(conflict.Conflict)
	if err := t.until(ctx, o.limit, "the nodes did not agree again", func() (bool, error) { return t.agreed(ctx) }); err != nil {
		return err
	}
	for _, n := range t.nodes {
		phone, err := n.phone(ctx, key)
		if err != nil {
			return err
		}
		t.app.say("     %-9s has %s", n.name, phone)
	}
	if !o.once || o.keep != "" {
		t.app.say("   To see both copies: tributary --config %s conflict show %s", district.path, conflict.UUID)
	}
	t.app.say("")
	return nil
}

// tell says in plain words what became of a conflict.
func (t *tree) tell(c control.Conflict) {
	winner, loser, content := c.Local, c.Incoming, c.IncomingContent
	if c.Winner == "incoming" {
		winner, loser, content = c.Incoming, c.Local, c.LocalContent
	}
	if c.Status == "open" {
		t.app.say("   The district found the conflict and leaves it to a person.")
		return
	}
	t.app.say("   The district found the conflict and decided it by the rule %s:", c.Rule)
	t.app.say("     winner: the edit of %s, written at %s", t.author(winner), time.UnixMilli(winner.Authored).Format("15:04:05.000"))
	t.app.say("     loser:  the edit of %s, written at %s; it is kept at the district, with the number %s", t.author(loser),
		time.UnixMilli(loser.Authored).Format("15:04:05.000"), phoneOf(content))
}

// author returns the name of the node that wrote a copy.
func (t *tree) author(s stamps.Stamp) string {
	for _, n := range t.nodes {
		if n.Engine().Store().Identity().Replica == s.Author {
			return n.name
		}
	}
	return string(s.Author)
}

// somePatient returns the key of a patient that both clinics hold.
func (t *tree) somePatient(ctx context.Context) (fhir.Key, error) {
	all, err := copies(ctx, t.node("clinic-a").Node)
	if err != nil {
		return fhir.Key{}, err
	}
	best := fhir.Key{}
	for k, s := range all {
		if k.Type == "Patient" && !s.Deleted && (best.ID == "" || k.Compare(best) < 0) {
			best = k
		}
	}
	if best.ID == "" {
		return best, syncerr.New(syncerr.NotFound, "demo", "there is no Patient among the data").WithHint("Give --data a folder with patients")
	}
	return best, nil
}

// get reads a resource through the FHIR API.
func (n *demoNode) get(ctx context.Context, key fhir.Key) (map[string]any, error) {
	body, err := n.exchange(ctx, http.MethodGet, key, nil)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // a FHIR decimal keeps its digits
	var r map[string]any
	return r, syncerr.Wrap(syncerr.Invalid, "demo: read "+key.String(), d.Decode(&r))
}

// setPhone edits a patient as an application does: read, change, write back.
func (n *demoNode) setPhone(ctx context.Context, key fhir.Key, phone string) error {
	r, err := n.get(ctx, key)
	if err != nil {
		return err
	}
	r["telecom"] = []any{map[string]any{"system": "phone", "use": "mobile", "value": phone}}
	body, err := json.Marshal(r)
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, "demo", err)
	}
	_, err = n.exchange(ctx, http.MethodPut, key, body)
	return err
}

func (n *demoNode) phone(ctx context.Context, key fhir.Key) (string, error) {
	body, err := n.exchange(ctx, http.MethodGet, key, nil)
	return phoneOf(body), err
}

func phoneOf(patient []byte) string {
	var p struct {
		Telecom []struct{ Value string }
	}
	if json.Unmarshal(patient, &p) != nil || len(p.Telecom) == 0 {
		return ""
	}
	return p.Telecom[0].Value
}

func (n *demoNode) exchange(ctx context.Context, method string, key fhir.Key, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, n.url()+"/fhir/R4/"+key.String(), bytes.NewReader(body))
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, "demo", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	res, err := n.http.Do(req)
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Transient, "demo", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, fhir.MaxBytes))
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s at %s: %s %s", method, key, n.name, res.Status, fhir.OutcomeText(answer))
	}
	return answer, syncerr.Wrap(syncerr.KindOfStatus(res.StatusCode), "demo", err)
}

// showResult prints what each node holds and whether that is the same.
func (t *tree) showResult(ctx context.Context, _ demoOptions) error {
	counts, err := t.counts(ctx)
	if err != nil {
		return err
	}
	diff, err := t.differences(ctx, 10)
	if err != nil {
		return err
	}
	t.app.say("3. What each node holds:")
	rows := make([]table.Row, len(t.nodes))
	for i, n := range t.nodes {
		c := counts[i]
		known, err := n.Engine().Store().Knowledge(ctx, nil)
		if err != nil {
			return err
		}
		rows[i] = table.Row{n.name, number(c.Total), number(c.Changes), knows(known), number(c.Conflicts), number(c.Parked), number(c.Held), n.url()}
	}
	t.app.table(table.Row{"Node", "Resources", "Log", "Knows", "Conflicts", "Parked", "Held", "Dashboard"}, rows, "")
	if len(diff) > 0 {
		return syncerr.New(syncerr.Internal, "demo", "the nodes differ: %s", strings.Join(diff, "; "))
	}
	t.app.say("Every node holds the same copies: version, author and content of %s agree (%.1f s).",
		counted(counts[0].Total+counts[0].Deleted, "resource", "resources"), t.app.clock().Sub(t.began).Seconds())
	return nil
}

func (t *tree) showDashboards() {
	t.app.say("\nThe nodes keep running. Open a dashboard in a browser:")
	for _, n := range t.nodes {
		t.app.say("  %-9s %s", n.name, n.url())
	}
	t.app.say("Try another terminal: tributary --config %s status", t.node("clinic-a").path)
	t.app.say("Ctrl-C stops all of them.")
}

// knows sums up a knowledge: of how many replicas how many changes.
func knows(parts []feed.Known) string {
	changes, replicas := uint64(0), map[stamps.Replica]bool{}
	for _, p := range parts {
		for _, v := range p.Vector {
			changes += v.Tick
			replicas[v.Replica] = true
		}
	}
	return number(changes) + " changes of " + counted(len(replicas), "node", "nodes")
}
