package api

import (
	"bytes"
	"context"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// fhirCreate makes a new resource under an id of this server (FHIR R4 http.html#create), or finds the one that If-None-Exist
// names.
func (s *Server) fhirCreate(w http.ResponseWriter, r *http.Request) error {
	t, err := pathType(r)
	if err != nil {
		return err
	}
	res, err := s.readResource(w, r)
	if err != nil {
		return err
	}
	condition := r.Header.Get("If-None-Exist")
	if _, given := r.Header["If-None-Exist"]; given && condition == "" {
		condition = "?" // it is refused: the caller wanted a condition, and must not get a second copy for want of one
	}
	p, err := s.create(r.Context(), t, res, condition)
	if err != nil {
		return err
	}
	p.write(w, r, s.baseOf(r))
	return nil
}

// fhirUpdate writes a new version, or the first one under the client's id (FHIR R4 http.html#update).
func (s *Server) fhirUpdate(w http.ResponseWriter, r *http.Request) error {
	k, err := pathKey(r)
	if err != nil {
		return err
	}
	res, err := s.readResource(w, r)
	if err != nil {
		return err
	}
	p, err := s.update(r.Context(), k, res, r.Header.Get("If-Match"), r.Header.Get("If-None-Match"))
	if err != nil {
		return err
	}
	p.write(w, r, s.baseOf(r))
	return nil
}

// fhirDelete deletes a resource; one that is not there is deleted already (FHIR R4 http.html#delete).
func (s *Server) fhirDelete(w http.ResponseWriter, r *http.Request) error {
	k, err := pathKey(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	p, err := s.delete(r.Context(), k, r.Header.Get("If-Match"))
	if err != nil {
		return err
	}
	p.write(w, r, s.baseOf(r))
	return nil
}

func (s *Server) readResource(w http.ResponseWriter, r *http.Request) (fhir.Resource, error) {
	if err := acceptsJSON(r); err != nil {
		return fhir.Resource{}, err
	}
	// White space is not kept, so it does not count; as much of it as a Bundle may have is read.
	body, err := readBody(w, r, "resource", s.bundleLimit())
	if err != nil {
		return fhir.Resource{}, err
	}
	return parse(body, s.resourceLimit())
}

// parse checks a resource (fhir.Parse) whose size in bytes is limited without the white space between its tokens.
func parse(body []byte, limit int) (fhir.Resource, error) {
	if len(body) > limit {
		if v := jsontext.Value(bytes.Clone(body)); v.Compact() == nil {
			body = v
		}
	}
	return fhir.Parse(body, limit)
}

func sameType(t string, res fhir.Resource) error {
	if res.Key.Type != t {
		return syncerr.New(syncerr.Invalid, "read resource", "resourceType: the body is a %s, the URL is for %s", res.Key.Type, t)
	}
	return nil
}

func sameKey(k fhir.Key, res fhir.Resource) error {
	if err := sameType(k.Type, res); err != nil {
		return err
	}
	switch res.Key.ID {
	case k.ID:
		return nil
	case "":
		return syncerr.New(syncerr.Invalid, "read resource", "id: it is missing, the URL says %s", k.ID)
	default:
		return syncerr.New(syncerr.Invalid, "read resource", "id: the body says %s, the URL says %s", res.Key.ID, k.ID)
	}
}

func (s *Server) create(ctx context.Context, t string, res fhir.Resource, ifNoneExist string) (reply, error) {
	if err := sameType(t, res); err != nil {
		return reply{}, err
	}
	if ifNoneExist != "" {
		q, err := readCriteria(t, ifNoneExist)
		if err != nil {
			return reply{}, err
		}
		done, err := s.alone(ctx)
		if err != nil {
			return reply{}, err
		}
		defer done()
		k, found, err := s.existing(ctx, q)
		if err != nil {
			return reply{}, err
		}
		if found {
			p, err := s.read(ctx, k)
			p.located, p.note = true, "it exists already"
			return p, err
		}
	}
	return s.author(ctx, engine.Write{Op: engine.Create, Body: res})
}

// updateOf is the write that an update asks for.
func updateOf(k fhir.Key, res fhir.Resource, ifMatch, ifNone string) (engine.Write, error) {
	wr := engine.Write{Op: engine.Update, Key: k, Body: res}
	if err := sameKey(k, res); err != nil {
		return wr, err
	}
	var err error
	if wr.IfMatch, err = readTag(ifMatch); err != nil {
		return wr, err
	}
	wr.IfNone, err = readNone(ifNone)
	return wr, err
}

// deleteOf is the write that a delete asks for.
func deleteOf(k fhir.Key, ifMatch string) (engine.Write, error) {
	tag, err := readTag(ifMatch)
	return engine.Write{Op: engine.Delete, Key: k, IfMatch: tag}, err
}

func (s *Server) update(ctx context.Context, k fhir.Key, res fhir.Resource, ifMatch, ifNone string) (reply, error) {
	wr, err := updateOf(k, res, ifMatch, ifNone)
	if err != nil {
		return reply{}, err
	}
	return s.author(ctx, wr)
}

func (s *Server) delete(ctx context.Context, k fhir.Key, ifMatch string) (reply, error) {
	wr, err := deleteOf(k, ifMatch)
	if err != nil {
		return reply{}, err
	}
	return s.author(ctx, wr)
}

func (s *Server) author(ctx context.Context, wr engine.Write) (reply, error) {
	out, err := s.engine.Author(ctx, callerOf(ctx).Name, []engine.Write{wr})
	if err != nil {
		return reply{}, err
	}
	return s.written(ctx, wr.Op, out[0])
}

// written answers what became of a write.
func (s *Server) written(ctx context.Context, op engine.Op, w engine.Written) (reply, error) {
	if op == engine.Delete {
		return reply{status: http.StatusNoContent, key: w.Key, version: w.Stamp.Version, modified: w.Committed, note: "it is deleted"}, nil
	}
	p := reply{
		status: http.StatusOK, key: w.Key, version: w.Stamp.Version, modified: w.Committed, located: true, note: "it is written",
		body: w.Body.WithMeta(w.Stamp.Version.String(), instant(w.Committed)),
	}
	switch {
	case w.Created:
		p.status, p.note = http.StatusCreated, "it is created"
	case w.Unchanged:
		p.note = "it has this content already: no new version was made"
		// The content is equal, its bytes need not be: show those that are kept.
		now, ok, err := s.engine.Store().Get(ctx, w.Key)
		if err != nil {
			return reply{}, err
		}
		if ok && now.Stamp.Version == w.Stamp.Version {
			p.body, err = shown(now)
			return p, err
		}
	}
	return p, nil
}

// alone waits until no other conditional write is at work; done lets the next one in.
func (s *Server) alone(ctx context.Context) (done func(), err error) {
	select {
	case s.conditional <- struct{}{}:
		return func() { <-s.conditional }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
