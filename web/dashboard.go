package web

import (
	"cmp"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/web/messages"
)

// How much of each list the overview shows.
const (
	showTypes     = 12
	showChildren  = 8
	showConflicts = 6
	showParked    = 5
	showAudit     = 8
	lookAudit     = 5 * showAudit // what is tried again and again stands there once
)

type dashboard struct {
	page
	Status       control.Status
	Role         string
	Banner       banner
	Tiles        []tile
	Parent       *parent
	Children     []child
	MoreChildren string
	Total        string
	Types        []typeRow
	MoreTypes    string
	Deleted      string
	Counted      when
	Conflicts    []conflictRow
	Parked       []parkedRow
	Audit        []auditRow
	About        []term
}

type banner struct {
	Class string
	Text  template.HTML
	More  []template.HTML
}

type tile struct{ Path, Number, Text, Class string }

type typeRow struct{ Type, Number string }

type term struct{ Term, Text string }

type child struct {
	Name, State, Class string
	Seen               when
	Lag                string
}

func (w *Web) dashboard(out http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	s, err := w.ctl.Status(ctx)
	if err != nil {
		return err
	}
	d := dashboard{page: w.page(r, "nav.home", "/"), Status: s}
	d.Refresh, d.Role, d.Banner, d.Tiles = refresh, d.role(s), d.bannerOf(s), d.tiles(s)
	if d.page, err = w.peered(ctx, d.page); err != nil {
		return err
	}
	d.Parent = d.parentOf(s)
	// Those of which nothing was heard for longest are shown where not all are.
	away := slices.SortedStableFunc(slices.Values(s.Children), func(a, b control.Child) int { return cmp.Compare(a.LastSeen, b.LastSeen) })
	if len(away) <= showChildren {
		away = s.Children
	}
	for _, c := range away[:min(len(away), showChildren)] {
		d.Children = append(d.Children, d.childOf(c))
	}
	if more := len(s.Children) - showChildren; more > 0 {
		d.MoreChildren = d.t("child.more", "n", more)
	}
	d.countsOf(s)
	d.About = d.about(s)
	open, err := w.ctl.Conflicts(ctx, control.ConflictQuery{Status: control.ConflictOpen, Limit: showConflicts})
	if err != nil {
		return err
	}
	if n := showConflicts - len(open); n > 0 {
		decided, err := w.ctl.Conflicts(ctx, control.ConflictQuery{Status: control.ConflictDecided, Limit: n})
		if err != nil {
			return err
		}
		open = append(open, decided...)
	}
	d.Conflicts = d.conflictRows(open)
	parked, err := w.ctl.Parked(ctx, control.ParkedQuery{Limit: showParked})
	if err != nil {
		return err
	}
	d.Parked = d.parkedRows(parked)
	records, err := w.ctl.Audit(ctx, audit.Query{Limit: lookAudit})
	if err != nil {
		return err
	}
	d.Audit = d.auditRows(latest(records, showAudit))
	w.show(out, http.StatusOK, "dashboard", d)
	return nil
}

// latest returns the first n of some records, newest first, that say something else than those before: a copy that waits for a decision is offered
// in each round, and a link that is down fails in each.
func latest(records []audit.Record, n int) []audit.Record {
	type saying struct {
		key       fhir.Key
		operation audit.Operation
		outcome   audit.Outcome
		peer      string
		action    string
	}
	said := map[saying]bool{}
	var out []audit.Record
	for _, r := range records {
		s := saying{r.Key, r.Operation, r.Outcome, r.Peer, r.Action}
		if said[s] && (r.Key != fhir.Key{} || r.Outcome == audit.Failed) {
			continue
		}
		said[s] = true
		if out = append(out, r); len(out) == n {
			break
		}
	}
	return out
}

// role says in one sentence where in the tree the node stands.
func (p page) role(s control.Status) string {
	name := ""
	if s.Parent != nil {
		name = or(s.Parent.Name, s.Parent.URL)
	}
	switch n := len(s.Children); {
	case s.Parent == nil && n == 0:
		return p.t("role.alone")
	case s.Parent == nil:
		return p.t("role.top", "n", n)
	case n == 0:
		return p.t("role.leaf", "parent", name)
	default:
		return p.t("role.middle", "n", n, "parent", name)
	}
}

// bannerOf says how the node stands in one sentence, and what a person should look at.
func (p page) bannerOf(s control.Status) banner {
	out := banner{Class: classOK, More: p.notices(s.Notices)}
	state := "state.well"
	switch x := s.Parent; {
	case x != nil && !x.Reachable && x.LastError != "":
		out.Class, state = classBad, "state.apart"
	case len(s.Notices) > 0:
		out.Class, state = classWarn, "state.look"
	case x == nil:
	case x.LastSeen == 0:
		out.Class, state = classWarn, "state.unmet"
		out.More = append(out.More, p.h("state.unmet_more"))
	case x.Push.Backlog > 0 || x.Pull.Backlog > 0:
		state = "state.moving"
	default:
		state = "state.step"
	}
	out.Text = p.h(state)
	// The highest node that has said what reached it tells what a person wants to know first.
	for _, up := range slices.Backward(s.Reach) {
		if up.Code == control.ReachUnknown || up.Code == control.ReachNone || len(up.Said) == 0 {
			continue
		}
		out.Text = p.said(up.Said[0])
		out.More = append(p.saidAll(up.Said[1:]), out.More...)
		if out.Class == classBad {
			out.More = append([]template.HTML{p.h("state.apart")}, out.More...)
		}
		break
	}
	return out
}

// notices says what a person should look at, each with a link to where that is.
func (p page) notices(list []control.Sentence) []template.HTML {
	out := p.saidAll(list)
	for i, s := range list {
		var at link
		switch s.Code {
		case "conflicts":
			at = link{"/conflicts", p.t("nav.conflicts")}
		case "parked":
			at = link{"/parked", p.t("nav.parked")}
		case "silent", "silent_never", "silent_more", "child_cloned":
			at = link{"/network", p.t("nav.network")}
		default:
			continue
		}
		out[i] += template.HTML(` <a href="` + at.Path + `">` + template.HTMLEscapeString(at.Text) + `</a>`) //nolint:gosec // escaped
	}
	return out
}

// tiles are the numbers that are looked at first. A class never stands alone: the number and its words say the same.
func (p page) tiles(s control.Status) []tile {
	number := p.say.Number
	var out []tile
	if x := s.Parent; x != nil {
		out = append(out, tile{"/runs", number(int64(x.Push.Backlog)), p.t("tile.up", "n", x.Push.Backlog), ""}, //nolint:gosec // a count
			tile{"/runs", number(int64(x.Pull.Backlog)), p.t("tile.down", "n", x.Pull.Backlog), ""}) //nolint:gosec // a count
	} else {
		out = append(out, tile{"/network", number(int64(len(s.Children))), p.t("tile.children", "n", len(s.Children)), ""})
	}
	aside, open := tile{"/parked", number(s.Counts.Parked), p.t("tile.parked", "n", s.Counts.Parked), ""}, tile{"/conflicts", number(s.Counts.Open), p.t("tile.conflicts", "n", s.Counts.Open), ""}
	if s.Counts.Parked > 0 {
		aside.Class = classWarn
	}
	if s.Counts.Open > 0 {
		open.Class = classWarn
	}
	out = append(out, aside, open, tile{"#records", number(s.Counts.Total), p.t("tile.records", "n", s.Counts.Total), ""})
	if k := s.Clock; k != nil {
		clock := tile{"#about", p.clockWords(k.Ahead), p.t("tile.clock"), ""}
		if k.Level != control.OK {
			clock.Class = classWarn
		}
		out = append(out, clock)
	}
	if d := s.Disk; d != nil {
		free := tile{"#about", p.say.Size(messages.Bytes(d.Free)), p.t("tile.disk"), ""} //nolint:gosec // no disk has 8 exabytes
		switch d.Level {
		case control.Fail:
			free.Class = classBad
		case control.Warn:
			free.Class = classWarn
		}
		out = append(out, free)
	}
	return out
}

func (p page) childOf(c control.Child) child {
	out := child{Name: c.Name, Seen: p.when(c.LastSeen), Lag: p.t("child.lag_none")}
	if c.Lag > 0 {
		out.Lag = p.t("child.lag", "n", c.Lag)
	}
	switch away := time.Duration(p.Now-c.LastSeen) * time.Millisecond; {
	case c.Cloned != 0:
		out.State, out.Class = p.t("child.cloned"), classBad
	case c.LastSeen == 0:
		out.State, out.Class = p.t("child.never"), classWarn
	case away < 5*time.Minute:
		out.State, out.Class = p.t("child.here"), classOK
	case away < 24*time.Hour:
		out.State = p.t("child.away")
	default:
		out.State, out.Class = p.t("child.long"), classWarn
	}
	return out
}

func (d *dashboard) countsOf(s control.Status) {
	type row struct {
		name string
		n    int64
	}
	var rows []row
	for t, n := range s.Counts.Resources {
		rows = append(rows, row{t, n})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	var rest int64
	for i, r := range rows {
		if i < showTypes {
			d.Types = append(d.Types, typeRow{r.name, d.say.Number(r.n)})
		} else {
			rest += r.n
		}
	}
	if more := len(rows) - showTypes; more > 0 {
		d.MoreTypes = d.t("records.more", "n", more, "records", rest)
	}
	d.Total, d.Counted = d.t("records.total", "n", s.Counts.Total), d.when(s.CountedAt)
	if n := s.Counts.Deleted; n > 0 {
		d.Deleted = d.t("records.deleted", "n", n)
	}
}

func (p page) about(s control.Status) []term {
	n := s.Node
	out := []term{
		{p.t("about.address"), n.URL},
		{p.t("about.program"), p.t("about.running", "version", or(n.Version, "?"), "span", time.Duration(n.Uptime)*time.Millisecond)},
		{p.t("about.database"), p.t("about.schema", "database", n.Database, "schema", strconv.FormatInt(n.Schema, 10))},
		{p.t("about.changes"), p.say.Number(s.Counts.Changes)},
		{p.t("about.replica"), string(n.Replica)},
		{p.t("about.epoch"), n.Epoch},
	}
	if n.Fingerprint != "" {
		out = append(out, term{p.t("about.key"), n.Fingerprint})
	}
	return out
}
