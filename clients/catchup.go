package clients

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// CatchUp reads a part of the list of the current copies that the peer has and a knowledge does not contain (DESIGN.md 4.3). Lines go to
// take in the order of the list; a Mark says from where it can be resumed. The end has the position at which the reader goes on in the
// feed, or says that there is more. An interrupted stream is a Transient error, and all whole lines were given.
func (n *Node) CatchUp(ctx context.Context, req feed.CatchUp, take func(feed.Line) error) (feed.End, error) {
	body, err := n.encode(resourcemanager.Shipment{Known: req.Knowledge})
	if err != nil {
		return feed.End{}, err
	}
	q := url.Values{"inline": {strconv.Itoa(req.Inline)}, "limit": {strconv.Itoa(req.Limit)}}
	if req.Resume != "" {
		q.Set("resume", req.Resume)
	}
	if req.Types != nil {
		q.Set("types", strings.Join(req.Types, ","))
	}
	if len(req.Bare) > 0 {
		q.Set("bare", strings.Join(req.Bare, ","))
	}
	ctx, stop := n.deadline(ctx, upload(len(body)))
	defer stop()
	return n.lines(ctx, http.MethodPost, "/sync/catchup?"+q.Encode(), body, take)
}

// Knowledge asks the peer what it knows of types, nil for all. That it tells of another type, or of one twice, is an Invalid error: what
// is removed by a full comparison hangs on it.
func (n *Node) Knowledge(ctx context.Context, types []string) ([]feed.Known, error) {
	path := "/sync/knowledge"
	if types != nil {
		path += "?" + url.Values{"types": {strings.Join(types, ",")}}.Encode()
	}
	ctx, stop := n.deadline(ctx, 0)
	defer stop()
	var out []feed.Known
	_, err := n.lines(ctx, http.MethodGet, path, nil, func(l feed.Line) error {
		switch {
		case l.Known == nil:
			return syncerr.New(syncerr.Invalid, "ask what the parent knows", "it told something else")
		case !fhir.Selected(types, l.Known.Type):
			return syncerr.New(syncerr.Invalid, "ask what the parent knows", "it told of %s, which was not asked for", l.Known.Type)
		case slices.ContainsFunc(out, func(k feed.Known) bool { return k.Type == l.Known.Type }):
			return syncerr.New(syncerr.Invalid, "ask what the parent knows", "it told of %s twice", l.Known.Type)
		}
		out = append(out, *l.Known)
		return nil
	})
	return out, err
}

// lines carries out an exchange that answers with lines.
func (n *Node) lines(ctx context.Context, method, path string, body []byte, take func(feed.Line) error) (feed.End, error) {
	var header http.Header
	if body != nil {
		header = http.Header{"Content-Encoding": {"zstd"}}
	}
	res, err := n.do(ctx, method, path, body, header)
	if err != nil {
		return feed.End{}, err
	}
	defer res.Body.Close()
	r, err := n.decoded(res)
	if err != nil {
		return feed.End{}, err
	}
	defer r.Close()
	d := feed.NewDecoder(&touching{r: r, touch: touchOf(ctx)}, n.maxRow)
	for {
		line, err := d.Next()
		switch {
		case err != nil:
			return feed.End{}, n.cut("read the answer of "+n.base, err)
		case line.End != nil:
			n.limited(line.End.Limit)
			return *line.End, nil
		case line.Head != nil:
			n.told(line.Head.At)
			continue
		}
		if err := take(line); err != nil {
			return feed.End{}, err
		}
	}
}
