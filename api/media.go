package api

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// fhirJSON is the media type of what the FHIR API writes (FHIR R4 http.html#mime-type).
const fhirJSON = "application/fhir+json; charset=utf-8"

// bundleFactor is how many times the size of one resource a Bundle may have.
const bundleFactor = 4

// resourceLimit is the largest resource in bytes that this node takes.
func (s *Server) resourceLimit() int { return min(fhir.MaxBytes, s.engine.Limit()) }

func (s *Server) bundleLimit() int { return bundleFactor * s.resourceLimit() }

// isJSON reports whether a media type, without parameters, is one of FHIR's names of JSON.
func isJSON(media string) bool {
	switch media {
	case "application/fhir+json", "application/json", "text/json", "json":
		return true
	}
	return false
}

// acceptsJSON returns an error with status 406 where the caller wants another form than JSON; _format goes over Accept (FHIR
// R4 http.html#parameters).
func acceptsJSON(r *http.Request) error {
	refuse := func(wanted string) error {
		return withStatus(http.StatusNotAcceptable, syncerr.New(syncerr.Unsupported, "negotiate", "%.80q cannot be had", wanted).
			WithHint("This server writes application/fhir+json"))
	}
	if f := r.URL.Query().Get("_format"); f != "" {
		// An unescaped + of a query arrives as a blank.
		media, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(f), " ", "+"), ";")
		if !isJSON(strings.ToLower(media)) {
			return refuse(f)
		}
		return nil
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return nil
	}
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil && q == 0 {
			continue
		}
		if media == "*/*" || media == "application/*" || isJSON(media) {
			return nil
		}
	}
	return refuse(accept)
}

// pretty returns the body indented where the query asks for it, else as it is.
func pretty(r *http.Request, body []byte) []byte {
	if r.URL.Query().Get("_pretty") != "true" {
		return body
	}
	v := jsontext.Value(append([]byte(nil), body...))
	if v.Indent() != nil {
		return body
	}
	return v
}

// readBody reads the JSON body of a write; what names what it is, for errors, limit is in bytes. It returns an Unsupported
// error for another Content-Type than JSON and TooLarge for a body over the limit.
func readBody(w http.ResponseWriter, r *http.Request, what string, limit int) ([]byte, error) {
	if err := isJSONBody(r, what); err != nil {
		return nil, err
	}
	return readAll(w, r, what, limit)
}

// readAll reads a body, whatever it is.
func readAll(w http.ResponseWriter, r *http.Request, what string, limit int) ([]byte, error) {
	tooLarge := func() error {
		return syncerr.New(syncerr.TooLarge, "read "+what, "the body is larger than the %d bytes that this node takes", limit)
	}
	if r.ContentLength > int64(limit) {
		return nil, tooLarge()
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), believed)) + bytes.MinRead)
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, int64(limit)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge()
	case err != nil:
		return nil, syncerr.New(syncerr.Invalid, "read "+what, "the body was cut off after %d bytes", body.Len())
	}
	return body.Bytes(), nil
}

// believed is for how many bytes of a body there is room before they have come: what a sender says of its length costs nothing.
const believed = 64 << 10

// bodyHint says how a body is sent.
const bodyHint = "Send application/fhir+json in UTF-8, not compressed"

func isJSONBody(r *http.Request, what string) error {
	given := r.Header.Get("Content-Type")
	if given == "" {
		return syncerr.New(syncerr.Unsupported, "read "+what, "the Content-Type header is missing").WithHint(bodyHint)
	}
	media, params, err := mime.ParseMediaType(given)
	if err != nil || media == "json" || !isJSON(media) {
		return syncerr.New(syncerr.Unsupported, "read "+what, "Content-Type: %.80q is not JSON", given).WithHint(bodyHint)
	}
	return isPlainUTF8(r, what, params)
}

// isPlainUTF8 refuses a body that is compressed or in another charset than UTF-8; params are those of its media type.
func isPlainUTF8(r *http.Request, what string, params map[string]string) error {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return syncerr.New(syncerr.Unsupported, "read "+what, "Content-Encoding: %.40q is not spoken here", enc).WithHint(bodyHint)
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return syncerr.New(syncerr.Unsupported, "read "+what, "the charset %.40q is not spoken here", c).WithHint(bodyHint)
	}
	return nil
}

// notModified reports whether the condition of a read says that the caller has the copy already (FHIR R4 http.html#cread): by its tag,
// or, where there is none, by its time in whole seconds (RFC 9110 section 13.1.3).
func notModified(noneMatch, since string, p reply) bool {
	if noneMatch != "" {
		return matches(noneMatch, `"`+p.version.String()+`"`)
	}
	t, err := http.ParseTime(since)
	if err != nil {
		t, err = time.Parse(time.RFC3339, since) // an instant, in Bundle.entry.request.ifModifiedSince
	}
	return err == nil && p.modified/1000 <= t.Unix()
}

// etag returns the entity tag of a version (FHIR R4 http.html#versioning).
func etag(version string) string { return `W/"` + version + `"` }

// readTag returns the version that an If-Match names, engine.AnyVersion for * (RFC 9110 section 13.1.1); empty where there is no such
// condition.
func readTag(header string) (string, error) {
	t := strings.TrimSpace(header)
	if t == "" || t == engine.AnyVersion {
		return t, nil
	}
	t = strings.TrimPrefix(t, "W/")
	if len(t) < 3 || t[0] != '"' || t[len(t)-1] != '"' || strings.ContainsAny(t[1:len(t)-1], `", `) {
		return "", syncerr.New(syncerr.Invalid, "read If-Match", "%.100q does not name one version", header).
			WithHint(`Send the ETag of the version that the change stands on, as W/"version"`)
	}
	return t[1 : len(t)-1], nil
}

// readNone reads the If-None-Match of a write, which can only be * (FHIR R4 http.html#upsert).
func readNone(header string) (bool, error) {
	switch strings.TrimSpace(header) {
	case "":
		return false, nil
	case "*":
		return true, nil
	}
	return false, syncerr.New(syncerr.Invalid, "read If-None-Match", "%.100q is not *", header).WithHint("For a write only * has a meaning")
}

// preference returns the value of one preference in a Prefer header (RFC 7240 section 2), for example minimal for return.
func preference(h http.Header, name string) string {
	for _, line := range h.Values("Prefer") {
		for part := range strings.FieldsFuncSeq(line, func(c rune) bool { return c == ',' || c == ';' }) {
			if k, v, ok := strings.Cut(part, "="); ok && strings.EqualFold(strings.TrimSpace(k), name) {
				return strings.Trim(strings.TrimSpace(v), `"`)
			}
		}
	}
	return ""
}
