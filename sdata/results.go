package sdata

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Alert is what people are told of a diagnostics feed that reports what was not done. It has no patient data but keys.
type Alert struct {
	Run      string   `json:"run"` // as tributary audit --run takes it
	RunName  string   `json:"runName,omitempty"`
	RunStamp string   `json:"runStamp,omitempty"`
	Peer     string   `json:"peer,omitempty"`
	Type     string   `json:"type,omitempty"`
	Entries  int      `json:"entries"`
	Failed   int      `json:"failed"`
	Keys     []string `json:"keys,omitempty"` // of the first that failed
	Worst    string   `json:"severity"`
}

// maxAlertKeys bounds the keys in an alert.
const maxAlertKeys = 20

// results takes a diagnostics feed: what a target made of a page. It is the event manager of a network, and the $syncResults of a source.
func (s *Server) results(w http.ResponseWriter, r *http.Request) error {
	run, err := runOf(r)
	if err != nil {
		return err
	}
	b, err := body(r)
	if err != nil {
		return err
	}
	f, err := ReadFeed(b)
	if err != nil {
		return s.impossible(r, r.PathValue("type"), run, err)
	}
	if err := s.Record(r.Context(), run, r.PathValue("type"), f); err != nil {
		return err
	}
	return send(w, r, http.StatusOK, "application/xml; charset=utf-8", nil)
}

// Record stores a diagnostics feed in the audit under its run, an entry each and one row for the feed, and raises an alert where something
// failed. Entries without an outcome are passed over: they tell nothing.
func (s *Server) Record(ctx context.Context, run Run, resourceType string, f Feed) error {
	a := Alert{Run: run.ID(), RunName: run.Name, RunStamp: run.Stamp, Peer: s.peer(ctx), Worst: string(Info)}
	var records []audit.Record
	for _, e := range f.Entries {
		if e.Outcome.Status == 0 {
			continue
		}
		a.Entries++
		rec := audit.Record{
			Operation: audit.Diagnose, Outcome: audit.Done, Action: e.Outcome.Method, Key: s.keyOf(resourceType, e), Peer: a.Peer, Run: a.Run,
			URL: e.AtomID, LinkType: "sdata", HTTPStatus: e.Outcome.Status, Details: e.Outcome.Message,
		}
		if v := (version.Version{Replica: ReplicaOf(e.State.Endpoint), Tick: e.State.Tick}); v.Tick > 0 {
			rec.Version = v
		}
		if a.Type == "" {
			a.Type = rec.Key.Type
		}
		for _, d := range e.Trouble {
			rec.Details = string(d.Severity) + ": " + d.Message
			a.Worst = worse(a.Worst, string(d.Severity))
		}
		if e.Outcome.Status >= http.StatusBadRequest {
			rec.Outcome = audit.Failed
			a.Failed++
			a.Worst = worse(a.Worst, string(Warning))
			if len(a.Keys) < maxAlertKeys {
				a.Keys = append(a.Keys, rec.Key.String())
			}
		}
		if len(rec.Action) > 10 {
			rec.Action = ""
		}
		records = append(records, rec)
	}
	sum := audit.Record{
		Operation: audit.Diagnose, Outcome: audit.Done, Action: "RESULTS", Key: fhir.Key{Type: a.Type}, Peer: a.Peer, Run: a.Run, LinkType: "sdata",
		Details: fmt.Sprintf("run %q of %s: %d entries, %d of them not taken", run.Name, run.Stamp, a.Entries, a.Failed),
	}
	if a.Failed > 0 {
		sum.Outcome = audit.Failed
	}
	if err := s.eng.Notes(ctx, append(records, sum)); err != nil {
		return err
	}
	if a.Failed > 0 && s.cfg.Alert != nil {
		s.cfg.Alert(ctx, a)
	}
	return nil
}

// keyOf returns the key of an entry of a diagnostics feed as far as it says it; what is no key is left out.
func (s *Server) keyOf(resourceType string, e Entry) fhir.Key {
	k := fhir.Key{Type: resourceType, ID: e.ID}
	if k.Type == "" && fhir.IsKind(e.Title) {
		k.Type = e.Title
	}
	if k.Validate() != nil {
		return fhir.Key{}
	}
	return k
}

func worse(a, b string) string {
	rank := func(s string) int {
		for i, known := range []Severity{Info, Warning, Transient, Failure, Fatal} {
			if string(known) == s {
				return i + 1
			}
		}
		return 0
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// impossible returns the error of a document that no peer can mean, and audits it.
func (s *Server) impossible(r *http.Request, resourceType string, run Run, err error) error {
	if syncerr.KindOf(err) != syncerr.Invalid {
		return err
	}
	nerr := s.eng.Note(r.Context(), audit.Record{
		Operation: audit.Refuse, Outcome: audit.Refused, Action: "SDATA", Key: fhir.Key{Type: kindOnly(resourceType)}, Peer: s.peer(r.Context()), Run: run.ID(),
		URL: r.URL.Path, LinkType: "sdata", HTTPStatus: http.StatusBadRequest, Details: err.Error(),
	})
	return errors.Join(err, nerr)
}

func kindOnly(t string) string {
	if fhir.IsKind(t) {
		return t
	}
	return ""
}
