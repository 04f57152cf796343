package api

import (
	"context"
	"encoding/base64"
	"mime"
	"net/http"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/patch"
	"github.com/tributary-sync/tributary/syncerr"
)

// jsonPatch is the media type of a JSON Patch (RFC 6902 section 6). FHIRPath Patch has those of FHIR (FHIR R4 http.html#patch).
const jsonPatch = "application/json-patch+json"

// patchTries bounds how often a patch is applied anew because the resource changed meanwhile.
const patchTries = 10

// change is a patch as it was sent.
type change struct {
	media string
	body  []byte
}

// fhirPatch changes parts of a resource (FHIR R4 http.html#patch).
func (s *Server) fhirPatch(w http.ResponseWriter, r *http.Request) error {
	k, err := pathKey(r)
	if err != nil {
		return err
	}
	c, err := s.readPatch(w, r)
	if err != nil {
		return err
	}
	p, err := s.patch(r.Context(), k, c, r.Header.Get("If-Match"))
	if err != nil {
		return err
	}
	p.write(w, r, s.baseOf(r))
	return nil
}

// readPatch reads the body of a PATCH.
func (s *Server) readPatch(w http.ResponseWriter, r *http.Request) (change, error) {
	if err := acceptsJSON(r); err != nil {
		return change{}, err
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && media == jsonPatch:
		err = isPlainUTF8(r, "patch", params)
	case err == nil && isJSON(media):
		err = isJSONBody(r, "patch")
	default:
		err = syncerr.New(syncerr.Unsupported, "read patch", "Content-Type: %.80q is no language of patches here", r.Header.Get("Content-Type")).
			WithHint("Send a JSON Patch as %s, or a FHIRPath Patch, a Parameters resource, as application/fhir+json", jsonPatch)
	}
	if err != nil {
		w.Header().Set("Accept-Patch", jsonPatch+", application/fhir+json") // RFC 5789 section 2.2
		return change{}, err
	}
	body, err := readAll(w, r, "patch", s.bundleLimit())
	return change{media, body}, err
}

// patchOf reads the patch of an entry: a Parameters resource, or a Binary with another language in it (FHIR R4 http.html#transaction).
func patchOf(res fhir.Resource) (change, error) {
	switch res.Key.Type {
	case "Parameters":
		return change{fhirJSON, res.Body}, nil
	case "Binary":
		var b struct {
			ContentType string `json:"contentType"`
			Data        string `json:"data"`
		}
		if err := jsonv2.Unmarshal(res.Body, &b); err != nil {
			return change{}, &syncerr.Error{Kind: syncerr.Invalid, Op: "read patch", Err: err}
		}
		if media, _, err := mime.ParseMediaType(b.ContentType); err != nil || media != jsonPatch {
			return change{}, syncerr.New(syncerr.Unsupported, "read patch", "contentType: %.80q is no language of patches here", b.ContentType).
				WithHint("Put a JSON Patch into a Binary with contentType %s, or send a Parameters resource", jsonPatch)
		}
		body, err := base64.StdEncoding.DecodeString(b.Data)
		if err != nil {
			return change{}, syncerr.New(syncerr.Invalid, "read patch", "data: it is not base64")
		}
		return change{jsonPatch, body}, nil
	}
	return change{}, syncerr.New(syncerr.Invalid, "read patch", "the resource of a PATCH is a %s", res.Key.Type).
		WithHint("Send Parameters for a FHIRPath Patch, a Binary with contentType %s for a JSON Patch", jsonPatch)
}

// patch writes what the patch makes of the current copy, which it stands on: where that changes meanwhile, the patch is applied anew.
func (s *Server) patch(ctx context.Context, k fhir.Key, c change, ifMatch string) (reply, error) {
	try := func() (reply, error) {
		wr, err := s.patched(ctx, k, c, ifMatch)
		if err != nil {
			return reply{}, err
		}
		return s.author(ctx, wr)
	}
	p, err := try()
	if ifMatch != "" && ifMatch != engine.AnyVersion || syncerr.KindOf(err) != syncerr.Precondition {
		return p, err
	}
	done, err := s.alone(ctx) // those who came too late go one by one
	if err != nil {
		return reply{}, err
	}
	defer done()
	for range patchTries {
		if p, err = try(); syncerr.KindOf(err) != syncerr.Precondition {
			return p, err
		}
	}
	return reply{}, syncerr.New(syncerr.Conflict, "patch "+k.String(), "it changes all the time").WithHint("Send the patch again")
}

// patched returns the update that a patch comes down to. It stands on the version that was patched.
func (s *Server) patched(ctx context.Context, k fhir.Key, c change, ifMatch string) (engine.Write, error) {
	tag, err := readTag(ifMatch)
	if err != nil {
		return engine.Write{}, err
	}
	now, err := s.read(ctx, k)
	if err != nil {
		return engine.Write{}, err
	}
	if tag == "" || tag == engine.AnyVersion {
		tag = now.version.String()
	} else if tag != now.version.String() {
		return engine.Write{}, syncerr.New(syncerr.Precondition, "patch "+k.String(), "If-Match names version %s, the current one is %s", tag, now.version).
			WithHint("Read the resource again and see whether the patch is still right")
	}
	apply := patch.FHIRPath
	if c.media == jsonPatch {
		apply = patch.JSON
	}
	body, err := apply(now.body, c.body, s.bundleLimit())
	if err != nil {
		return engine.Write{}, err
	}
	res, err := parse(body, s.resourceLimit())
	switch {
	case err != nil && syncerr.KindOf(err) == syncerr.TooLarge:
		return engine.Write{}, err
	case err != nil:
		return engine.Write{}, syncerr.New(syncerr.Unprocessable, "patch "+k.String(), "what it makes is no resource: %v", err)
	case res.Key != k:
		return engine.Write{}, syncerr.New(syncerr.Invalid, "patch "+k.String(), "it changes resourceType or id, which stay for ever")
	}
	return engine.Write{Op: engine.Update, Key: k, Body: res, IfMatch: tag}, nil
}
