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
	"github.com/tributary-sync/tributary/fhir"
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
	r, err := n.decoded(res)
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
	for _, p := range parts {
		if p.Count < 0 || p.Listed && p.Count != int64(len(p.Copies)) || !p.Listed && len(p.Copies) > 0 {
			return misfit("it counted other copies than it listed")
		}
		for i, c := range p.Copies {
			if c.Version.IsZero() || i > 0 && len(q.IDs) == 0 && p.Copies[i-1].ID >= c.ID || c.ID < p.From || p.To != "" && c.ID >= p.To {
				return misfit("it listed copies out of order or outside of their range")
			}
		}
	}
	switch {
	case q.Type == "":
		return typesFit(q, parts)
	case len(q.IDs) > 0:
		return idsFit(q, parts)
	}
	return rangesFit(q, parts)
}

func misfit(what string) error {
	return syncerr.New(syncerr.Invalid, "", "%s", what).WithHint("This program and the peer may be of different versions")
}

func typesFit(q feed.DigestQuery, parts []feed.Part) error {
	for i, p := range parts {
		if i > 0 && parts[i-1].Type >= p.Type || p.Listed || !fhir.Selected(q.Types, p.Type) {
			return misfit("it answered other types than were asked for")
		}
	}
	return nil
}

func idsFit(q feed.DigestQuery, parts []feed.Part) error {
	if len(parts) != 1 || !parts[0].Listed {
		return misfit("it did not list the ids that were asked for")
	}
	seen := make(map[string]bool, len(parts[0].Copies))
	for _, c := range parts[0].Copies {
		if seen[c.ID] || !slices.Contains(q.IDs, c.ID) {
			return misfit("it listed other ids than were asked for")
		}
		seen[c.ID] = true
	}
	return nil
}

func rangesFit(q feed.DigestQuery, parts []feed.Part) error {
	for _, r := range q.Ranges {
		n, at := 0, r.From
		for ended := false; !ended; n++ {
			if n == len(parts) || n == max(q.Parts, 1) || parts[n].From != at || parts[n].To != "" && parts[n].To <= at {
				return misfit("its parts do not fill the ranges that were asked for")
			}
			at = parts[n].To
			if ended = at == r.To; !ended && at == "" {
				return misfit("its parts go on behind the ranges that were asked for")
			}
		}
		parts = parts[n:]
	}
	if len(parts) > 0 {
		return misfit("it answered more than was asked for")
	}
	return nil
}
