package clients

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// document reads the body of an answer about one document; it may be empty where the answer is an error, or says that there is no content.
func (l *fhirLink) document(ctx context.Context, r *fhirReply) ([]byte, error) {
	if r.status == http.StatusNoContent || r.status == http.StatusNotModified || r.header.Get("Content-Length") == "0" {
		return nil, nil
	}
	if r.status >= 400 && !strings.Contains(strings.ToLower(r.header.Get("Content-Type")), "html") {
		body, err := io.ReadAll(io.LimitReader(r.body, maxOutcome))
		if err != nil {
			return nil, l.cut(ctx, err)
		}
		return body, nil
	}
	in, err := l.json(ctx, r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(in, maxEntry+1))
	switch {
	case err != nil:
		return nil, l.cut(ctx, err)
	case len(body) > maxEntry:
		return nil, tooLarge(len(body))
	}
	return body, nil
}

func tooLarge(bytes int) error {
	return syncerr.New(syncerr.TooLarge, "read the answer", "it has %d bytes or more, the limit is %d", bytes, maxDocument)
}

// named says which document an error is about.
func named(k fhir.Key, err error) error { return fmt.Errorf("%s: %w", k, err) }

// answered is what a server said about one document, as a response or as an entry of a Bundle.
type answered struct {
	status         int
	etag, modified string
	location       string
	body           []byte // the document, or an OperationOutcome
}

func answeredBy(e fhirEntry) answered {
	a := answered{status: e.status(), etag: e.Response.ETag, modified: e.Response.LastModified, location: e.Response.Location, body: e.Resource}
	if a.body == nil {
		a.body = e.Response.Outcome
	}
	return a
}

// copyOf translates the answer to a read. Its errors name the key.
func (f *FHIR) copyOf(caps *Capabilities, w resourcemanager.Want, a answered) (resourcemanager.Copy, error) {
	c := resourcemanager.Copy{Key: w.Key}
	l := f.link
	switch s := a.status; {
	case s == http.StatusOK:
		if err := l.fill(caps, &c, a); err != nil {
			return c, named(w.Key, err)
		}
		if w.Tag != "" && c.Tag != w.Tag && !caps.Types[w.Key.Type].VRead {
			return resourcemanager.Copy{Key: w.Key}, nil // it has another version by now, and shows no older ones
		}
		return c, nil
	case s == http.StatusNotFound:
		return c, nil
	case s == http.StatusGone:
		c.State, c.Tag, c.Modified = resourcemanager.Gone, tagOf(a.etag, ""), timeOf(a.modified)
		return c, nil
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return c, syncerr.New(syncerr.Denied, l.op(), "it answered %d to the read of %s: %s", s, w.Key, reasonOf(s, a.body)).
			WithHint("Check what its operator lets this node's credential read")
	case isBusy(s) || s >= 500:
		return c, syncerr.New(syncerr.Transient, l.op(), "it answered %d to the read of %s: %s", s, w.Key, reasonOf(s, a.body))
	case s == 0:
		return c, syncerr.New(syncerr.Invalid, l.op(), "its answer has no status for %s", w.Key)
	default:
		return c, syncerr.New(syncerr.Invalid, l.op(), "it answered %d to the read of %s: %s", s, w.Key, reasonOf(s, a.body))
	}
}

// fill takes over what the answer says of a document that is there. It returns an Invalid error where it is another document.
func (l *fhirLink) fill(caps *Capabilities, c *resourcemanager.Copy, a answered) error {
	c.State = resourcemanager.Present
	if len(a.body) > maxDocument {
		return tooLarge(len(a.body))
	}
	m := gjson.GetManyBytes(a.body, "resourceType", "id", "meta.versionId", "meta.lastUpdated")
	if m[0].String() != c.Key.Type || m[1].String() != c.Key.ID {
		return syncerr.New(syncerr.Invalid, l.op(), "it answered with %.64s/%.64s instead", m[0].String(), m[1].String())
	}
	c.Content, c.Tag, c.Modified = a.body, tagOf(a.etag, m[2].String()), timeOf(m[3].String())
	if c.Modified.IsZero() {
		c.Modified = timeOf(a.modified)
	}
	if caps.Types[c.Key.Type].Unversioned {
		c.Tag = "" // what it sends all the same does not change with the content
	}
	return nil
}

// timeOf reads a FHIR instant or an HTTP date; zero for neither.
func timeOf(text string) time.Time {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UTC()
	}
	if t, err := http.ParseTime(text); err == nil {
		return t.UTC()
	}
	return time.Time{}
}
