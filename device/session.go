package device

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// start begins a session: 201, or 204 where nothing waits (Base Sync API, start endpoint).
func (s *Server) start(w http.ResponseWriter, r *http.Request) error {
	uuid, err := deviceID(r)
	if err != nil {
		return err
	}
	session, err := s.begin(r.Context(), s.deps.Caller(r.Context()), uuid)
	if err != nil {
		return err
	}
	if session.ID == "" {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	type meta struct {
		Type  string            `json:"type"`
		Links map[string]string `json:"links,omitempty"`
	}
	type queue struct {
		Data map[string]any `json:"data"`
		Meta meta           `json:"meta"`
	}
	type answered struct {
		Data any  `json:"data"`
		Meta meta `json:"meta"`
	}
	self := strings.TrimRight(s.deps.URL, "/") + "/v2/sync/" + session.ID + "/queues/main"
	return answer(w, http.StatusCreated, answered{
		Data: map[string]any{"id": session.ID, "queues": []queue{{
			Data: map[string]any{"name": "main", "pages": (session.Total + pageItems - 1) / pageItems, "total_count": session.Total},
			Meta: meta{Type: "sync_queue", Links: map[string]string{"self": self}},
		}}},
		Meta: meta{Type: "sync_session"},
	})
}

// begin fills the queue until something waits, and opens a session; none where nothing does. The queue is filled on while it is read, so
// that the first answer does not wait for a walk over a whole nation.
func (s *Server) begin(ctx context.Context, reg Registration, uuid string) (store.DeviceSession, error) {
	var out store.DeviceSession
	var head uint64 // of the log when this call began
	for looked := step; ; looked += step {
		done := false
		err := s.deps.Store.Write(ctx, func(tx *store.Tx) error {
			out, done = store.DeviceSession{}, false
			q, _, err := open(tx, reg, uuid, true)
			if err != nil {
				return err
			}
			if looked == step {
				if err := q.renew(); err != nil {
					return err
				}
				head = q.head
			}
			more, err := q.fill(head)
			if err != nil {
				return err
			}
			waiting, err := tx.Queue(q.d.Num, 0, 1)
			if err != nil {
				return err
			}
			q.d.LastSeen = tx.Now()
			if more && (len(waiting) == 0 || looked < ahead) {
				return q.save()
			}
			done = true
			if len(waiting) > 0 {
				if out, err = q.session(head); err != nil {
					return err
				}
			}
			return q.save()
		})
		if err != nil || done {
			return out, err
		}
	}
}

// renew begins a walk where the log does not tell all that may have changed: rows that the device did not see were collected, or what
// it may see depends on other resources.
func (q *line) renew() error {
	floor, err := q.tx.Floor()
	if err != nil {
		return err
	}
	if q.d.Resume == "" && (q.d.Seq < floor || q.scope.Related()) {
		q.walkAgain()
	}
	return nil
}

// session opens a session and ends those that are too old or too many.
func (q *line) session(head uint64) (store.DeviceSession, error) {
	old, err := q.tx.DeviceSessions(q.d.Num)
	if err != nil {
		return store.DeviceSession{}, err
	}
	for i, o := range old {
		if i >= maxSessions-1 || q.tx.Now()-o.Started > sessionAge.Milliseconds() {
			if err := q.tx.EndDeviceSession(o.ID); err != nil {
				return o, err
			}
		}
	}
	out := store.DeviceSession{ID: q.tx.NewUUID(), Device: q.d.Num, Head: head, Started: q.tx.Now()}
	if out.Total, err = q.tx.Waiting(q.d.Num); err != nil {
		return out, err
	}
	q.tx.Audit(audit.Record{
		Operation: audit.Device, Outcome: audit.Done, Action: "START", Peer: q.name, Run: out.ID, Details: items(out.Total) + " for it",
	})
	return out, q.tx.SaveDeviceSession(out)
}

// queue answers the next page of a session: 200, or 204 where the queue is drained, never an empty 200, because some clients take that
// for the end (Base Sync API, queued data endpoint).
func (s *Server) queue(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return unknown(w, r) // HEAD, which would take a page out of the queue and show nobody what is on it
	}
	uuid, err := deviceID(r)
	if err != nil {
		return err
	}
	reg, id := s.deps.Caller(r.Context()), r.PathValue("session")
	out := page{Items: []item{}}
	out.Meta.Type = "collection"
	for len(out.Items) == 0 {
		c, err := s.claim(r.Context(), reg, uuid, id)
		if err != nil {
			return err
		}
		if len(c.items) == 0 {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if err := s.show(r.Context(), c, &out); err != nil {
			return err
		}
		out.Meta.Left = max(0, c.session.Total-c.session.Given)
	}
	out.Meta.Count = len(out.Items)
	return answer(w, http.StatusOK, out)
}

// claimed is what nobody else will be given in a session.
type claimed struct {
	d       store.Device
	session store.DeviceSession
	scope   search.Scope
	items   []store.DeviceItem
}

// claim takes the next items of a session out of its queue; none where it is drained. Calls that run side by side get different ones.
func (s *Server) claim(ctx context.Context, reg Registration, uuid, id string) (claimed, error) {
	for {
		var out claimed
		more := false
		err := s.deps.Store.Write(ctx, func(tx *store.Tx) error {
			out, more = claimed{}, false
			q, found, err := open(tx, reg, uuid, false)
			if err != nil {
				return err
			}
			session, err := q.find(id, found)
			if err != nil {
				return err
			}
			was := session
			out.items, err = tx.Queue(q.d.Num, session.Place, pageItems)
			if err != nil {
				return err
			}
			if len(out.items) == 0 {
				if more, err = q.fill(session.Head); err != nil {
					return err
				}
				session.Total += q.added
				more = more || q.added > 0
			} else {
				out.items = fitting(out.items)
				session.Place = out.items[len(out.items)-1].Place
				session.Given += int64(len(out.items))
				session.Total = max(session.Total, session.Given)
			}
			out.d, out.session, out.scope = q.d, session, q.scope
			if session != was {
				if err := tx.SaveDeviceSession(session); err != nil {
					return err
				}
			}
			return q.save()
		})
		if err != nil || len(out.items) > 0 || !more {
			return out, err
		}
	}
}

// fitting returns as many of the items as a page has room for.
func fitting(all []store.DeviceItem) []store.DeviceItem {
	size := 0
	for i, item := range all {
		if size += item.Size; size > pageBytes && i > 0 {
			return all[:i]
		}
	}
	return all
}

// find returns a session of the device. It returns a NotFound error where there is none, and a Denied one, which is audited, where it is one
// of another device.
func (q *line) find(id string, known bool) (store.DeviceSession, error) {
	s, ok, err := q.tx.DeviceSession(id)
	switch {
	case err != nil:
		return s, err
	case !ok:
		return s, syncerr.New(syncerr.NotFound, "read queue", "there is no such session").WithHint("Start a new one; what was not acknowledged comes again")
	case !known || s.Device != q.d.Num:
		return s, syncerr.New(syncerr.Denied, "read queue", "the session belongs to another device").
			WithHint("Start a session of your own, and send the same %s with every call", headerID)
	}
	return s, nil
}

// page is what a device reads.
type page struct {
	Items []item `json:"items"`
	Meta  struct {
		Type   string   `json:"type"`
		Count  int      `json:"count"`
		Left   int64    `json:"count_left"`
		Failed []failed `json:"failed_objects,omitempty"`
	} `json:"meta"`
}

type item struct {
	Data rawJSON `json:"data"`
	Meta struct {
		Type string `json:"type"`
		Sync struct {
			Event    string `json:"event_type"`
			Key      string `json:"ack_key"`
			Revision uint64 `json:"revision"`
		} `json:"sync"`
	} `json:"meta"`
}

type failed struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// show adds the claimed items to a page, each as it stands now.
func (s *Server) show(ctx context.Context, c claimed, out *page) error {
	return s.deps.Store.Read(ctx, func(r *store.Reader) error {
		keys := make([]fhir.Key, len(c.items))
		for i, item := range c.items {
			keys[i] = item.Key
		}
		copies, broken, err := r.Fetch(keys)
		if err != nil {
			return err
		}
		head, err := r.Head()
		if err != nil {
			return err
		}
		var alive []fhir.Key
		for _, k := range keys {
			if c, ok := copies[k]; ok && !c.Stamp.Deleted {
				alive = append(alive, k)
			}
		}
		visible, err := within(r, c.scope, alive)
		if err != nil {
			return err
		}
		for _, known := range c.items {
			k := known.Key
			current, there := copies[k]
			var one item
			one.Meta.Type = k.Type
			a := ackKey{key: k, seq: head, deleted: true}
			if there {
				a.seq = current.Seq
			}
			switch {
			case broken[k] != nil:
				out.Meta.Failed = append(out.Meta.Failed, failed{k.Type, k.ID})
				continue
			case visible[k]:
				a.deleted = false
				if one.Data, err = shown(current); err != nil {
					out.Meta.Failed = append(out.Meta.Failed, failed{k.Type, k.ID})
					continue
				}
				if one.Meta.Sync.Event = "updated"; known.Acked == 0 {
					one.Meta.Sync.Event = "created"
				}
			default:
				one.Data, one.Meta.Sync.Event = rawJSON(`{"id":"`+k.ID+`"}`), "deleted"
			}
			one.Meta.Sync.Key, one.Meta.Sync.Revision = a.sign(c.d), a.seq
			out.Items = append(out.Items, one)
		}
		return nil
	})
}

// rawJSON is a JSON value as it stands.
type rawJSON []byte

// MarshalJSON returns the bytes.
func (b rawJSON) MarshalJSON() ([]byte, error) { return b, nil }

// shown returns a resource as the FHIR API of this node shows it: as it was accepted, with meta.versionId and meta.lastUpdated.
func shown(c store.Copy) (rawJSON, error) {
	r, err := fhir.ParseAs(c.Key.Type, c.Body, 0)
	if err != nil {
		return nil, err
	}
	return r.WithMeta(c.Stamp.Version.String(), time.UnixMilli(c.Committed).UTC().Format("2006-01-02T15:04:05.000Z")), nil
}
