package feed

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Stand is how a node says that it stands. Nothing in it is of a patient. Spans are milliseconds: they need no clock that both sides share.
type Stand struct {
	Name      string            `json:"n"`
	Version   string            `json:"v,omitempty"`
	Replicas  []version.Replica `json:"r"` // that it is, and those that it was
	Age       int64             `json:"a,omitempty"`
	Uptime    int64             `json:"t,omitempty"`
	Up        uint64            `json:"u,omitempty"` // changes that wait to go up
	Down      uint64            `json:"d,omitempty"` // changes that wait to come down
	Lag       int64             `json:"l,omitempty"` // how long the oldest of those that wait to go up has waited
	Parked    int64             `json:"k,omitempty"`
	Held      int64             `json:"h,omitempty"`
	Conflicts int64             `json:"x,omitempty"`
	Skew      *int64            `json:"s,omitempty"` // how far its clock is ahead of its parent's
	Disk      *uint64           `json:"f,omitempty"` // bytes free
	Every     int64             `json:"e,omitempty"` // how long it may be until it comes again while all is well
	Step      int64             `json:"o,omitempty"` // how much later it has to hear a node below it to tell it again
}

// Report tells of one node what changed since it was told of last.
type Report struct {
	ID      string `json:"i,omitempty"` // by which the node above it calls it; empty for the one who reports
	Parent  string `json:"p,omitempty"` // the ID of the node above it; empty for the one who reports
	Contact int64  `json:"c,omitempty"` // how long ago the node above it last heard it
	Gone    bool   `json:"g,omitempty"` // it is not below the one who reports any more
	Stand   *Stand `json:"s,omitempty"` // nil: as it was
}

// Reports is what a node tells its parent of itself and of the nodes below it. Where Whole, it is all that there is with IDs behind From, up to To
// where that is not empty: what else was told of them is not so any more.
type Reports struct {
	Whole bool     `json:"w,omitempty"`
	From  string   `json:"f,omitempty"`
	To    string   `json:"t,omitempty"`
	Nodes []Report `json:"n"`
}

// The bounds of a report.
const (
	maxReports  = 500
	maxReplicas = 20
	maxSpan     = int64(1) << 50 // thousands of years
)

// Text returns the reports as JSON.
func (r Reports) Text() ([]byte, error) { return json.Marshal(r) }

// ParseReports reads what Text writes; it returns an Invalid error for anything else, and for what no node can mean.
func ParseReports(text []byte) (Reports, error) {
	var out Reports
	bad := func(what string) (Reports, error) {
		return Reports{}, syncerr.New(syncerr.Invalid, "read reports", "%s", what)
	}
	if err := json.Unmarshal(text, &out); err != nil || len(out.Nodes) > maxReports {
		return bad("they are not of the form that nodes write")
	}
	id := func(s string) bool { return s == "" || version.Replica(s).Valid() }
	if !id(out.From) || !id(out.To) {
		return bad("they are of a range that is none")
	}
	for i := range out.Nodes {
		n := &out.Nodes[i]
		if !id(n.ID) || !id(n.Parent) || n.ID != "" && n.ID == n.Parent || n.Contact < 0 || n.Contact > maxSpan {
			return bad("one names no node")
		}
		if n.Stand != nil && !n.Stand.possible() {
			return bad("one says what cannot be")
		}
	}
	return out, nil
}

func (s Stand) possible() bool {
	if s.Name == "" || len(s.Name) > 100 || len(s.Version) > 100 || !utf8.ValidString(s.Name+s.Version) || len(s.Replicas) == 0 || len(s.Replicas) > maxReplicas {
		return false
	}
	for _, c := range s.Name + s.Version {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	if slices.ContainsFunc(s.Replicas, func(r version.Replica) bool { return !r.Valid() }) {
		return false
	}
	for _, n := range []int64{s.Age, s.Uptime, s.Lag, s.Parked, s.Held, s.Conflicts, s.Every, s.Step} {
		if n < 0 || n > maxSpan {
			return false
		}
	}
	return (s.Skew == nil || max(*s.Skew, -*s.Skew) <= maxSpan) && s.Up <= version.MaxTick && s.Down <= version.MaxTick
}

// Differs reports whether a node that stands so now has to say it, where it said was that long ago, in milliseconds: counts of what needs a person at
// once, what comes and goes with each exchange not more often than every five minutes.
func (s Stand) Differs(was Stand, ago int64) bool {
	if s.Name != was.Name || s.Version != was.Version || !slices.Equal(s.Replicas, was.Replicas) || s.Parked != was.Parked || s.Held != was.Held || s.Conflicts != was.Conflicts ||
		s.Every != was.Every || s.Step != was.Step {
		return true
	}
	const often = 5 * 60_000
	if ago < often {
		return false
	}
	far := func(a, b int64) bool { return max(a, b)-min(a, b) > max(a, b)/4 }
	skew := func(p *int64) int64 {
		if p == nil {
			return 0
		}
		return *p
	}
	disk := func(p *uint64) int64 {
		if p == nil {
			return 0
		}
		return int64(min(*p, 1<<62))
	}
	return far(int64(s.Up), int64(was.Up)) || far(int64(s.Down), int64(was.Down)) || far(s.Lag, was.Lag) || max(skew(s.Skew)-skew(was.Skew), skew(was.Skew)-skew(s.Skew)) > 5_000 ||
		max(disk(s.Disk), disk(was.Disk))-min(disk(s.Disk), disk(was.Disk)) > disk(was.Disk)/20
}
