package clients

import (
	"net/http"
	"sync"
	"time"
)

// Polite returns a transport with a pause between two requests, counted from the begin of each, so that a server that somebody else pays for is
// not pressed. Requests wait for their turn; one whose context ends does not. clock is the time by which the pause is counted; a pause of 0 is none.
func Polite(rt http.RoundTripper, pause time.Duration, clock func() time.Time) http.RoundTripper {
	if pause <= 0 {
		return rt
	}
	return &polite{rt: rt, pause: pause, clock: clock}
}

type polite struct {
	rt    http.RoundTripper
	pause time.Duration
	clock func() time.Time

	mu   sync.Mutex
	next time.Time // when the next request may begin
}

// RoundTrip waits and carries the request (http.RoundTripper).
func (p *polite) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	now := p.clock()
	wait := min(p.next.Sub(now), time.Hour) // the clock may have been set back
	p.next = now.Add(max(wait, 0) + p.pause)
	p.mu.Unlock()
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-t.C:
		}
	}
	return p.rt.RoundTrip(r)
}
