package node

import (
	"context"
	"sync"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
)

// reporter knows what the parent was told of this node and of those below it. It is in memory: a new process tells everything once.
type reporter struct {
	mu   sync.Mutex
	busy bool // an exchange that carries a report is under way
	telling
}

// telling is how far a life of the parent was told.
type telling struct {
	epoch string
	all   bool   // everything was told once, and from then on what changes is
	from  string // up to where, before that
	start uint64 // the revision at which telling everything began
	acked uint64
	self  *feed.Stand // as it was told last
	at    int64       // when, in milliseconds since 1970 UTC
}

// The bounds of what is told at once.
const (
	reportNodes  = 60
	reportHeader = 6 << 10 // bytes
)

// report returns what the parent is to be told in an exchange, "" for nothing, and what is to be called when it is known whether it was taken.
func (l *link) report(ctx context.Context) (header string, done func(bool), err error) {
	p := &l.reports
	p.mu.Lock()
	defer p.mu.Unlock()
	l.mu.Lock()
	epoch := l.saved.Epoch
	l.mu.Unlock()
	if p.busy || epoch == "" {
		return "", nil, nil
	}
	if p.epoch != epoch {
		p.telling = telling{epoch: epoch}
	}
	now := l.node.deps.Clock().UnixMilli()
	stand, err := l.node.control.Stand(ctx, l.client.Skew())
	if err != nil {
		return "", nil, err
	}
	for limit := reportNodes; ; limit /= 2 {
		m, next, err := p.telling.next(ctx, l.node, limit)
		if err != nil {
			return "", nil, err
		}
		tells := p.self == nil || stand.Differs(*p.self, now-p.at)
		if tells {
			m.Nodes = append([]feed.Report{{Stand: &stand}}, m.Nodes...)
		}
		if len(m.Nodes) == 0 && !m.Whole {
			return "", nil, nil
		}
		text, err := m.Text()
		if err != nil {
			return "", nil, err
		}
		if header, err = l.node.deps.Pool.Header(text); err != nil {
			return "", nil, err
		}
		if len(header) > reportHeader && limit > 1 {
			continue
		}
		p.busy = true
		return header, func(taken bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.busy = false
			if !taken || p.epoch != epoch {
				return
			}
			p.telling = next
			if tells {
				p.self, p.at = &stand, now
			}
		}, nil
	}
}

// next returns what is told next of the nodes below, and how far the parent was told when it has taken it.
func (p telling) next(ctx context.Context, n *Node, limit int) (feed.Reports, telling, error) {
	next := p
	now := n.deps.Clock().UnixMilli()
	var m feed.Reports
	if !p.all {
		rows, revision, err := n.store.BelowFrom(ctx, p.from, limit)
		if err != nil {
			return m, next, err
		}
		if p.from == "" {
			next.start = revision
		}
		m.Whole, m.From = true, p.from
		if len(rows) == limit {
			m.To = rows[len(rows)-1].ID
			next.from = m.To
		} else {
			next.all, next.acked = true, next.start
		}
		for _, b := range rows {
			m.Nodes = append(m.Nodes, reportOf(b, now, true))
		}
		return m, next, nil
	}
	rows, err := n.store.BelowSince(ctx, p.acked, limit)
	for _, b := range rows {
		m.Nodes = append(m.Nodes, reportOf(b, now, b.Revision > p.acked))
		next.acked = b.Touched
	}
	return m, next, err
}

// reportOf returns what is told of a node below.
func reportOf(b store.Below, now int64, whole bool) feed.Report {
	out := feed.Report{ID: b.ID, Parent: b.Parent, Contact: max(0, now-b.Contact), Gone: b.Gone}
	if b.Gone {
		out.Contact = 0
		return out
	}
	if whole {
		s := b.Stand
		s.Age = max(0, now-b.Reported)
		if b.Started > 0 {
			s.Uptime = max(0, now-b.Started)
		}
		out.Stand = &s
	}
	return out
}
