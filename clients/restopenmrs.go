package clients

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
)

// editOpenMRS writes to OpenMRS, which knows no If-Match: the copy that is there is compared with the base right before. A delete voids or
// retires, never purges; what was voided is brought back before it is updated.
func (c *REST) editOpenMRS(ctx context.Context, e resourcemanager.Edit) (resourcemanager.Answer, error) {
	now, err := c.read(ctx, resourcemanager.Want{Key: e.Key})
	if err != nil {
		return resourcemanager.Answer{}, err
	}
	if e.Create && now.State != resourcemanager.Absent || !e.Create && e.Base != "" && now.Tag != e.Base {
		return resourcemanager.Answer{Fate: resourcemanager.Stale, Copy: now, Reason: "it was changed there meanwhile", Status: http.StatusOK}, nil
	}
	w := emrWrite{c: c, ctx: ctx, key: e.Key, content: e.Content, now: now}
	refused, err := w.write()
	if err != nil {
		return resourcemanager.Answer{}, err
	}
	if refused != nil {
		return *refused, nil
	}
	// What it answers to a write lacks the time of the change, and is not what it shows of it afterwards.
	now, err = c.read(ctx, resourcemanager.Want{Key: e.Key})
	return resourcemanager.Answer{Fate: resourcemanager.Done, Copy: now, Status: w.status}, err
}

// emrWrite is one write to OpenMRS: one or several requests. Each step returns an answer where the server did not do it.
type emrWrite struct {
	c       *REST
	ctx     context.Context
	key     fhir.Key
	content []byte // nil deletes
	now     resourcemanager.Copy
	status  int // of the last request that was done
}

func (w *emrWrite) write() (*resourcemanager.Answer, error) {
	switch {
	case w.content == nil && w.now.State == resourcemanager.Present:
		return w.send(http.MethodDelete, w.c.path(w.key)+w.why(), nil)
	case w.content == nil:
		w.status = http.StatusNoContent
		return nil, nil // it is not there, as it should be
	case w.now.State == resourcemanager.Absent && fhir.IsREST(w.key.Type):
		return w.send(http.MethodPost, "/ws/rest/v1/"+w.key.Type, creation(w.key, w.content))
	case w.now.State == resourcemanager.Absent:
		return w.createClinical()
	case w.now.State == resourcemanager.Gone:
		if refused, err := w.revive(); refused != nil || err != nil {
			return refused, err
		}
	}
	if fhir.IsREST(w.key.Type) {
		return w.update()
	}
	return w.send(http.MethodPut, w.c.path(w.key), w.content)
}

// why is the reason that OpenMRS notes with what it voids over REST.
func (w *emrWrite) why() string {
	if !fhir.IsREST(w.key.Type) {
		return ""
	}
	return "?" + url.Values{"reason": {"deleted elsewhere, by synchronisation"}}.Encode()
}

// createClinical makes a resource of FHIR under its id. FHIR2 drops the id of a POST and answers 404 to a PUT of what it does not have, but
// for some metadata: so the least that REST takes is created there, and the resource itself is an update of that.
func (w *emrWrite) createClinical() (*resourcemanager.Answer, error) {
	s, ok, why := seedOf(w.key, w.content)
	if why != "" {
		return &resourcemanager.Answer{Fate: resourcemanager.Refused, Reason: why, Status: http.StatusUnprocessableEntity}, nil
	}
	if !ok {
		return w.send(http.MethodPut, w.c.path(w.key), w.content)
	}
	if refused, err := w.send(http.MethodPost, "/ws/rest/v1/"+s.collection, s.body); refused != nil || err != nil {
		return refused, err
	}
	refused, err := w.send(http.MethodPut, w.c.path(w.key), w.content)
	if refused != nil && err == nil {
		// Half of a record must not be taken for a record. Where this fails it stands there, and the next try updates it.
		_, err = w.c.call(w.ctx, http.MethodDelete, "/ws/rest/v1/"+s.collection+"/"+w.key.ID+"?purge=true", nil, nil)
	}
	return refused, err
}

// revive un-voids or un-retires.
func (w *emrWrite) revive() (*resourcemanager.Answer, error) {
	collection := w.key.Type
	if !fhir.IsREST(collection) {
		s, ok, why := seedOf(w.key, w.content)
		if !ok || why != "" {
			return &resourcemanager.Answer{
				Fate: resourcemanager.Refused, Status: http.StatusGone,
				Reason: "it was deleted there, and OpenMRS has no way to bring back a " + w.key.Type,
			}, nil
		}
		collection = s.collection
	}
	if refused, err := w.send(http.MethodPost, "/ws/rest/v1/"+collection+"/"+w.key.ID, []byte(`{"deleted":"false"}`)); refused != nil || err != nil {
		return refused, err
	}
	var err error
	w.now, err = w.c.read(w.ctx, resourcemanager.Want{Key: w.key})
	return nil, err
}

// update changes over REST what differs, and only that: OpenMRS refuses what may not be set, also where it would stay as it is in another
// form. Parts with a uuid of their own are resources below the document.
func (w *emrWrite) update() (*resourcemanager.Answer, error) {
	was, now := members(w.now.Content), members(w.content)
	change := map[string]json.RawMessage{}
	for name, v := range reduced(w.key.Type, now) {
		if !same(v, reducedMember(was, name)) {
			change[name] = v
		}
	}
	delete(change, "uuid")
	if len(change) > 0 {
		if refused, err := w.send(http.MethodPost, w.c.path(w.key), encode(change)); refused != nil || err != nil {
			return refused, err
		}
	}
	for name, sub := range parts(w.key.Type) {
		if _, ok := now[name]; !ok {
			continue
		}
		if refused, err := w.parts(sub, list(was[name]), list(now[name])); refused != nil || err != nil {
			return refused, err
		}
	}
	if w.status == 0 {
		w.status = http.StatusOK // it is so already
	}
	return nil, nil
}

// parts makes the sub-resources of a document those that it should have.
func (w *emrWrite) parts(sub string, was, now []map[string]json.RawMessage) (*resourcemanager.Answer, error) {
	base := w.c.path(w.key) + "/" + sub
	before := map[string]map[string]json.RawMessage{}
	for _, p := range was {
		if !voided(p) {
			before[text(p["uuid"])] = p
		}
	}
	for _, p := range now {
		id := text(p["uuid"])
		if voided(p) {
			continue // it is among those that are to go
		}
		if id != "" && !addressable(id) {
			return &resourcemanager.Answer{Fate: resourcemanager.Refused, Reason: "a uuid in its list " + sub + " is none", Status: http.StatusBadRequest}, nil
		}
		old, there := before[id]
		delete(before, id)
		body := plain(p)
		path := base
		if there {
			oldBody := plain(old)
			for name, v := range body {
				if same(v, oldBody[name]) {
					delete(body, name)
				}
			}
			if len(body) == 0 {
				continue
			}
			path += "/" + url.PathEscape(id)
		}
		if refused, err := w.send(http.MethodPost, path, encode(body)); refused != nil || err != nil {
			return refused, err
		}
	}
	for id := range before {
		if !addressable(id) {
			continue
		}
		if refused, err := w.send(http.MethodDelete, base+"/"+url.PathEscape(id), nil); refused != nil || err != nil {
			return refused, err
		}
	}
	return nil, nil
}

// send makes one request of the write.
func (w *emrWrite) send(method, path string, body []byte) (*resourcemanager.Answer, error) {
	a, err := w.c.call(w.ctx, method, path, body, nil)
	if err != nil {
		return nil, err
	}
	if a.status/100 == 2 {
		w.status = a.status
		return nil, nil
	}
	fate, err := w.c.fate("write "+w.key.String(), a)
	return &fate, err
}
