package emrtest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/fhir"
)

// fhirAnswer is what an interaction answers, alone or in a batch.
type fhirAnswer struct {
	status         int
	etag, location string
	modified       time.Time
	body           []byte
}

func refused(status int, code, text string) fhirAnswer {
	body, err := json.Marshal(map[string]any{"resourceType": "OperationOutcome", "issue": []any{map[string]any{
		"severity": "error", "code": code, "diagnostics": text,
	}}})
	if err != nil {
		panic(err)
	}
	return fhirAnswer{status: status, body: body}
}

func (s *FHIRServer) told(status int, k fhir.Key, v storedVersion) fhirAnswer {
	a := fhirAnswer{status: status, modified: v.modified, body: v.body}
	if s.NoVersioning {
		return a
	}
	switch s.ETag {
	case "none":
	case "strong":
		a.etag = `"` + v.tag + `"`
	default:
		a.etag = `W/"` + v.tag + `"`
	}
	if status != http.StatusGone && s.ETag != "none" {
		a.location = "http://emr.example/fhir/" + k.String() + "/_history/" + v.tag
	}
	return a
}

// act carries out one interaction.
func (s *FHIRServer) act(method string, u *url.URL, body []byte, ifMatch, ifNone string) fhirAnswer {
	part := strings.Split(strings.Trim(strings.TrimPrefix(u.Path, "/fhir"), "/"), "/")
	k := fhir.Key{Type: part[0]}
	if len(part) > 1 {
		k.ID = part[1]
	}
	read := method == http.MethodGet || method == http.MethodHead && !s.NoHead
	switch {
	case slices.Contains(part, "_history") && len(part) < 4 && read && !s.NoHistory:
		return s.history(strings.TrimPrefix(k.Type, "_history"), u)
	case !fhir.IsType(k.Type):
		return refused(404, "not-supported", "unknown resource type")
	case len(part) == 1 && read && !s.NoSearch:
		return s.search(k.Type, u)
	case len(part) == 4 && read && !s.NoVersioning:
		for _, v := range s.docs[k] {
			if v.tag == part[3] {
				return s.shown(k, v)
			}
		}
		return refused(404, "not-found", "no such version")
	case len(part) != 2:
		return refused(405, "not-supported", "this is not offered")
	case read:
		v, ok := s.current(k)
		if !ok {
			return refused(404, "not-found", "no such resource")
		}
		return s.shown(k, v)
	case method == http.MethodPut || method == http.MethodDelete:
		return s.write(k, method, body, ifMatch, ifNone)
	}
	return refused(405, "not-supported", "this is not offered")
}

func (s *FHIRServer) shown(k fhir.Key, v storedVersion) fhirAnswer {
	if v.body != nil {
		a := s.told(200, k, v)
		a.location = ""
		return a
	}
	a := refused(410, "deleted", "it was deleted")
	a.etag = s.told(410, k, v).etag
	return a
}

func (s *FHIRServer) write(k fhir.Key, method string, body []byte, ifMatch, ifNone string) fhirAnswer {
	v, ok := s.current(k)
	live := ok && v.body != nil
	switch {
	case !s.NoVersioning && ifMatch != "" && (!live || strings.Trim(strings.TrimPrefix(ifMatch, "W/"), `"`) != v.tag):
		return refused(412, "conflict", "another version is there")
	case s.NoVersioning && ifMatch != "":
		return refused(400, "not-supported", "there are no versions here")
	case ifNone != "" && s.RefuseIfNone:
		return refused(400, "not-supported", "If-None-Match is for reads")
	case ifNone == "*" && live && s.NotModified:
		return fhirAnswer{status: 304}
	case ifNone == "*" && live && !s.IgnoreIfNone:
		return refused(412, "conflict", "it is there")
	case method == http.MethodDelete && !live:
		return fhirAnswer{status: 204}
	case method == http.MethodDelete && k.ID == s.Referred:
		return refused(409, "conflict", "others refer to it")
	case method == http.MethodDelete:
		return s.told(204, k, s.store(k, nil))
	case !ok && s.NoUpdateCreate:
		return refused(405, "not-supported", "ids are given by this server")
	}
	if s.Refuse != nil {
		if why := s.Refuse(k, body); why != "" {
			return refused(422, "business-rule", why)
		}
	}
	res, err := fhir.ParseAs(k.Type, body, 0)
	if err != nil || res.Key != k {
		return refused(400, "structure", "this is not "+k.String())
	}
	if !ok && s.Renames {
		k.ID = "of-this-server-" + k.ID
		if res, err = res.WithID(k.ID); err != nil {
			panic(err)
		}
		body = res.Body
	}
	if live && s.NotModified && bytes.Equal(res.Bare().Body, s.bare(k, v)) {
		return fhirAnswer{status: 304}
	}
	status := 200
	if !live {
		status = 201
	}
	return s.told(status, k, s.store(k, body))
}

func (s *FHIRServer) bare(k fhir.Key, v storedVersion) []byte {
	res, err := fhir.ParseAs(k.Type, v.body, 0)
	if err != nil {
		panic(err)
	}
	return res.Bare().Body
}
