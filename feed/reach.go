package feed

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Above is a node above another one, in one life of it, and which resource types come to it from the node below it on the way (nil: all).
type Above struct {
	Name    string          `json:"n"`
	Replica version.Replica `json:"r"`
	Epoch   string          `json:"e"`
	Types   []string        `json:"t"`
}

// Lives reports whether two of them are the same life of a node.
func (a Above) Lives(o Above) bool { return a.Replica == o.Replica && a.Epoch == o.Epoch }

// Way names whose changes to which resource type are spoken of, and where.
type Way struct {
	Level   int // 0: the node that says it; 1: its parent
	Replica version.Replica
	Type    string
}

// Compare orders by level, replica and type.
func (w Way) Compare(o Way) int {
	return cmp.Or(w.Level-o.Level, cmp.Compare(w.Replica, o.Replica), strings.Compare(w.Type, o.Type))
}

// Progress says up to which tick a node has changes, but for those ticks that it lacks, and for what was done before to the same resources: of
// several changes that wait only the last one travels.
type Progress struct {
	Way
	Tick  uint64
	Aside []uint64
}

// Reached is what a node tells a child of how far up the changes have come that were made at the child and below it. It is a delta from Since
// to Until, which are the teller's; who stands elsewhere than at Since drops it.
type Reached struct {
	Epoch    string
	Since    ReachMark
	Until    ReachMark
	Above    []Above // those above the teller, the next one first; only where HasAbove
	HasAbove bool
	Progress []Progress
}

// ReachMark is how far a child was told: everything of earlier revisions, and of this one all, or what does not come behind Last.
type ReachMark struct {
	Revision uint64
	Part     bool
	Last     Way
}

// Passed reports whether what has a revision was told.
func (m ReachMark) Passed(revision uint64, w Way) bool {
	return revision < m.Revision || revision == m.Revision && (!m.Part || w.Compare(m.Last) <= 0)
}

// String returns "revision" or "revision,level,replica,type".
func (m ReachMark) String() string {
	out := strconv.FormatUint(m.Revision, 10)
	if m.Part {
		out += "," + strconv.Itoa(m.Last.Level) + "," + string(m.Last.Replica) + "," + m.Last.Type
	}
	return out
}

// ParseReachMark reads what String writes; it returns an Invalid error for anything else.
func ParseReachMark(s string) (ReachMark, error) {
	words := strings.Split(s, ",")
	n, err := strconv.ParseUint(words[0], 10, 63)
	if err != nil || len(words) != 1 && len(words) != 4 {
		return ReachMark{}, syncerr.New(syncerr.Invalid, "read a mark", "%.100q is none", s)
	}
	m := ReachMark{Revision: n}
	if len(words) == 4 {
		level, err := strconv.Atoi(words[1])
		if err != nil || len(words[2]) > 36 || len(words[3]) > 64 {
			return ReachMark{}, syncerr.New(syncerr.Invalid, "read a mark", "%.100q is none", s)
		}
		m.Part, m.Last = true, Way{Level: level, Replica: version.Replica(words[2]), Type: words[3]}
	}
	return m, nil
}

// The bounds of what is told at once.
const (
	MaxProgress = 100 // entries
	MaxAside    = 300 // ticks named as lacking in an entry
	MaxAbove    = 15  // nodes one above the other
)

// reachedText is Reached on the wire: ticks by type, in entries by level and replica.
type reachedText struct {
	Epoch string         `json:"e"`
	Since string         `json:"s"`
	Until string         `json:"u"`
	Above *[]Above       `json:"a,omitempty"`
	Rows  []progressText `json:"p,omitempty"`
}

type progressText struct {
	Level   int                 `json:"l,omitempty"`
	Replica version.Replica     `json:"r"`
	Ticks   map[string][]uint64 `json:"k"` // the tick, then those that are lacking
}

// Text returns r as JSON.
func (r Reached) Text() ([]byte, error) {
	out := reachedText{Epoch: r.Epoch, Since: r.Since.String(), Until: r.Until.String()}
	if r.HasAbove {
		above := r.Above
		if above == nil {
			above = []Above{}
		}
		out.Above = &above
	}
	sorted := slices.Clone(r.Progress)
	slices.SortFunc(sorted, func(a, b Progress) int { return a.Compare(b.Way) })
	for _, p := range sorted {
		if n := len(out.Rows); n == 0 || out.Rows[n-1].Level != p.Level || out.Rows[n-1].Replica != p.Replica {
			out.Rows = append(out.Rows, progressText{Level: p.Level, Replica: p.Replica, Ticks: map[string][]uint64{}})
		}
		out.Rows[len(out.Rows)-1].Ticks[p.Type] = append([]uint64{p.Tick}, p.Aside...)
	}
	return json.Marshal(out)
}

// ParseReached reads what Text writes; it returns an Invalid error for anything else, also for what no node can mean.
func ParseReached(text []byte) (Reached, error) {
	const op = "read what has reached the nodes above"
	var in reachedText
	if err := json.Unmarshal(text, &in); err != nil {
		return Reached{}, syncerr.New(syncerr.Invalid, op, "it is no JSON of its form")
	}
	out := Reached{Epoch: in.Epoch}
	var err error
	if out.Since, err = ParseReachMark(in.Since); err != nil {
		return Reached{}, err
	}
	if out.Until, err = ParseReachMark(in.Until); err != nil {
		return Reached{}, err
	}
	if in.Above != nil {
		out.Above, out.HasAbove = *in.Above, true
		for _, a := range out.Above {
			bad := func(t string) bool { return !fhir.IsSelector(t) }
			if !a.Replica.Valid() || !version.Replica(a.Epoch).Valid() || len(a.Name) > 100 || len(a.Types) > 500 || slices.ContainsFunc(a.Types, bad) {
				return Reached{}, syncerr.New(syncerr.Invalid, op, "a node above it is none")
			}
		}
	}
	for _, row := range in.Rows {
		for t, ticks := range row.Ticks {
			p := Progress{Way: Way{Level: row.Level, Replica: row.Replica, Type: t}}
			if !p.Replica.Valid() || p.Level < 0 || p.Level > MaxAbove || !fhir.IsSelector(t) || len(ticks) == 0 || len(ticks) > MaxAside+1 || slices.Max(ticks) > version.MaxTick {
				return Reached{}, syncerr.New(syncerr.Invalid, op, "an entry cannot be")
			}
			p.Tick, p.Aside = ticks[0], ticks[1:]
			out.Progress = append(out.Progress, p)
		}
	}
	if len(out.Above) > MaxAbove {
		return Reached{}, syncerr.New(syncerr.Invalid, op, "more than %d nodes stand one above the other", MaxAbove)
	}
	slices.SortFunc(out.Progress, func(a, b Progress) int { return a.Compare(b.Way) })
	return out, nil
}
