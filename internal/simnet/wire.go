package simnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
)

// wire is the network as one node sees it: its requests reach the handler of another node in this process, or not.
type wire struct{ from *Node }

// What may become of a request, for the worlds that choose it.
const (
	fateLost       = 0
	fateLate       = 3 // it is delivered, and again much later
	fateUnanswered = 4 // it is delivered, and the answer is lost
	fateWell       = 100
)

var errLink = errors.New("the link broke")

// RoundTrip delivers a request, or loses it, or loses or cuts the answer, or delivers it twice, now or later; meanwhile others
// may do things.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	n := w.from.net
	to := n.find(r.URL.Host)
	b, err := body(r)
	if err != nil || to == nil {
		return nil, errLink
	}
	ctx := r.Context()
	faulty := n.opts.Faults && !n.healing
	fate := fateWell
	if faulty {
		fate = w.from.luck.IntN(40)
	}
	if w.from.fate != nil && !n.healing {
		fate = w.from.fate(r)
	}
	if err := w.meanwhile(ctx); err != nil {
		return nil, err
	}
	switch fate {
	case fateLost, 1:
		n.logf("%s -> %s lost", w.from.name, to.name)
		return nil, errLink
	case 2:
		n.logf("%s -> %s twice", w.from.name, to.name)
		if _, err := to.serve(ctx, r, b); err != nil {
			return nil, err
		}
	case fateLate:
		again := r.Clone(context.WithoutCancel(ctx))
		n.late = append(n.late, late{from: w.from, life: w.from.lives, deliver: func() {
			n.logf("%s -> %s again, late", w.from.name, to.name)
			_, _ = to.serve(again.Context(), again, b)
		}})
	}
	res, err := to.serve(ctx, r, b)
	if err != nil {
		return nil, err
	}
	if err := w.meanwhile(ctx); err != nil {
		return nil, err
	}
	w.from.answers++
	switch fate {
	case fateUnanswered, 5:
		n.logf("%s -> %s: the answer is lost", w.from.name, to.name)
		return nil, errLink
	case 6, 7:
		all, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		if len(all) > 0 {
			n.logf("%s -> %s: the answer is cut", w.from.name, to.name)
			res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(all[:w.from.luck.IntN(len(all))]), broken{}))
		}
	}
	return res, nil
}

// late is a request that is still under way.
type late struct {
	from    *Node
	life    int // of the process that sent it
	deliver func()
}

// deliverLate delivers a request again. Of a process that has ended one request may still be under way, not several: that is how a
// second copy of a node would look.
func (n *Net) deliverLate(i int) {
	l := n.late[i]
	n.late = slices.Delete(n.late, i, i+1)
	if l.life != l.from.lives {
		n.late = slices.DeleteFunc(n.late, func(o late) bool { return o.from == l.from && o.life == l.life })
	}
	l.deliver()
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errLink }

// meanwhile lets others do things while an exchange is on its way.
func (w *wire) meanwhile(ctx context.Context) error {
	n := w.from.net
	if n.healing || n.opts.World != nil || n.depth >= len(n.inner) || w.from.luck.IntN(4) != 0 {
		return nil
	}
	outer := n.rand
	n.rand = n.inner[n.depth]
	n.depth++
	defer func() { n.depth--; n.rand = outer }()
	return n.step(context.WithoutCancel(ctx))
}

// serve gives a request to the node's handler. A node that crashed answers nothing.
func (x *Node) serve(ctx context.Context, r *http.Request, body []byte) (*http.Response, error) {
	if ok, err := x.ready(context.WithoutCancel(ctx)); err != nil || !ok {
		return nil, errLink
	}
	if err := x.noteBefore(ctx); err != nil {
		return nil, err
	}
	if x.net.opts.Faults && !x.net.healing && x.luck.IntN(25) == 0 {
		x.fuse = 1 + x.luck.IntN(60)
	}
	in := httptest.NewRequestWithContext(ctx, r.Method, r.URL.String(), bytes.NewReader(body))
	in.Header = r.Header.Clone()
	rec := httptest.NewRecorder()
	x.busy++
	x.live.Handler().ServeHTTP(rec, in)
	x.busy--
	if x.busy == 0 {
		x.fuse = 0
	}
	if x.crashed {
		return nil, errLink
	}
	return rec.Result(), nil
}
