package web

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/control"
)

// How much of each list the overview shows.
const (
	showTypes     = 12
	showConflicts = 6
	showParked    = 5
	showAudit     = 12
)

type dashboard struct {
	page
	Status    control.Status
	Role      string
	Banner    banner
	Tiles     []tile
	Parent    *parent
	Children  []child
	Total     string
	Types     []typeRow
	MoreTypes string
	Deleted   string
	Counted   when
	Conflicts []conflictRow
	Parked    []parkedRow
	Audit     []auditRow
	About     []term
}

type banner struct {
	Class, Text string
	More        []string
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
	d := dashboard{page: w.page("Overview", "/"), Status: s, Role: role(s), Banner: bannerOf(s), Tiles: tiles(s)}
	d.Refresh = refresh
	if d.page, err = w.peered(ctx, d.page); err != nil {
		return err
	}
	d.Parent = d.parentOf(s)
	for _, c := range s.Children {
		d.Children = append(d.Children, d.childOf(c))
	}
	d.countsOf(s)
	d.About = about(s)
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
	records, err := w.ctl.Audit(ctx, audit.Query{Limit: showAudit})
	if err != nil {
		return err
	}
	d.Audit = d.auditRows(records)
	w.show(out, http.StatusOK, "dashboard", d)
	return nil
}

// role says in one sentence where in the tree the node stands.
func role(s control.Status) string {
	below := count(len(s.Children), "other node syncs", "other nodes sync") + " with it"
	switch {
	case s.Parent == nil && len(s.Children) == 0:
		return "This node stands alone: it has no parent and no children."
	case s.Parent == nil:
		return "This node stands at the top; " + below + "."
	case len(s.Children) == 0:
		return "This node syncs with its parent, " + or(s.Parent.Name, s.Parent.URL) + "."
	}
	return "This node syncs with its parent, " + or(s.Parent.Name, s.Parent.URL) + "; " + below + "."
}

func bannerOf(s control.Status) banner {
	if p := s.Parent; p != nil && !p.Reachable && p.LastError != "" {
		return banner{classBad, "Out of touch with the parent. Work goes on here, and nothing is lost.", s.Attention}
	}
	if len(s.Attention) > 0 {
		return banner{classWarn, "Somebody should have a look.", s.Attention}
	}
	switch p := s.Parent; {
	case p == nil:
		return banner{classOK, "All is well.", nil}
	case p.LastSeen == 0:
		return banner{classWarn, "The parent has not been met yet.", []string{"Work can begin; what is saved here is sent as soon as the parent answers."}}
	case p.Push.Backlog > 0 || p.Pull.Backlog > 0:
		return banner{classOK, "All is well. Some changes are still on their way.", nil}
	}
	return banner{classOK, "All is well. Everything is in step with the parent.", nil}
}

func tiles(s control.Status) []tile {
	out := []tile{{"#records", number(s.Counts.Total), "records here", ""}}
	if s.Parent != nil {
		out = append(out, tile{"/runs", number(s.Parent.Push.Backlog), "changes to send", ""})
	} else {
		out = append(out, tile{"#children", number(len(s.Children)), "children", ""})
	}
	aside, open := tile{"/parked", number(s.Counts.Parked), "set aside", ""}, tile{"/conflicts", number(s.Counts.Open), "open conflicts", ""}
	if s.Counts.Parked > 0 {
		aside.Class = classWarn
	}
	if s.Counts.Open > 0 {
		open.Class = classWarn
	}
	return append(out, aside, open)
}

func (p page) childOf(c control.Child) child {
	out := child{Name: c.Name, Seen: p.when(c.LastSeen), Lag: "nothing"}
	if c.Lag > 0 {
		out.Lag = count(c.Lag, "change", "changes")
	}
	switch away := time.Duration(p.now-c.LastSeen) * time.Millisecond; {
	case c.Cloned != 0:
		out.State, out.Class = "runs twice: refused", classBad
	case c.LastSeen == 0:
		out.State, out.Class = "never came", classWarn
	case away < 5*time.Minute:
		out.State, out.Class = "in touch", classOK
	case away < 24*time.Hour:
		out.State = "away"
	default:
		out.State, out.Class = "away for long", classWarn
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
			d.Types = append(d.Types, typeRow{r.name, number(r.n)})
		} else {
			rest += r.n
		}
	}
	if more := len(rows) - showTypes; more > 0 {
		d.MoreTypes = "and " + count(rest, "record", "records") + " of " + count(more, "other type", "other types")
	}
	d.Total, d.Counted = number(s.Counts.Total), d.when(s.CountedAt)
	if n := s.Counts.Deleted; n > 0 {
		d.Deleted = count(n, "deleted record is", "deleted records are") + " not counted."
	}
}

func about(s control.Status) []term {
	n := s.Node
	out := []term{
		{"Address", n.URL},
		{"Program", "Tributary " + or(n.Version, "of unknown version") + ", running for " + control.Span(time.Duration(n.Uptime)*time.Millisecond)},
		{"Database", n.Database + ", schema " + number(n.Schema)},
		{"Changes so far", number(s.Counts.Changes)},
		{"Replica", string(n.Replica)},
		{"Epoch of its log", n.Epoch},
	}
	if n.Fingerprint != "" {
		out = append(out, term{"Public key", n.Fingerprint})
	}
	return out
}
