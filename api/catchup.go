package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The limits of a catch-up. What a caller knows is at most what the largest network makes of it: 10,000 replicas that each wrote 40 types and of each
// of which something was forgotten, at 46 bytes a version: 35 MiB.
const (
	maxTold   = 40 << 20 // bytes of a caller's knowledge before compression
	maxType   = 16 << 20 // bytes of what it says of one type: 1 MiB for its versions, else single exceptions
	maxTypes  = 500      // types that it may tell of
	markEvery = 100      // copies between two places from which it can be resumed
	markBytes = 256 << 10
)

// syncKnowledge tells what this node knows of the types asked, all of them where none are named (DESIGN.md 4.3).
func (s *Server) syncKnowledge(w http.ResponseWriter, r *http.Request) error {
	types, err := typesOf(r.URL.Query(), "types")
	if err != nil {
		return err
	}
	known, err := s.engine.Store().Knowledge(r.Context(), types)
	if err != nil {
		return err
	}
	out, done, err := s.compressed(w, r)
	if err != nil {
		return err
	}
	enc := feed.NewEncoder(out)
	for _, k := range known {
		if err := enc.Known(k); err != nil {
			return err
		}
	}
	if err := enc.End(feed.End{Limit: s.engine.Limit()}); err != nil {
		return err
	}
	return done()
}

// typesOf reads the resource types that a query names in a parameter; nil where it names none.
func typesOf(q url.Values, name string) ([]string, error) {
	v, ok := q[name]
	if !ok {
		return nil, nil
	}
	var out []string
	for _, t := range strings.Split(strings.Join(v, ","), ",") {
		if !fhir.IsSelector(t) {
			return nil, syncerr.New(syncerr.Invalid, "read types", "%s: %.60q is not a resource type", name, t)
		}
		out = append(out, t)
	}
	return out, nil
}

// syncCatchUp gives the current copies that the caller's knowledge does not contain, from the place on where an earlier answer ended.
// The last page ends at the position of the log at which the list was frozen: there the caller reads on.
func (s *Server) syncCatchUp(w http.ResponseWriter, r *http.Request) error {
	req, err := readRequest(r.URL.Query())
	if err != nil {
		return err
	}
	known, err := s.readKnown(w, r)
	if err != nil {
		return err
	}
	c := callerOf(r.Context())
	if err := s.engine.CheckKnown(r.Context(), engine.Link{Peer: c.Name, Child: c.ID, ClientName: "node"}, known); err != nil {
		return err
	}
	head, err := s.engine.Store().Head(r.Context())
	if err != nil {
		return err
	}
	at := store.Place{Head: head.Seq}
	if resume := r.URL.Query().Get("resume"); resume != "" {
		if at, err = store.ParsePlace(resume); err != nil {
			return s.impossible(r, "catch up", err)
		}
		if at.Head > head.Seq {
			return s.impossible(r, "catch up", syncerr.New(syncerr.EpochChanged, "catch up", "the list was of change %d, this log ends at %d", at.Head, head.Seq))
		}
	}
	out, done, err := s.compressed(w, r)
	if err != nil {
		return err
	}
	l := list{
		page: page{s: s, req: req, enc: feed.NewEncoder(out), flush: out.flush, named: map[version.Replica]bool{}, head: r.Header.Get(sawHeader)},
		at:   at, known: feed.KnowledgeOf(known),
	}
	end, err := l.write(r.Context(), head.Epoch)
	if err != nil {
		if l.begun {
			_ = l.enc.Fail(err)
			return done()
		}
		return err
	}
	if err := l.enc.End(end); err != nil {
		return err
	}
	return done()
}

// readKnown reads a knowledge from a body.
func (s *Server) readKnown(w http.ResponseWriter, r *http.Request) ([]feed.Known, error) {
	const op = "read knowledge"
	body, err := s.bodyOf(w, r, maxTold)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	d := feed.NewDecoder(body, maxType)
	var out []feed.Known
	for {
		line, err := d.Next()
		switch {
		case err != nil:
			return nil, s.impossible(r, op, err)
		case line.End != nil:
			return out, nil
		case line.Known == nil:
			return nil, s.impossible(r, op, syncerr.New(syncerr.Invalid, op, "something else than knowledge stands in it"))
		}
		if out, err = adding(out, *line.Known); err != nil {
			return nil, s.impossible(r, op, err)
		}
	}
}

// adding adds what is said of a type that was not spoken of before.
func adding(out []feed.Known, k feed.Known) ([]feed.Known, error) {
	if len(out) == maxTypes {
		return nil, syncerr.New(syncerr.TooLarge, "read knowledge", "it tells of more than %d resource types", maxTypes)
	}
	if slices.ContainsFunc(out, func(o feed.Known) bool { return o.Type == k.Type }) {
		return nil, syncerr.New(syncerr.Invalid, "read knowledge", "%s stands in it twice", k.Type)
	}
	return append(out, k), nil
}

// impossible returns the error of something that was sent and that no node can mean, or that is too much, and audits it. One that was only cut
// short is not audited: links break.
func (s *Server) impossible(r *http.Request, op string, err error) error {
	var large *http.MaxBytesError
	switch k := syncerr.KindOf(err); {
	case errors.As(err, &large):
		err = syncerr.New(syncerr.TooLarge, op, "more than %d MiB were sent", large.Limit>>20).
			WithHint("A network of 10,000 nodes stays below that: the sender is not one, or its database is damaged; `tributary doctor` there tells")
	case k.Retry():
		return syncerr.Wrap(syncerr.Invalid, op, err)
	case k != syncerr.EpochChanged && k != syncerr.TooLarge:
		err = syncerr.Wrap(syncerr.Invalid, op, err)
	}
	c := callerOf(r.Context())
	s.noteRefusal(r, c, statusOf(err, c), err)
	return err
}

// list writes one page of a catch-up.
type list struct {
	page
	at    store.Place
	known feed.Knowledge
}

func (l *list) write(ctx context.Context, epoch string) (feed.End, error) {
	end := feed.End{Limit: l.s.engine.Limit()}
	unmarked, bytes := 0, 0
	for left := l.req.Limit; left > 0 && l.bytes < maxPage; {
		var rows []store.Row
		var after []store.Place
		var done bool
		next := l.at
		err := l.s.engine.Store().Read(ctx, func(r *store.Reader) error {
			rows, after = rows[:0], after[:0]
			var err error
			if l.told, err = l.s.told(r); err != nil {
				return err
			}
			next, done, err = r.Missing(l.known, l.req.Types, l.at, min(left, rowsAtOnce), func(row store.Row, p store.Place) error {
				rows, after = append(rows, row), append(after, p)
				return nil
			})
			return err
		})
		if err != nil {
			return end, err
		}
		if err := l.tell(); err != nil {
			return end, err
		}
		if err := l.names(ctx, rows); err != nil {
			return end, err
		}
		for i, row := range rows {
			l.begun = true
			had := l.bytes
			if err := l.row(row); err != nil {
				return end, err
			}
			unmarked, bytes = unmarked+1, bytes+l.bytes-had
			if unmarked >= markEvery || bytes >= markBytes {
				if err := l.enc.Mark(after[i].String()); err != nil {
					return end, err
				}
				unmarked, bytes = 0, 0
			}
		}
		left -= rowsAtOnce
		if l.at = next; done {
			end.Cursor = feed.Cursor{Epoch: epoch, Seq: l.at.Head}
			return end, l.flush()
		}
		if err := l.flush(); err != nil {
			return end, err
		}
	}
	end.More = true
	return end, l.enc.Mark(l.at.String())
}
