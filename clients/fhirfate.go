package clients

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// answerOf translates the answer to a write. Its error says that nothing is known of this edit.
func (f *FHIR) answerOf(ctx context.Context, caps *Capabilities, e resourcemanager.Edit, req entryRequest, a answered) (resourcemanager.Answer, error) {
	l := f.link
	out := resourcemanager.Answer{Status: a.status, Copy: resourcemanager.Copy{Key: e.Key}}
	switch s := a.status; {
	case s == http.StatusNotModified && req.IfNoneMatch != "": // LinuxForHealth says so that there is one already
		f.conditional.Store(true)
		out.Fate, out.Reason = resourcemanager.Stale, "it is there already"
		return out, nil
	case s == http.StatusNotModified: // as others that the document is the same already
		return f.done(caps, e, a, out)
	case s == http.StatusOK || s == http.StatusCreated || s == http.StatusNoContent:
		if req.IfNoneMatch != "" {
			f.conditional.Store(true)
		}
		return f.done(caps, e, a, out)
	case e.Content == nil && (s == http.StatusNotFound || s == http.StatusGone):
		out.Fate, out.Copy.Tag = resourcemanager.Done, tagOf(a.etag, "")
		if s == http.StatusGone {
			out.Copy.State = resourcemanager.Gone
		}
		return out, nil
	case s == http.StatusPreconditionFailed:
		if req.IfNoneMatch != "" {
			f.conditional.Store(true)
		}
		out.Fate, out.Reason = resourcemanager.Stale, reasonOf(s, a.body)
		return out, nil
	case s == http.StatusConflict:
		out.Reason = reasonOf(s, a.body)
		return f.contested(ctx, caps, e, out)
	case s == http.StatusGone && !e.Revive, s == http.StatusNotFound && e.Base != "":
		out.Fate, out.Reason = resourcemanager.Stale, reasonOf(s, a.body)
		if s == http.StatusGone {
			out.Copy.State, out.Copy.Tag = resourcemanager.Gone, tagOf(a.etag, "")
		}
		return out, nil
	case s == http.StatusUnauthorized:
		return out, syncerr.New(syncerr.Denied, l.op(), "it answered %d to the write of %s: %s", s, e.Key, reasonOf(s, a.body)).
			WithHint("Check the credential")
	case isBusy(s):
		return out, syncerr.New(syncerr.Transient, l.op(), "it answered %d to the write of %s: %s", s, e.Key, reasonOf(s, a.body))
	case s == http.StatusInternalServerError && outcomeWords(a.body) == "":
		return out, syncerr.New(syncerr.Transient, l.op(), "it answered %d to the write of %s", s, e.Key)
	case s >= 400:
		out.Fate, out.Reason = resourcemanager.Refused, reasonOf(s, a.body)
		return out, nil
	default: // 202 too: nobody knows yet what will become of it
		return out, syncerr.New(syncerr.Transient, l.op(), "it answered %d to the write of %s, which says neither yes nor no", s, e.Key)
	}
}

// done notes what the server has after a write, as far as it said so.
func (f *FHIR) done(caps *Capabilities, e resourcemanager.Edit, a answered, out resourcemanager.Answer) (resourcemanager.Answer, error) {
	out.Fate = resourcemanager.Done
	c := &out.Copy
	c.Tag, c.Modified = tagOf(a.etag, ""), timeOf(a.modified)
	if caps.Types[e.Key.Type].Unversioned {
		c.Tag = ""
	}
	if e.Content == nil {
		c.State = resourcemanager.Gone
		return out, nil
	}
	c.State = resourcemanager.Present
	id, tag := versionAt(a.location, e.Key.Type)
	if shown := gjson.GetBytes(a.body, "resourceType").String(); shown == e.Key.Type {
		id = gjson.GetBytes(a.body, "id").String()
		if id == e.Key.ID {
			if err := f.link.fill(caps, c, a); err != nil {
				return out, named(e.Key, err)
			}
		}
	}
	if c.Tag == "" && !caps.Types[e.Key.Type].Unversioned {
		c.Tag = tag
	}
	if id != "" && id != e.Key.ID {
		// Whatever it says of itself: the next one is not sent.
		less := *caps
		less.Types = map[string]TypeCapabilities{}
		for name, t := range caps.Types {
			t.UpdateCreate = t.UpdateCreate && name != e.Key.Type
			less.Types[name] = t
		}
		f.caps.Store(&less)
		out.Fate, out.Copy = resourcemanager.Refused, resourcemanager.Copy{Key: e.Key}
		out.Reason = fmt.Sprintf("the server stored the document under another id, %.64s: it gives its own ids to new %s resources; delete that one there, and "+
			"allow ids that clients give", id, e.Key.Type)
	}
	return out, nil
}

// versionAt reads id and version out of a Location (FHIR R4 http.html#create).
func versionAt(location, t string) (id, tag string) {
	parts := strings.Split(placeOf(location), "/")
	for i := 0; i+1 < len(parts); i++ {
		if parts[i] != t {
			continue
		}
		if id = parts[i+1]; i+3 < len(parts) && parts[i+2] == "_history" {
			tag = parts[i+3]
		}
	}
	return id, tag
}

// contested finds out what a 409 means. FHIR has it for a version that does not fit (http.html#concurrency); servers have it also for rules of theirs, such as
// a document that others refer to: that will not change by being tried again.
func (f *FHIR) contested(ctx context.Context, caps *Capabilities, e resourcemanager.Edit, out resourcemanager.Answer) (resourcemanager.Answer, error) {
	now, err := f.readOne(ctx, caps, resourcemanager.Want{Key: e.Key})
	if err != nil {
		return out, err
	}
	kept := now.State == resourcemanager.Present && now.Tag == e.Base // as without versions, where both are empty
	if e.Create || e.Revive {
		kept = now.State != resourcemanager.Present
	}
	out.Fate = resourcemanager.Stale
	if out.Copy = now; kept {
		out.Fate = resourcemanager.Refused
	}
	return out, nil
}
