package api

import (
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/syncerr"
)

// bundle is a Bundle as this server writes it (FHIR R4 bundle.html). Resources in it stay the bytes that they are.
type bundle struct {
	ResourceType string        `json:"resourceType"`
	Type         string        `json:"type"`
	Total        *int64        `json:"total,omitzero"`
	Link         []bundleLink  `json:"link,omitempty"`
	Entry        []bundleEntry `json:"entry,omitempty"`
}

type bundleLink struct {
	Relation string `json:"relation"`
	URL      string `json:"url"`
}

type bundleEntry struct {
	FullURL  string          `json:"fullUrl,omitzero"`
	Resource jsontext.Value  `json:"resource,omitzero"`
	Search   *bundleSearch   `json:"search,omitzero"`
	Request  *bundleRequest  `json:"request,omitzero"`
	Response *bundleResponse `json:"response,omitzero"`
}

type bundleSearch struct {
	Mode string `json:"mode"`
}

type bundleRequest struct {
	Method          string `json:"method"`
	URL             string `json:"url"`
	IfNoneMatch     string `json:"ifNoneMatch,omitzero"`
	IfModifiedSince string `json:"ifModifiedSince,omitzero"`
	IfMatch         string `json:"ifMatch,omitzero"`
	IfNoneExist     string `json:"ifNoneExist,omitzero"`
}

type bundleResponse struct {
	Status       string         `json:"status"`
	Location     string         `json:"location,omitzero"`
	ETag         string         `json:"etag,omitzero"`
	LastModified string         `json:"lastModified,omitzero"`
	Outcome      jsontext.Value `json:"outcome,omitzero"`
}

// bytes writes the Bundle; strings and numbers of its resources are kept as they stand.
func (b bundle) bytes() ([]byte, error) {
	b.ResourceType = "Bundle"
	out, err := jsonv2.Marshal(b, jsontext.PreserveRawStrings(true), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false))
	return out, syncerr.Wrap(syncerr.Internal, "write Bundle", err)
}
