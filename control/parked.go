package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Parked returns events that could not be applied or delivered, the longest waiting first. It returns a Usage error for a state or a
// direction that is none.
func (c *Control) Parked(ctx context.Context, q ParkedQuery) ([]Parked, error) {
	const op = "list parked"
	switch q.Direction {
	case "", Pull, Push, "receive":
	default:
		return nil, syncerr.New(syncerr.Usage, op, "%.40q is none of %s, %s and receive", q.Direction, Pull, Push)
	}
	f := store.ParkedFilter{Direction: q.Direction, Key: q.Key, Limit: 1 << 30}
	switch q.State {
	case "", ParkedWaiting:
		f.Waiting = true
	case ParkedGivenUp:
		f.GivenUp = true
	case ParkedAll:
	default:
		return nil, syncerr.New(syncerr.Usage, op, "%.40q is none of %s, %s and %s", q.State, ParkedWaiting, ParkedGivenUp, ParkedAll)
	}
	rows, err := c.eng.Store().Parked(ctx, f)
	if err != nil {
		return nil, err
	}
	out, like := []Parked{}, map[string]int{}
	for _, p := range rows {
		one := Parked{Parked: p, Cause: causeOf(p)}
		like[one.Cause]++
		one.Content = nil
		if (q.UUID == "" || p.UUID == q.UUID) && (q.Cause == "" || one.Cause == q.Cause) && len(out) < bounded(q.Limit) {
			out = append(out, one)
		}
	}
	for i := range out {
		out[i].Like = like[out[i].Cause]
	}
	return out, nil
}

// What differs between two reasons that are the same: keys, versions, numbers, what was quoted.
var particular = regexp.MustCompile(`[A-Za-z]+/[A-Za-z0-9.\-]{1,64}|"[^"]*"|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9]+`)

// One that is missing or five.
var several = regexp.MustCompile(`_(, _)+`)

// causeOf names what a parked event has in common with others: where it was on the way, the kind of the refusal, and the reason without
// what is particular to this event.
func causeOf(p store.Parked) string {
	reason := particular.ReplaceAllString(p.Reason, "_")
	reason = several.ReplaceAllString(reason, "_")
	sum := sha256.Sum256([]byte(strings.Join([]string{p.Direction, p.Peer, p.Kind, reason}, "\n")))
	return hex.EncodeToString(sum[:5])
}

// RetryParked makes parked events due at once, and returns how many. The next pass tries them, each with the rest of its transaction.
// What was given up stays so. It returns a NotFound error where what is named does not wait.
func (c *Control) RetryParked(ctx context.Context, which ParkedChoice) (int, error) {
	return c.reconsider(ctx, "retry parked", ParkedWaiting, which, func(uuids []string) ([]store.Parked, error) {
		return c.eng.RetryParked(ctx, uuids, c.actor)
	})
}

// GiveUpParked ends the tries of parked events, of those that belong to the same transactions too, and returns how many. Nothing of them
// is lost: they stay listed as given up, and TakeUpParked makes that they are tried again (engine.Engine.GiveUp). It returns a Usage error
// without a reason, a NotFound error where what is named does not wait.
func (c *Control) GiveUpParked(ctx context.Context, which ParkedChoice) (int, error) {
	which.Why = strings.TrimSpace(which.Why)
	return c.reconsider(ctx, "give up", ParkedWaiting, which, func(uuids []string) ([]store.Parked, error) {
		return c.eng.GiveUp(ctx, uuids, which.Why, c.actor)
	})
}

// TakeUpParked makes that events are tried again that were given up, and returns how many. It returns a NotFound error where what is
// named was not given up.
func (c *Control) TakeUpParked(ctx context.Context, which ParkedChoice) (int, error) {
	return c.reconsider(ctx, "take up", ParkedGivenUp, which, func(uuids []string) ([]store.Parked, error) {
		return c.eng.TakeUp(ctx, uuids, c.actor)
	})
}

func (c *Control) reconsider(ctx context.Context, op, state string, which ParkedChoice, do func([]string) ([]store.Parked, error)) (int, error) {
	ways := 0
	for _, is := range []bool{which.UUID != "", which.Cause != "", which.All} {
		if is {
			ways++
		}
	}
	if ways != 1 {
		return 0, syncerr.New(syncerr.Usage, op, "say which: one by its UUID, those of one cause, or all").WithHint("`tributary parked list` shows the UUIDs and causes")
	}
	f := store.ParkedFilter{UUID: which.UUID, Waiting: state == ParkedWaiting, GivenUp: state == ParkedGivenUp, Limit: 1 << 30}
	rows, err := c.eng.Store().Parked(ctx, f)
	if err != nil {
		return 0, err
	}
	var uuids []string
	for _, p := range rows {
		if which.Cause == "" || causeOf(p) == which.Cause {
			uuids = append(uuids, p.UUID)
		}
	}
	if len(uuids) == 0 && !which.All {
		named := "as " + which.UUID + which.Cause
		if state == ParkedGivenUp {
			return 0, syncerr.New(syncerr.NotFound, op, "nothing was given up %.60s", named).WithHint("`tributary parked list --given-up` shows what was")
		}
		return 0, syncerr.New(syncerr.NotFound, op, "nothing waits %.60s", named).WithHint("`tributary parked list` shows what does; what was given up is taken up with `tributary parked take-up`")
	}
	done, err := do(uuids)
	c.recount()
	return len(done), err
}
