package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// maxMatches is up to where it is counted how many resources a condition finds that must find one.
const maxMatches = 100

// fhirConditionalUpdate updates the one resource that the query finds, or creates it (FHIR R4 http.html#cond-update).
func (s *Server) fhirConditionalUpdate(w http.ResponseWriter, r *http.Request) error {
	t, err := pathType(r)
	if err != nil {
		return err
	}
	res, err := s.readResource(w, r)
	if err != nil {
		return err
	}
	p, err := s.where(r.Context(), t, r.URL.RawQuery, func(k fhir.Key, found bool) (engine.Write, error) {
		return updateWhere(t, k, found, res, r.Header.Get("If-Match"), r.Header.Get("If-None-Match"))
	})
	if err != nil {
		return err
	}
	p.write(w, r, s.baseOf(r))
	return nil
}

// fhirConditionalDelete deletes the one resource that the query finds (FHIR R4 http.html#3.1.0.7.1).
func (s *Server) fhirConditionalDelete(w http.ResponseWriter, r *http.Request) error {
	t, err := pathType(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	p, err := s.where(r.Context(), t, r.URL.RawQuery, func(k fhir.Key, found bool) (engine.Write, error) {
		return deleteWhere(k, found, r.Header.Get("If-Match"))
	})
	if err != nil {
		return err
	}
	p.write(w, r, s.baseOf(r))
	return nil
}

// fhirConditionalPatch patches the one resource that the query finds (FHIR R4 http.html#patch).
func (s *Server) fhirConditionalPatch(w http.ResponseWriter, r *http.Request) error {
	t, err := pathType(r)
	if err != nil {
		return err
	}
	c, err := s.readPatch(w, r)
	if err != nil {
		return err
	}
	p, err := s.patchWhere(r.Context(), t, r.URL.RawQuery, c, r.Header.Get("If-Match"))
	if err != nil {
		return err
	}
	p.write(w, r, s.baseOf(r))
	return nil
}

// where looks up what a condition finds, and carries out the write that this leads to; an Op of 0 means that there is nothing to do.
func (s *Server) where(ctx context.Context, t, criteria string, write func(k fhir.Key, found bool) (engine.Write, error)) (reply, error) {
	q, err := readCriteria(t, "?"+criteria)
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
	wr, err := write(k, found)
	if err != nil {
		return reply{}, err
	}
	if wr.Op == 0 {
		return nothing(), nil
	}
	return s.author(ctx, wr)
}

// nothing answers a conditional delete that finds nothing: what it asks for is so.
func nothing() reply {
	return reply{status: http.StatusNoContent, note: "nothing matches, nothing was deleted"}
}

// updateWhere is the write that a conditional update asks for, when its condition found k or nothing. The rules of ids are those of
// FHIR R4 http.html#cond-update; an id that another resource has already, which the condition does not find, is a Conflict.
func updateWhere(t string, k fhir.Key, found bool, res fhir.Resource, ifMatch, ifNone string) (engine.Write, error) {
	wr := engine.Write{Op: engine.Update, Key: k, Body: res}
	if err := sameType(t, res); err != nil {
		return wr, err
	}
	var err error
	if wr.IfMatch, err = readTag(ifMatch); err != nil {
		return wr, err
	}
	if wr.IfNone, err = readNone(ifNone); err != nil {
		return wr, err
	}
	switch id := res.Key.ID; {
	case !found && wr.IfMatch != "":
		return wr, syncerr.New(syncerr.Precondition, "update "+t, "If-Match names version %s, but the condition finds nothing", wr.IfMatch)
	case !found:
		wr.Op, wr.Key = engine.Create, res.Key
	case id != "" && id != k.ID:
		return wr, syncerr.New(syncerr.Invalid, "update "+t, "id: the body says %s, the condition finds another one", id).
			WithHint("Leave the id out, or send the update to the id")
	case id == "":
		wr.Body, err = res.WithID(k.ID)
	}
	return wr, err
}

// deleteWhere is the write that a conditional delete asks for; its Op is 0 where nothing was found.
func deleteWhere(k fhir.Key, found bool, ifMatch string) (engine.Write, error) {
	tag, err := readTag(ifMatch)
	switch {
	case err != nil || found:
		return engine.Write{Op: engine.Delete, Key: k, IfMatch: tag}, err
	case tag != "":
		return engine.Write{}, syncerr.New(syncerr.Precondition, "delete", "If-Match names version %s, but the condition finds nothing", tag)
	}
	return engine.Write{}, nil
}

func (s *Server) patchWhere(ctx context.Context, t, criteria string, c change, ifMatch string) (reply, error) {
	q, err := readCriteria(t, "?"+criteria)
	if err != nil {
		return reply{}, err
	}
	k, err := s.named(ctx, q)
	if err != nil {
		return reply{}, err
	}
	return s.patch(ctx, k, c, ifMatch)
}

// named returns the resource that a condition finds; NotFound where there is none.
func (s *Server) named(ctx context.Context, q search.Query) (fhir.Key, error) {
	k, found, err := s.existing(ctx, q)
	if err == nil && !found {
		err = noMatch(q.Type)
	}
	return k, err
}

func noMatch(t string) error {
	return syncerr.New(syncerr.NotFound, "patch "+t, "the condition finds nothing")
}

// readCriteria reads the search that a conditional interaction or reference names (FHIR R4 http.html#ccreate): the query of a URL,
// also with what stands before it. Everything in it must be understood: an ignored parameter would find what was not meant.
func readCriteria(t, text string) (search.Query, error) {
	if _, after, ok := strings.Cut(text, "?"); ok {
		text = after
	}
	values, err := url.ParseQuery(text)
	if err != nil {
		return search.Query{}, syncerr.New(syncerr.Invalid, "read condition", "it is not the query of a URL")
	}
	q, err := search.Parse(t, values, true)
	if err != nil {
		return q, err
	}
	if len(q.Terms) == 0 {
		return q, syncerr.New(syncerr.Invalid, "read condition", "it names nothing to search by").WithHint("Use for example identifier=system|value")
	}
	return q, nil
}

// existing returns the one resource that a condition finds; an Ambiguous error that says how many where there are several.
func (s *Server) existing(ctx context.Context, q search.Query) (fhir.Key, bool, error) {
	var keys []fhir.Key
	err := s.engine.Store().Read(ctx, func(rd *store.Reader) error {
		var err error
		keys, err = rd.Find(q, maxMatches+1)
		return err
	})
	switch n := len(keys); {
	case err != nil || n == 0:
		return fhir.Key{}, false, err
	case n > 1:
		count := strconv.Itoa(n)
		if n > maxMatches {
			count = "more than " + strconv.Itoa(maxMatches)
		}
		return fhir.Key{}, false, syncerr.New(syncerr.Ambiguous, "find "+q.Type, "the condition finds %s resources, not one", count).
			WithHint("Narrow it until it names one, or put the records in order")
	}
	return keys[0], true, nil
}
