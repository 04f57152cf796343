package control

import (
	"context"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
)

// ShownRecord is a row of the audit with what a person wants to know of it.
type ShownRecord struct {
	audit.Record
	Cause  Sentence `json:"cause"`            // why it came out as it did
	Do     Sentence `json:"do"`               // what there is to do
	Parked *Parked  `json:"parked,omitempty"` // what is parked of its record, so that it can be tried again; nil where nothing is
}

// ShowAudit returns one row of the audit, with its cause and what to do. It returns a NotFound error where there is none.
func (c *Control) ShowAudit(ctx context.Context, id int64) (ShownRecord, error) {
	r, err := c.AuditRecord(ctx, id)
	if err != nil {
		return ShownRecord{}, err
	}
	out := ShownRecord{Record: r, Cause: causeOfRecord(r)}
	if r.Key != (fhir.Key{}) {
		parked, err := c.Parked(ctx, ParkedQuery{State: ParkedAll, Key: r.Key, Limit: 1})
		if err != nil {
			return out, err
		}
		if len(parked) > 0 {
			out.Parked = &parked[0]
		}
	}
	out.Do = out.todo()
	return out, nil
}

func causeOfRecord(r audit.Record) Sentence {
	switch r.Outcome {
	case audit.Already:
		return Sentence{Code: "cause_already", Text: "This very version was here already: it came twice, which does no harm."}
	case audit.Equal:
		return Sentence{Code: "cause_equal", Text: "Both sides had written the same, so there was nothing to change."}
	case audit.Superseded:
		return Sentence{Code: "cause_superseded", Text: "The copy that was there had seen this change and is newer."}
	case audit.Decided:
		return Sentence{Code: "cause_decided", Text: "The record had been changed at two places at once, and it was decided which copy stands. Both stay readable."}
	case audit.Deferred:
		return Sentence{Code: "cause_deferred", Text: "The record was changed at two places at once, and no rule may decide it: a person has to."}
	case audit.Held:
		return Sentence{Code: "cause_held", Text: "The record was changed here, too: the copy waits until the parent has decided between both."}
	case audit.Parked:
		return Sentence{Code: "cause_parked", Text: "The change could not be taken over then, so it was set aside. Everything else went on."}
	case audit.Refused:
		switch {
		case r.Operation == audit.Refuse && (r.HTTPStatus == 401 || r.HTTPStatus == 403):
			return Sentence{Code: "cause_credential", Text: "The caller had no credential, or none that allows this."}
		case r.Operation == audit.Refuse:
			return Sentence{Code: "cause_call", Text: "The call could not be answered as it was made."}
		case r.Operation == audit.Push:
			return Sentence{Code: "cause_push", Text: "The parent did not take the change. It stays here, and everything else went on."}
		}
		return Sentence{Code: "cause_refused", Text: "The change was not taken: who sent it keeps it, and was told why."}
	case audit.Failed:
		return Sentence{Code: "cause_failed", Text: "The exchange did not get through: the other side did not answer, or not as it should."}
	}
	return Sentence{Code: "cause_done", Text: "It went well."}
}

func (s ShownRecord) todo() Sentence {
	switch {
	case s.Parked != nil && s.Parked.GivenUp != nil:
		return Sentence{Code: "do_given_up", Text: "A person gave it up, so it is not tried any more. It can be taken up again."}
	case s.Parked != nil:
		return Sentence{Code: "do_parked", Text: "It is tried again by itself; it can be tried at once."}
	case s.Outcome == audit.Parked || s.Outcome == audit.Refused && s.Operation == audit.Push:
		return Sentence{Code: "do_past", Text: "Nothing any more: it does not wait now."}
	case s.Outcome == audit.Deferred:
		return Sentence{Code: "do_decide", Text: "Look at both copies and say which is right."}
	case s.Outcome == audit.Held:
		return Sentence{Code: "do_wait", Text: "Nothing: the parent's decision comes by itself."}
	case s.Outcome == audit.Failed:
		return Sentence{Code: "do_doctor", Text: "Nothing, if it passes: it is tried again by itself. If it stays, `tributary doctor` looks for the cause."}
	case s.Operation == audit.Refuse && (s.HTTPStatus == 401 || s.HTTPStatus == 403):
		return Sentence{Code: "do_credential", Text: "If the caller belongs here, give it a new credential."}
	case s.Outcome == audit.Refused:
		return Sentence{Code: "do_sender", Text: "What was wrong stands below; it is put right where it came from."}
	}
	return Sentence{Code: "do_nothing", Text: "Nothing."}
}
