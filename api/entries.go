package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// maxEntries bounds the entries of a Bundle that is executed.
const maxEntries = 20_000

// entry is one interaction that a batch or transaction asks for.
type entry struct {
	index    int
	fullURL  string
	method   string
	key      fhir.Key // ID is empty for a POST, a search and where there is a condition; all of it for the history of everything
	version  string   // of a vread
	history  bool
	query    url.Values // of a GET
	criteria string     // of a conditional update, patch or delete: the query
	resource fhir.Resource
	patch    change
	request  bundleRequest
}

// at says which entry an error is about; the kind of the error stays.
func (e entry) at(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("entry[%d] %s: %w", e.index, strings.TrimSpace(e.method+" "+e.key.Type), err)
}

// readBundle reads a Bundle that is to be executed: its type, and its entries as far as they can be read without looking at
// what each of them asks for.
func readBundle(body []byte) (kind string, entries []bundleEntry, err error) {
	var b struct {
		ResourceType string        `json:"resourceType"`
		Type         string        `json:"type"`
		Entry        []bundleEntry `json:"entry"`
	}
	if err := jsonv2.Unmarshal(body, &b); err != nil {
		return "", nil, &syncerr.Error{Kind: syncerr.Invalid, Op: "read Bundle as JSON", Err: err}
	}
	switch {
	case b.ResourceType != "Bundle":
		return "", nil, syncerr.New(syncerr.Invalid, "read Bundle", "resourceType: %.60q is not Bundle", b.ResourceType).
			WithHint("Only a Bundle of type batch or transaction is sent here; a single resource goes to its type, for example /fhir/R4/Patient")
	case b.Type != "batch" && b.Type != "transaction":
		return "", nil, syncerr.New(syncerr.Invalid, "read Bundle", "type: %.60q is neither batch nor transaction", b.Type).
			WithHint("To store it as a document, send it to /fhir/R4/Bundle")
	case len(b.Entry) > maxEntries:
		return "", nil, syncerr.New(syncerr.TooLarge, "read Bundle", "%d entries, more than %d", len(b.Entry), maxEntries).WithHint("Send several Bundles")
	}
	return b.Type, b.Entry, nil
}

// readEntry reads what an entry asks for. limit is that of one resource in bytes.
func readEntry(i int, b bundleEntry, limit int) (entry, error) {
	e := entry{index: i, fullURL: b.FullURL}
	if b.Request == nil {
		return e, e.at(syncerr.New(syncerr.Invalid, "read request", "it is missing").WithHint("Each entry of a batch or transaction has request.method and request.url"))
	}
	e.request, e.method = *b.Request, b.Request.Method
	if err := e.readURL(); err != nil {
		return e, e.at(err)
	}
	switch e.method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	case http.MethodGet, http.MethodHead, http.MethodDelete:
		return e, nil
	default:
		return e, e.at(syncerr.New(syncerr.Invalid, "read request", "method: %.20q is not supported", e.method).WithHint("Use GET, HEAD, POST, PUT, PATCH or DELETE"))
	}
	if b.Resource == nil {
		return e, e.at(syncerr.New(syncerr.Invalid, "read resource", "it is missing"))
	}
	var err error
	if e.resource, err = parse(b.Resource, limit); err != nil {
		return e, e.at(err)
	}
	switch {
	case e.method == http.MethodPatch:
		e.patch, err = patchOf(e.resource)
		return e, e.at(err)
	case e.key.ID == "":
		return e, e.at(sameType(e.key.Type, e.resource))
	}
	return e, e.at(sameKey(e.key, e.resource))
}

// reads reports whether the entry only reads.
func (e entry) reads() bool { return e.method == http.MethodGet || e.method == http.MethodHead }

// readURL reads request.url, which is relative to the base (FHIR R4 bundle.html, Bundle.entry.request.url).
func (e *entry) readURL() error {
	path, query, _ := strings.Cut(strings.TrimPrefix(e.request.URL, "/"), "?")
	part := strings.Split(strings.TrimSuffix(path, "/"), "/")
	var err error
	if e.query, err = url.ParseQuery(query); err != nil {
		return syncerr.New(syncerr.Invalid, "read request", "url: its query is malformed")
	}
	n := len(part)
	if e.history = part[n-1] == "_history" && n <= 3; e.history {
		n--
	}
	if n > 0 && part[0] == "" {
		return syncerr.New(syncerr.Invalid, "read request", "url: it names no resource type")
	}
	if n > 0 {
		if e.key.Type, err = knownType(part[0]); err != nil {
			return syncerr.New(syncerr.NotFound, "read request", "url: %.60q is not a resource type of FHIR R4", part[0])
		}
	}
	if n > 1 {
		e.key.ID = part[1]
		if err := e.key.Validate(); err != nil {
			return err
		}
	}
	fits := false
	switch {
	case e.reads():
		if n == 4 && part[2] == "_history" {
			e.version = part[3]
		}
		fits = e.history || n <= 2 || e.version != ""
	case e.history:
	case e.method == http.MethodPost:
		fits = n == 1 && query == ""
	case query != "":
		fits, e.criteria = n == 1, query
	default:
		fits = n == 2
	}
	if !fits {
		return syncerr.New(syncerr.Invalid, "read request", "url: it does not fit %.20s", e.method).
			WithHint("Write Type for POST, Type/id or Type?search for PUT, PATCH and DELETE; GET and HEAD take Type/id, Type?search, " +
				"Type/id/_history, Type/id/_history/version, Type/_history and _history")
	}
	return nil
}
