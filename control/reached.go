package control

import (
	"context"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// above is what the database says of the nodes above this one.
type above struct {
	nodes []feed.Above
	has   map[feed.Way]feed.Progress
}

// goes reports whether changes of a type come as far as a level.
func (a above) goes(level int, resourceType string) bool {
	for _, n := range a.nodes[:level] {
		if !fhir.Selected(n.Types, resourceType) {
			return false
		}
	}
	return true
}

// lacks returns how many of the changes up to a tick have not come to a node, how many of those that have passed it lacks all the same, and the
// first that waits, 0 where none does.
func (a above) lacks(w feed.Way, tick uint64) (waiting, aside, first uint64) {
	p := a.has[w]
	aside = uint64(len(p.Aside)) // a tick above those that were given here is of a life that was lost, and may stand for one that was not
	if p.Tick >= tick {
		return 0, aside, 0
	}
	return tick - p.Tick, aside, p.Tick + 1
}

func (c *Control) above(r *store.Reader, replica version.Replica) (above, error) {
	known, err := r.Reach()
	if err != nil {
		return above{}, err
	}
	out := above{nodes: known.Above, has: map[feed.Way]feed.Progress{}}
	list, err := r.ReachedBy(replica)
	for _, p := range list {
		out.has[p.Way] = p
	}
	return out, err
}

// Reach returns what of the changes made at this node has come to the nodes above it, the parent first; nothing where there is none, or where it
// was never met.
func (c *Control) Reach(ctx context.Context) ([]Reach, error) {
	var out []Reach
	if c.cfg.Parent.URL == "" {
		return nil, nil
	}
	err := c.eng.Store().Read(ctx, func(r *store.Reader) error {
		out = nil
		known, err := c.above(r, "")
		if err != nil {
			return err
		}
		owns, err := r.Owns()
		if err != nil {
			return err
		}
		for i, n := range known.nodes {
			v := Reach{Level: i + 1, Name: n.Name, Replica: n.Replica, Epoch: n.Epoch, Types: []TypeReach{}}
			if err := v.count(r, known, owns); err != nil {
				return err
			}
			v.conclude(len(known.has) > 0 || len(owns) == 0)
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

// count adds up what has come to the node, by type.
func (v *Reach) count(r *store.Reader, known above, owns []store.Own) error {
	at := map[string]int{}
	for _, o := range owns {
		i, ok := at[o.Type]
		if !ok {
			i = len(v.Types)
			at[o.Type] = i
			v.Types = append(v.Types, TypeReach{Type: o.Type, Goes: known.goes(v.Level, o.Type)})
		}
		t := &v.Types[i]
		waiting, aside, first := known.lacks(feed.Way{Level: v.Level, Replica: o.Replica, Type: o.Type}, o.Tick)
		if waiting > 0 {
			made, err := r.MadeAt(o.Replica, o.Type, first)
			if err != nil {
				return err
			}
			switch {
			case t.Waiting == 0:
				t.Until = made
			default:
				t.Until = min(t.Until, made) // 0 where one of them is not known
			}
		}
		t.Recorded, t.Waiting, t.Aside = t.Recorded+o.Tick, t.Waiting+waiting, t.Aside+aside
	}
	return nil
}

// conclude sums the types up and says it. told is whether anything was said at all.
func (v *Reach) conclude(told bool) {
	known, recorded := true, uint64(0)
	for _, t := range v.Types {
		if !t.Goes {
			v.Stays = append(v.Stays, t.Type)
			continue
		}
		recorded, v.Waiting, v.Aside = recorded+t.Recorded, v.Waiting+t.Waiting, v.Aside+t.Aside
		if t.Waiting == 0 {
			continue
		}
		if known = known && t.Until > 0; v.Until == 0 || t.Until < v.Until {
			v.Until = t.Until
		}
	}
	if !known {
		v.Until = 0
	}
	switch {
	case !told:
		v.Code, v.Until = ReachUnknown, 0
	case recorded == 0:
		v.Code = ReachNone
	case v.Waiting == 0:
		v.Code = ReachAll
	case v.Until > 0 && v.Waiting < recorded:
		v.Code = ReachUntil
	default:
		v.Code, v.Until = ReachPart, 0
	}
	v.Said = v.sentences()
}

func (v *Reach) sentences() []Sentence {
	say := func(code string, count uint64, text string) Sentence {
		s := Sentence{Code: "reach_" + code, Count: int64(count), Words: map[string]string{"node": v.Name}, Text: text}
		return s
	}
	but, words := "", ""
	if v.Aside > 0 || len(v.Stays) > 0 {
		but, words = "_but", ", but for what is named below,"
	}
	var out []Sentence
	switch v.Code {
	case ReachUnknown:
		return []Sentence{say("unknown", 0, v.Name+" has not said yet what has reached it.")}
	case ReachNone:
		out = append(out, say("none", 0, "Nothing was recorded here yet that goes to "+v.Name+"."))
	case ReachAll:
		out = append(out, say("all"+but, 0, "Everything recorded here"+words+" has reached "+v.Name+"."))
	case ReachUntil:
		s := say("until"+but, 0, "Everything recorded here until "+UTC(v.Until)+words+" has reached "+v.Name+".")
		s.Times = map[string]int64{"at": v.Until}
		out = append(out, s)
	}
	if v.Waiting > 0 {
		out = append(out, say("waiting", v.Waiting, plural(v.Waiting, "change made here has", "changes made here have")+" not reached "+v.Name+" yet."))
	}
	if v.Aside > 0 {
		out = append(out, say("aside", v.Aside, plural(v.Aside, "change made here is", "changes made here are")+" held up on the way to "+v.Name+
			map[bool]string{true: ": it was refused, or waits for a decision.", false: ": they were refused, or wait for a decision."}[v.Aside == 1]))
	}
	if len(v.Stays) > 0 {
		s := say("stays", 0, "Records of these types are not sent as far as "+v.Name+": "+strings.Join(v.Stays, ", ")+".")
		s.Words["types"] = strings.Join(v.Stays, ", ")
		out = append(out, s)
	}
	return out
}

// reached says whether the present version of a resource has come to the nodes above. parent is the epoch of the parent, as it is known.
func (c *Control) reached(ctx context.Context, k fhir.Key, current store.Current, parent string) ([]ReachedAt, error) {
	var out []ReachedAt
	if c.cfg.Parent.URL == "" {
		return nil, nil
	}
	v := current.Stamp.Version
	err := c.eng.Store().Read(ctx, func(r *store.Reader) error {
		out = nil
		known, err := c.above(r, v.Replica)
		if err != nil {
			return err
		}
		own, err := r.Owns()
		if err != nil {
			return err
		}
		mine := slices.ContainsFunc(own, func(o store.Own) bool { return o.Replica == v.Replica })
		here := uint64(0) // up to there this node knows which ticks are of other resources
		for _, o := range own {
			if o.Replica == v.Replica && o.Type == k.Type {
				here = o.Tick
			}
		}
		for i, n := range known.nodes {
			at := ReachedAt{Level: i + 1, Name: n.Name, Replica: n.Replica, Code: ReachedUnknown}
			p, told := known.has[feed.Way{Level: at.Level, Replica: v.Replica, Type: k.Type}]
			switch {
			case told && p.Tick >= v.Tick && lacking(p, v, here, mine):
				at.Code = ReachedAside
			case told && p.Tick >= v.Tick:
				at.Code = ReachedYes
			case i == 0 && parent != "" && current.Delivered == parent:
				at.Code = ReachedFrom
			case !known.goes(at.Level, k.Type):
				at.Code = ReachedStays
			case told || mine:
				at.Code = ReachedNotYet
			}
			out = append(out, at)
		}
		return nil
	})
	return out, err
}

// lacking reports whether a node may lack a version that is below a tick up to which it has changes: it lacks it, or a later one that may be of the
// same resource and stand for it.
func lacking(p feed.Progress, v version.Version, here uint64, mine bool) bool {
	return slices.ContainsFunc(p.Aside, func(tick uint64) bool {
		return tick == v.Tick || tick > v.Tick && (!mine || tick > here)
	})
}

// sentence says it in English.
func (a ReachedAt) sentence(resourceType string) Sentence {
	s := Sentence{Code: "reached_" + a.Code, Words: map[string]string{"node": a.Name, "type": resourceType}}
	switch a.Code {
	case ReachedYes:
		s.Text = a.Name + " has this version, or one that takes it into account."
	case ReachedNotYet:
		s.Text = a.Name + " does not have this version yet."
	case ReachedAside:
		s.Text = a.Name + " may lack this version: it was refused there, or waits there for a decision."
	case ReachedStays:
		s.Text = "Records of type " + resourceType + " are not sent as far as " + a.Name + "."
	case ReachedFrom:
		s.Text = a.Name + " has this version."
	default:
		s.Text = "Whether " + a.Name + " has this version is not known here."
	}
	return s
}

// lagUp returns how long the oldest change that has not come to the parent has waited, in milliseconds; 0 where none waits, or it is not known.
func lagUp(now int64, reach []Reach) int64 {
	if len(reach) == 0 || reach[0].Until == 0 {
		return 0
	}
	return max(0, now-reach[0].Until)
}
