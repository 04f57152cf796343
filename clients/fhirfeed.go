package clients

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// safeSince returns from when on the next round has to ask: the newest entry of this one, but not later than the server's clock when the round began,
// because one entry dated in the future must not hide those that follow; less the time that the round took, in which what was read first may
// have changed again. It never goes back, and rests where only the time that rounds take differs.
func safeSince(since int64, newest, date time.Time, took time.Duration) int64 {
	if newest.IsZero() {
		return since
	}
	if !date.IsZero() && newest.After(date) {
		newest = date
	}
	if to := newest.Add(-max(took, 0)).UnixMilli(); to >= since+time.Second.Milliseconds() {
		return to
	}
	return since
}

func placeText(place any) string {
	text, err := json.Marshal(place)
	if err != nil {
		panic("bug: a place has no JSON: " + err.Error())
	}
	return string(text)
}

// page reads a Bundle of a feed. date becomes the server's clock where it was not known.
func (l *fhirLink) page(ctx context.Context, path, kind string, date *time.Time, visit func(fhirEntry) error) (fhirPage, error) {
	r, err := l.do(ctx, fhirCall{method: http.MethodGet, path: path})
	if err != nil {
		return fhirPage{}, err
	}
	defer r.close()
	if r.status != http.StatusOK {
		return fhirPage{}, syncerr.New(syncerr.Invalid, l.op(), "it answered %d to %s: %s", r.status, kind, wordsOf(r))
	}
	if date.IsZero() {
		*date = timeOf(r.header.Get("Date"))
	}
	return l.bundle(ctx, r, kind, func(_ int, e fhirEntry) error { return visit(e) })
}

// itemOf reads an entry of a history or search; false for one that is no document.
func itemOf(e fhirEntry) (feedreader.Item, bool) {
	it := feedreader.Item{Modified: timeOf(e.Response.LastModified)}
	status := e.status()
	if it.Deleted = e.Request.Method == http.MethodDelete || e.Resource == nil && (status == http.StatusNoContent || status == http.StatusGone); it.Deleted {
		var tag string
		for _, place := range []string{e.Request.URL, e.FullURL, e.Response.Location} {
			k, v, ok := keyAt(place)
			if ok && it.Key.ID == "" {
				it.Key = k
			}
			if tag == "" {
				tag = v
			}
		}
		it.Tag = tagOf(e.Response.ETag, tag)
		return it, it.Key.ID != ""
	}
	if e.Resource == nil {
		for _, place := range []string{e.FullURL, e.Request.URL, e.Response.Location} {
			if k, _, ok := keyAt(place); ok {
				it.Key = k
				return it, true // its content is to be read
			}
		}
		return it, false
	}
	m := gjson.GetManyBytes(e.Resource, "resourceType", "id", "meta.versionId", "meta.lastUpdated")
	it.Key = fhir.Key{Type: m[0].String(), ID: m[1].String()}
	it.Content, it.Tag = e.Resource, tagOf(e.Response.ETag, m[2].String())
	if t := timeOf(m[3].String()); !t.IsZero() {
		it.Modified = t
	}
	return it, it.Key.Validate() == nil && fhir.IsType(it.Key.Type)
}

// keyAt reads key and version out of a URL, absolute or relative.
func keyAt(place string) (k fhir.Key, version string, ok bool) {
	parts := strings.Split(placeOf(place), "/")
	if n := len(parts); n >= 4 && parts[n-2] == "_history" {
		version, parts = parts[n-1], parts[:n-2]
	}
	n := len(parts)
	if n < 2 || !fhir.IsType(parts[n-2]) || !fhir.ValidID(parts[n-1]) {
		return fhir.Key{}, "", false
	}
	return fhir.Key{Type: parts[n-2], ID: parts[n-1]}, version, true
}
