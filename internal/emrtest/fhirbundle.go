package emrtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/fhir"
)

type fhirEntry struct {
	FullURL  string         `json:"fullUrl,omitzero"`
	Resource jsontext.Value `json:"resource,omitzero"`
	Request  *struct {
		Method      string `json:"method"`
		URL         string `json:"url"`
		IfMatch     string `json:"ifMatch,omitzero"`
		IfNoneMatch string `json:"ifNoneMatch,omitzero"`
	} `json:"request,omitzero"`
	Response *fhirResponse `json:"response,omitzero"`
}

type fhirResponse struct {
	Status       string         `json:"status"`
	Location     string         `json:"location,omitzero"`
	ETag         string         `json:"etag,omitzero"`
	LastModified string         `json:"lastModified,omitzero"`
	Outcome      jsontext.Value `json:"outcome,omitzero"`
}

type fhirBundle struct {
	ResourceType string      `json:"resourceType"`
	Type         string      `json:"type"`
	Link         []any       `json:"link,omitempty"`
	Entry        []fhirEntry `json:"entry,omitempty"`
}

func (b fhirBundle) bytes() []byte {
	b.ResourceType = "Bundle"
	out, err := jsonv2.Marshal(b, jsontext.PreserveRawStrings(true))
	if err != nil {
		panic(err)
	}
	return out
}

func (s *FHIRServer) batch(body []byte, f Fault) fhirAnswer {
	var in, out fhirBundle
	if s.NoBatch {
		return refused(405, "not-supported", "no batches here")
	}
	if err := jsonv2.Unmarshal(body, &in); err != nil || in.Type != "batch" {
		return refused(400, "structure", "this is no batch")
	}
	out.Type = "batch-response"
	out.Entry = make([]fhirEntry, len(in.Entry))
	for i, e := range slices.Backward(in.Entry) { // no order is promised (FHIR R4 http.html#brules)
		u, err := url.Parse("/fhir/" + e.Request.URL)
		if err != nil {
			panic(err)
		}
		var a fhirAnswer
		if i+1 == f.EntryAt {
			a = refused(f.EntryCode, "exception", "this one went wrong")
		} else {
			a = s.act(e.Request.Method, u, e.Resource, e.Request.IfMatch, e.Request.IfNoneMatch)
		}
		if s.Silent && e.Request.Method != http.MethodGet && a.status < 300 {
			a.body = nil
		}
		x := fhirEntry{Response: &fhirResponse{Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), ETag: a.etag, Location: a.location}}
		if !a.modified.IsZero() {
			x.Response.LastModified = a.modified.Format(time.RFC3339)
		}
		if a.status < 400 {
			x.Resource = a.body
		} else {
			x.Response.Outcome = a.body
		}
		out.Entry[i] = x
	}
	if f.DropAfter > 0 {
		out.Entry = out.Entry[:min(f.DropAfter, len(out.Entry))]
	}
	return fhirAnswer{status: 200, body: out.bytes()}
}

// page cuts entries to the page that the query asks for.
func (s *FHIRServer) page(kind string, u *url.URL, entries []fhirEntry) fhirAnswer {
	q := u.Query()
	size := s.Page
	if size == 0 {
		size = 50
	}
	if n, err := strconv.Atoi(q.Get("_count")); err == nil {
		size = min(size, n)
	}
	from, _ := strconv.Atoi(q.Get("_offset"))
	b := fhirBundle{Type: kind}
	from = min(from, len(entries))
	to := min(from+size, len(entries))
	b.Entry = entries[from:to]
	if to < len(entries) {
		q.Set("_offset", strconv.Itoa(to))
		base := s.NextBase
		if base == "" {
			base = "/fhir"
		}
		b.Link = []any{map[string]string{"relation": "next", "url": base + strings.TrimPrefix(u.Path, "/fhir") + "?" + q.Encode()}}
	}
	return fhirAnswer{status: 200, body: b.bytes()}
}

// history has the changes since _since, newest first.
func (s *FHIRServer) history(t string, u *url.URL) fhirAnswer {
	since, _ := time.Parse(time.RFC3339, u.Query().Get("_since"))
	var out []fhirEntry
	for _, l := range s.log {
		if t != "" && l.key.Type != t || l.modified.Before(since) {
			continue
		}
		e := fhirEntry{FullURL: "http://emr.example/fhir/" + l.key.String(), Resource: l.body, Response: &fhirResponse{
			Status: "200 OK", LastModified: l.modified.Format(time.RFC3339Nano), ETag: s.told(200, l.key, l.storedVersion).etag,
		}}
		method := http.MethodPut
		if l.body == nil {
			method, e.Response.Status = http.MethodDelete, "204"
		}
		if err := json.Unmarshal([]byte(`{"method":"`+method+`","url":"`+l.key.String()+`"}`), &e.Request); err != nil {
			panic(err)
		}
		out = append(out, e)
	}
	if !s.OldestFirst {
		slices.Reverse(out)
	}
	return s.page("history", u, out)
}

// search knows _id, _lastUpdated=ge, _sort by _lastUpdated and _elements=id,meta.
func (s *FHIRServer) search(t string, u *url.URL) fhirAnswer {
	q := u.Query()
	var found []loggedVersion
	for k, vs := range s.docs {
		v := vs[len(vs)-1]
		if k.Type != t || v.body == nil || q.Has("_id") && !slices.Contains(strings.Split(q.Get("_id"), ","), k.ID) {
			continue
		}
		if from, err := time.Parse(time.RFC3339, strings.TrimPrefix(q.Get("_lastUpdated"), "ge")); err == nil && v.modified.Before(from) {
			continue
		}
		found = append(found, loggedVersion{k, v})
	}
	slices.SortFunc(found, func(a, b loggedVersion) int {
		if c := a.modified.Compare(b.modified); c != 0 && !s.Unsorted {
			switch q.Get("_sort") {
			case "_lastUpdated":
				return c
			case "-_lastUpdated":
				return -c
			}
		}
		return a.key.Compare(b.key)
	})
	var out []fhirEntry
	for _, l := range found {
		e := fhirEntry{FullURL: "http://emr.example/fhir/" + l.key.String(), Resource: l.body}
		if q.Get("_elements") == "id,meta" && !s.NoElements {
			res, err := fhir.ParseAs(t, l.body, 0)
			if err != nil {
				panic(err)
			}
			e.Resource = jsontext.Value(fmt.Sprintf(`{"resourceType":%q,"id":%q,"meta":%s}`, t, l.key.ID, res.Member("meta")))
		}
		out = append(out, e)
	}
	return s.page("searchset", u, out)
}

func (s *FHIRServer) statement() []byte {
	codes := func(names ...string) []any {
		var out []any
		for _, n := range names {
			if n != "" {
				out = append(out, map[string]string{"code": n})
			}
		}
		return out
	}
	unless := func(not bool, name string) string {
		if not {
			return ""
		}
		return name
	}
	versioning := "versioned-update"
	if s.NoVersioning {
		versioning = "no-version"
	}
	bundles := unless(s.NoBatch, "batch")
	if s.OnlyTransaction {
		bundles = "transaction"
	}
	var resources []any
	for _, t := range []string{"Patient", "Observation", "Encounter"} {
		resources = append(resources, map[string]any{
			"type": t, "versioning": versioning, "updateCreate": !s.NoUpdateCreate,
			"interaction": codes("read", "update", "delete", unless(s.NoVersioning, "vread"), unless(s.NoHistory, "history-type"), unless(s.NoSearch, "search-type")),
		})
	}
	version := s.FHIRVersion
	if version == "" {
		version = "4.0.1"
	}
	formats := s.Formats
	if formats == nil {
		formats = []string{"application/fhir+json", "xml"}
	}
	out, err := json.Marshal(map[string]any{
		"resourceType": "CapabilityStatement", "fhirVersion": version, "format": formats, "kind": "instance", "software": map[string]string{"name": "emrtest"},
		"rest": []any{map[string]any{
			"mode": "server", "interaction": codes(bundles, unless(s.NoHistory, "history-system")), "resource": resources,
		}},
	})
	if err != nil {
		panic(err)
	}
	return out
}
