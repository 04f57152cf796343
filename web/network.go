package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/web/messages"
)

// nodesPerPage is how many rows the table of nodes has: with them the page stays below 20 kB on the wire.
const nodesPerPage = 50

type networkPage struct {
	page
	Lead           string
	Alone          bool // no node is below this one
	Troubles       []troubleLink
	At             *link // the node whose part of the tree is shown, nil for all
	Drawing        *drawing
	Rows           []nodeRow
	Found          string
	Asked          string
	Kinds          []option
	Trouble        string
	Earlier, Later string // addresses, empty where there are none
}

// troubleLink counts the nodes that have a trouble, and leads to them.
type troubleLink struct {
	Path, Text, Class string
	Chosen            bool
}

// nodeRow is one node in the table.
type nodeRow struct {
	ID, Name, Path       string
	Class, State         string
	Troubles             []badge
	Contact              when
	Up, Down, Lag        string
	Parked, Conflicts    string
	Clock, Version, Disk string
	Below                int
}

type badge struct{ Text, Class string }

// placed is a node with where it stands in the tree.
type placed struct {
	control.NetworkNode
	path []string
}

func (w *Web) network(out http.ResponseWriter, r *http.Request) error {
	n, err := w.ctl.Network(r.Context())
	if err != nil {
		return err
	}
	w.show(out, http.StatusOK, "network", networkOf(w.page(r, "nav.network", "/network"), n, r.URL.Query()))
	return nil
}

// networkOf makes the page of a tree. Of the query it reads at (the id of a node: only what is below it), q (a part of a name), trouble
// (a code) and page.
func networkOf(base page, n control.Network, q url.Values) networkPage {
	p := networkPage{page: base, Asked: strings.TrimSpace(q.Get("q")), Trouble: q.Get("trouble")}
	p.Refresh = refresh
	p.Lead, p.Alone = p.t("network.lead", "n", n.Nodes), n.Nodes == 0
	if p.Alone {
		p.Lead = p.t("network.no_nodes")
	}
	for _, code := range troubleCodes() {
		p.Kinds = append(p.Kinds, option{code, p.t("trouble_kind." + code), code == p.Trouble})
		if count := n.Troubles[code]; count > 0 {
			p.Troubles = append(p.Troubles, troubleLink{
				Path: "/network?trouble=" + code, Text: p.t("trouble_count."+code, "n", count), Class: troubleClass(code), Chosen: code == p.Trouble,
			})
		}
	}
	top := n.Self
	if at := q.Get("at"); at != "" {
		if found, ok := find(n.Self, at); ok {
			top, p.At = found, &link{"/network", found.Name}
		}
	}
	all := flat(top, nil)[1:] // without the top itself
	if p.At != nil {
		all = flat(top, nil)
	}
	p.Drawing = p.draw(top)
	rows := slices.DeleteFunc(all, func(k placed) bool {
		return !strings.Contains(strings.ToLower(k.Name), strings.ToLower(p.Asked)) ||
			(p.Trouble != "" && !slices.ContainsFunc(k.Troubles, func(t control.Trouble) bool { return t.Code == p.Trouble }))
	})
	slices.SortStableFunc(rows, func(a, b placed) int {
		return cmp.Or(worst(b.NetworkNode)-worst(a.NetworkNode), cmp.Compare(a.LastContact, b.LastContact), strings.Compare(a.Name, b.Name))
	})
	p.Found = p.t("network.found", "n", len(rows))
	number, err := strconv.Atoi(q.Get("page"))
	if err != nil || number < 1 || (number-1)*nodesPerPage >= len(rows) {
		number = 1
	}
	at := func(number int) string {
		next := url.Values{}
		for _, name := range []string{"at", "q", "trouble"} {
			if v := q.Get(name); v != "" {
				next.Set(name, v)
			}
		}
		next.Set("page", strconv.Itoa(number))
		return "/network?" + next.Encode()
	}
	if number > 1 {
		p.Earlier = at(number - 1)
	}
	if number*nodesPerPage < len(rows) {
		p.Later = at(number + 1)
	}
	for _, k := range rows[(number-1)*nodesPerPage : min(number*nodesPerPage, len(rows))] {
		p.Rows = append(p.Rows, p.nodeRow(k))
	}
	return p
}

func (p page) nodeRow(k placed) nodeRow {
	n := k.NetworkNode
	out := nodeRow{
		ID: n.ID, Name: n.Name, Path: strings.Join(k.path, " / "), Class: classOK, State: p.t("network.well"), Contact: p.when(n.LastContact),
		Up: p.say.Number(int64(n.BacklogUp)), Down: p.say.Number(int64(n.BacklogDown)), //nolint:gosec // counts
		Parked: p.say.Number(n.Parked), Conflicts: p.say.Number(n.Conflicts),
		Clock: p.t("network.unknown"), Disk: p.t("network.unknown"), Version: or(n.Version, p.t("network.unknown")), Lag: p.t("network.none"), Below: sizes(n.Children),
	}
	if lag := max(n.Lag, n.LagDown); lag > 0 {
		out.Lag = p.say.Span(time.Duration(lag) * time.Millisecond)
	}
	if n.Reported == 0 {
		out.Up, out.Parked, out.Conflicts = p.t("network.unknown"), p.t("network.unknown"), p.t("network.unknown")
	}
	if n.ClockSkew != nil {
		out.Clock = p.clockWords(*n.ClockSkew)
	}
	if n.DiskFree != nil {
		out.Disk = p.say.Size(messages.Bytes(*n.DiskFree)) //nolint:gosec // no disk has 8 exabytes
	}
	for _, t := range n.Troubles {
		out.Troubles = append(out.Troubles, badge{p.troubleWords(t), troubleClass(t.Code)})
	}
	if len(n.Troubles) > 0 {
		out.Class, out.State = troubleClass(n.Troubles[0].Code), p.troubleWords(n.Troubles[0])
	}
	return out
}

// clockWords says how far a clock is from that of the node above it.
func (p page) clockWords(ahead int64) string {
	switch d := time.Duration(ahead) * time.Millisecond; {
	case d >= time.Second:
		return p.t("clock.ahead", "span", d)
	case d <= -time.Second:
		return p.t("clock.behind", "span", -d)
	}
	return p.t("clock.agrees")
}

// troubleWords says what is wrong with a node, in a few words.
func (p page) troubleWords(t control.Trouble) string {
	span := time.Duration(t.N) * time.Millisecond
	switch t.Code {
	case control.TroubleSilent:
		if t.N == 0 {
			return p.t("trouble.never")
		}
		return p.t("trouble.silent", "span", time.Duration(p.Now-t.N)*time.Millisecond)
	case control.TroubleDisk:
		return p.t("trouble.disk", "size", messages.Bytes(t.N))
	case control.TroubleClock:
		return p.t("trouble.clock", "how", p.clockWords(t.N))
	case control.TroubleBehind:
		return p.t("trouble.behind", "span", span)
	}
	return p.t("trouble."+t.Code, "n", t.N)
}

// troubleCodes are the troubles that a node can have, the worst first.
func troubleCodes() []string {
	return []string{
		control.TroubleCloned, control.TroubleSilent, control.TroubleDisk, control.TroubleConflicts, control.TroubleParked, control.TroubleClock,
		control.TroubleBehind, control.TroubleUnknown,
	}
}

func troubleClass(code string) string {
	switch code {
	case control.TroubleCloned, control.TroubleSilent, control.TroubleDisk:
		return classBad
	}
	return classWarn
}

// worst is how bad the worst trouble of a node is, 0 where it has none.
func worst(n control.NetworkNode) int {
	if len(n.Troubles) == 0 {
		return 0
	}
	codes := troubleCodes()
	return len(codes) - slices.Index(codes, n.Troubles[0].Code)
}

// flat lists a node and all below it, each with the names of the nodes above.
func flat(n control.NetworkNode, path []string) []placed {
	out := []placed{{n, path}}
	below := append(path[:len(path):len(path)], n.Name)
	for _, k := range n.Children {
		out = append(out, flat(k, below)...)
	}
	return out
}

// find returns the node of an id below another.
func find(n control.NetworkNode, id string) (control.NetworkNode, bool) {
	if n.ID == id {
		return n, true
	}
	for _, k := range n.Children {
		if found, ok := find(k, id); ok {
			return found, true
		}
	}
	return n, false
}
