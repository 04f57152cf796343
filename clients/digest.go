package clients

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
)

const (
	digestWait  = 10 * time.Minute // a peer with many millions of copies on a slow disk reads all of them before it answers
	digestBytes = 32 << 20         // of an answer: feed.MaxRanges times feed.MaxParts digests are less than one megabyte
)

// Digest asks the peer what it has (feed.DigestQuery). Its errors are Transient where the link broke, EpochChanged where the peer
// has another log by now, Unsupported where it does not know the question, and Invalid where it answers something else.
func (n *Node) Digest(ctx context.Context, q feed.DigestQuery) ([]feed.Part, error) {
	op := "compare with " + n.base
	body, err := json.Marshal(q)
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	ctx, stop := n.deadline(ctx, digestWait)
	defer stop()
	res, err := n.do(ctx, http.MethodPost, "/sync/digest", body, nil)
	if err != nil {
		return nil, err
	}
	defer drain(res.Body)
	r, err := decoded(res)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(&touching{r: r, touch: touchOf(ctx)}, digestBytes+1))
	if err != nil {
		return nil, n.cut(op, err)
	}
	if len(text) > digestBytes {
		return nil, syncerr.New(syncerr.Invalid, op, "its answer is larger than %d bytes", digestBytes)
	}
	var parts []feed.Part
	if err := json.Unmarshal(text, &parts); err != nil {
		var cut *json.SyntaxError
		if errors.As(err, &cut) {
			return nil, n.cut(op, err)
		}
		return nil, syncerr.Wrap(syncerr.Invalid, op, err)
	}
	if err := fits(q, parts); err != nil {
		return nil, syncerr.Wrap(syncerr.Invalid, op, err)
	}
	return parts, nil
}

// fits checks that an answer is one to the question: parts that fill each range from its begin to its end, lists in the order of ids.
// A comparison that went by an answer with a hole would find two nodes equal that are not.
func fits(q feed.DigestQuery, parts []feed.Part) error {
	bad := func(what string) error {
		return syncerr.New(syncerr.Invalid, "", "%s", what).WithHint("This program and the peer may be of different versions")
	}
	for _, p := range parts {
		if p.Count < 0 || p.Listed && p.Count != int64(len(p.Copies)) || !p.Listed && len(p.Copies) > 0 {
			return bad("it counted other copies than it listed")
		}
		for i, c := range p.Copies {
			if c.Version.IsZero() || i > 0 && len(q.IDs) == 0 && p.Copies[i-1].ID >= c.ID || c.ID < p.From || p.To != "" && c.ID >= p.To {
				return bad("it listed copies out of order or outside of their range")
			}
		}
	}
	if q.Type == "" {
		for i, p := range parts {
			if i > 0 && parts[i-1].Type >= p.Type || p.Listed || q.Types != nil && !slices.Contains(q.Types, p.Type) {
				return bad("it answered other types than were asked for")
			}
		}
		return nil
	}
	if len(q.IDs) > 0 {
		if len(parts) != 1 || !parts[0].Listed || len(parts[0].Copies) > len(q.IDs) {
			return bad("it did not list the ids that were asked for")
		}
		for _, c := range parts[0].Copies {
			if !slices.Contains(q.IDs, c.ID) {
				return bad("it listed other ids than were asked for")
			}
		}
		return nil
	}
	for _, r := range q.Ranges {
		from, n := r.From, 0
		for ; n < len(parts) && parts[n].From == from && (n == 0 || from != "" && parts[n-1].To == from); n++ {
			if from = parts[n].To; from == r.To {
				n++
				break
			}
		}
		if n == 0 || n > max(q.Parts, 1) || from != r.To {
			return bad("its parts do not fill the ranges that were asked for")
		}
		parts = parts[n:]
	}
	if len(parts) > 0 {
		return bad("it answered more than was asked for")
	}
	return nil
}
