package feed

import (
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// maxUnit bounds the name of a unit in bytes.
const maxUnit = 200

// checkEvent returns an Invalid error for an event that no correct node can have written. Both codecs ask it, on both sides,
// so that a node never sends what its peer refuses.
func checkEvent(e *Event) error {
	bad := func(format string, args ...any) error {
		return syncerr.New(syncerr.Invalid, "check event", format, args...)
	}
	if err := e.Key.Validate(); err != nil {
		return err
	}
	switch e.Action {
	case Created, Updated:
	case Deleted:
		if !e.Stamp.Deleted {
			return bad("%s: the action is DELETED and the stamp is not deleted", e.Key)
		}
	default:
		return bad("%s: %.40q is no action", e.Key, string(e.Action))
	}
	if err := e.Stamp.Validate(); err != nil {
		return syncerr.Wrap(syncerr.Invalid, e.Key.String(), err)
	}
	switch {
	case e.Stamp.Origin.Tick == 0 || e.Stamp.Origin.Tick > version.MaxTick:
		return bad("%s: its origin %s has no tick", e.Key, e.Stamp.Origin)
	case e.Seq > version.MaxTick:
		return bad("%s: its sequence %d is out of range", e.Key, e.Seq)
	case (e.Unit == "") != (e.UnitSize == 0) || e.UnitSize < 0 || !validUnit(e.Unit):
		return bad("%s: its unit %.40q has a size of %d", e.Key, e.Unit, e.UnitSize)
	case e.Size < 0:
		return bad("%s: its size %d is negative", e.Key, e.Size)
	case len(e.Content) > 0 && (e.Stamp.Deleted || e.Content[0] != '{'):
		return bad("%s: a content must be a JSON object, and a deleted copy has none", e.Key)
	}
	return nil
}

// validUnit reports whether s can name a unit: printable ASCII without blanks, which every form carries unchanged.
func validUnit(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= maxUnit
}

// ascending keeps the rule of order: sequences rise, or all are 0 (answers to a fetch have no place in a log).
type ascending struct {
	any  bool
	last uint64
}

func (a *ascending) next(seq uint64) error {
	if a.any && (seq <= a.last && (seq != 0 || a.last != 0) || a.last == 0 && seq != 0) {
		return syncerr.New(syncerr.Invalid, "check order", "sequence %d stands behind sequence %d", seq, a.last)
	}
	a.any, a.last = true, seq
	return nil
}
