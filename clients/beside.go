package clients

import (
	"context"
	"net/http"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// What the exchanges that are made anyway carry beside what they are for: how far changes have come up, and how nodes stand.
const (
	reachedHeader = "Tributary-Reached"
	reportHeader  = "Tributary-Report"
)

// carries reports whether an exchange carries more than it is for: those that each pass makes.
func carries(path string) bool {
	return strings.HasPrefix(path, "/sync/changes")
}

// ask says what an exchange carries beside what it is for: up to where the peer told how far changes have come, and what is reported to it.
// The function that it returns is called with the answer, nil where there was none.
func (n *Node) ask(ctx context.Context, path string, h http.Header) (reported func(http.Header), err error) {
	reported = func(http.Header) {}
	if !carries(path) && path != "/sync/node" { // who the peer is, is also asked for the sake of a report alone
		return reported, nil
	}
	if n.self.Mark != nil && carries(path) {
		mark, err := n.self.Mark(ctx)
		if err != nil {
			return reported, err
		}
		if mark != "" {
			h.Set(reachedHeader, mark)
		}
	}
	if n.self.Report == nil {
		return reported, nil
	}
	text, done, err := n.self.Report(ctx)
	if err != nil || text == "" {
		return reported, err
	}
	h.Set(reportHeader, text)
	return func(answer http.Header) { done(answer.Get(reportHeader+"ed") != "") }, nil
}

// apart notes how far the clocks are apart.
func (n *Node) apart(peers int64) {
	if n.self.Clock == nil || peers <= 0 {
		return
	}
	d := n.self.Clock().UnixMilli() - peers
	n.skew.Store(&d)
}

// Skew returns how far this node's clock is ahead of the peer's in milliseconds, as it was when the peer last said who it is, or answered with a
// date; nil where it is not known.
func (n *Node) Skew() *int64 { return n.skew.Load() }

// hear gives on what an answer carries beside what was asked for. What is no such text is left alone: the exchange is worth more than that.
func (n *Node) hear(ctx context.Context, path string, h http.Header) error {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		n.apart(at.UnixMilli() + 500)
	}
	told := h.Get(reachedHeader)
	if told == "" || n.self.Told == nil || !carries(path) {
		return nil
	}
	text, err := n.pool.FromHeader(told)
	if err == nil {
		err = n.self.Told(ctx, text)
	}
	if syncerr.KindOf(err) == syncerr.Invalid {
		return nil
	}
	return err
}
