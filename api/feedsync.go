package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/feedsync"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The size of a page of a FeedSync feed: items, and bytes of documents after which it ends.
const (
	feedSyncItems = 100
	feedSyncBytes = 4 << 20
	feedSyncRows  = 25
)

// registerFeedSync mounts the FeedSync feeds: what is current of a type, an item each.
func (s *Server) registerFeedSync(mux *http.ServeMux) {
	mux.Handle("GET /ws/feedsync/{type}", s.handle(s.feedSync, forRecords))
}

// feedSync serves the items of a type as they stood when the first page was read; what changes meanwhile stands in the next reading. Deleted items stay
// in the feed. A copy that waits for a person's decision has its rival in sx:conflicts.
func (s *Server) feedSync(w http.ResponseWriter, r *http.Request) error {
	resourceType := r.PathValue("type")
	if t, ok := fhir.CanonicalType(resourceType); ok {
		resourceType = t
	} else if !fhir.IsKind(resourceType) {
		return syncerr.New(syncerr.NotFound, "read feed", "%.60q is no resource type", resourceType)
	}
	st := s.engine.Store()
	head, err := st.Head(r.Context())
	if err != nil {
		return err
	}
	last, err := st.Committed(r.Context())
	if err != nil {
		return err
	}
	since, until, err := feedSyncSpan(r.URL.Query(), last)
	if err != nil {
		return err
	}
	self := s.deps.URL + "/ws/feedsync/" + strings.ToLower(resourceType)
	out := feedsync.Feed{ID: "urn:uuid:" + head.Epoch + "+feedsync/" + resourceType, Title: resourceType + " at " + st.Identity().Name, Updated: s.clock().UnixMilli(), Since: since, Until: until}
	if s.deps.Keep > 0 {
		out.Expires = s.clock().Add(s.deps.Keep).UnixMilli()
	}
	at := store.Place{Head: head.Seq, Type: resourceType}
	if text := r.URL.Query().Get("at"); text != "" {
		if at, err = store.ParsePlace(text); err != nil || at.Type != resourceType || at.Head > head.Seq {
			return syncerr.New(syncerr.Invalid, "read feed", "at=%.100q is no place in this feed", text).WithHint("Begin again at %s", self)
		}
	}
	done, bytes := false, 0
	for !done && len(out.Items) < feedSyncItems && bytes < feedSyncBytes {
		var items []feedsync.Item
		next := at
		err := st.Read(r.Context(), func(rd *store.Reader) error {
			items = items[:0]
			servers, err := rd.ServerNames()
			if err != nil {
				return err
			}
			var rows []store.Row
			next, done, err = rd.Delta(store.Delta{Type: resourceType}, at, feedSyncRows, func(row store.Row) error {
				rows = append(rows, row)
				return nil
			})
			if err != nil {
				return err
			}
			for _, row := range rows {
				x, err := s.item(rd, servers, row)
				if err != nil {
					return err
				}
				if x.Updated < since && !slices.ContainsFunc(x.Conflicts, func(c feedsync.Item) bool { return c.Updated >= since }) {
					continue
				}
				items = append(items, x)
				bytes += len(x.Content)
			}
			return nil
		})
		if err != nil {
			return err
		}
		at, out.Items = next, append(out.Items, items...)
	}
	if !done {
		q := url.Values{"at": {at.String()}, "until": {feedSyncTime(until)}}
		if since > 0 {
			q.Set("since", feedSyncTime(since))
		}
		out.Next = self + "?" + q.Encode()
	}
	if out.Next != "" || since > 0 || r.URL.Query().Has("at") {
		out.Complete = self
	}
	send(w, r, http.StatusOK, feedsync.ContentType, feedsync.Write(out))
	return nil
}

// feedSyncTime writes a time of sx:sharing in a query.
func feedSyncTime(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// feedSyncSpan returns which changes a feed has, in milliseconds since 1970 UTC: those since a time, 0 for all, until the last
// one when its first page was read. Times of changes never decrease, whatever a clock does.
func feedSyncSpan(q url.Values, last int64) (since, until int64, err error) {
	until = last
	for _, part := range []struct {
		name string
		into *int64
	}{{"since", &since}, {"until", &until}} {
		text := q.Get(part.name)
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return 0, 0, syncerr.New(syncerr.Invalid, "read feed", "%s=%.60q is no time", part.name, text).WithHint("Write it as the until of the feed that was read before: 2026-01-02T15:04:05Z")
		}
		*part.into = max(t.Unix()*1000, 0)
	}
	return since, min(until, last), nil
}

// item writes a current copy, with its rival where a person has still to decide between them.
func (s *Server) item(r *store.Reader, servers []string, row store.Row) (feedsync.Item, error) {
	x, err := s.seenIn(r, servers, row.Key, row.Stamp, itemOf(s.deps.URL, row.Key, row.Stamp, row.Content, row.Committed))
	if err != nil {
		return x, err
	}
	open, ok, err := r.OpenConflict(row.Key)
	if err != nil || !ok {
		return x, err
	}
	rival, err := s.seenIn(r, servers, row.Key, open.Incoming, itemOf(s.deps.URL, row.Key, open.Incoming, open.IncomingContent, open.Opened))
	x.Conflicts = []feedsync.Item{rival}
	return x, err
}

// seenIn adds to the history of a copy the updates of feeds that stand in it under a name that was given here.
func (s *Server) seenIn(r *store.Reader, servers []string, k fhir.Key, st version.Stamp, x feedsync.Item) (feedsync.Item, error) {
	for _, name := range servers {
		c, ok, err := r.ServerCopy(name, k)
		if err != nil {
			return x, err
		}
		if u, is := feedsync.ParseTag(c.Tag); ok && is && st.Vector.ContainsAll(c.Vector) {
			x.History = append(x.History, u)
			x.Updates = max(x.Updates, u.Sequence)
		}
	}
	return x, nil
}

// itemOf writes a copy as an item: the ticks of its vector are the sequences of its history.
func itemOf(base string, k fhir.Key, st version.Stamp, content []byte, at int64) feedsync.Item {
	x := feedsync.Item{ID: k.String(), AtomID: base + k.Path(), Title: k.Type, Updated: at, Deleted: st.Deleted}
	if !st.Deleted {
		x.Content = content
	}
	for i, u := range version.History(st.Version, st.Vector) {
		line := feedsync.Update{Sequence: u.Sequence, By: string(u.By)}
		if i == 0 {
			line.When = st.Authored / 1000 * 1000
		}
		x.History = append(x.History, line)
		x.Updates = max(x.Updates, u.Sequence)
	}
	return x
}
