package load

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// item is one resource to be written, or one entry of a bundle that says to delete one.
type item struct {
	at      place
	file    string
	where   string // entry 3, line 17
	group   *group // the transaction to which it belongs; nil for a write on its own
	fullURL string
	request request
	body    []byte
	bad     error // it cannot be read
}

// group is a bundle of type transaction that travels as one.
type group struct{ entries int }

type request struct {
	Method      string `json:"method"`
	URL         string `json:"url"`
	IfNoneExist string `json:"ifNoneExist"`
	IfMatch     string `json:"ifMatch"`
}

type entry struct {
	FullURL  string         `json:"fullUrl"`
	Resource jsontext.Value `json:"resource"`
	Request  request        `json:"request"`
}

// lenient reads what holds resources. The resources themselves are read strictly afterwards, each on its own, so that one bad
// entry does not condemn its bundle.
func lenient() jsontext.Options {
	return json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

func (it *item) readEntry(value []byte) {
	var e entry
	if err := json.Unmarshal(value, &e, lenient()); err != nil {
		it.bad = syncerr.New(syncerr.Invalid, "read entry", "it is not an entry of a bundle: %w", err)
		return
	}
	it.fullURL, it.request, it.body = e.FullURL, e.Request, bytes.Clone(e.Resource)
	if it.reads() || it.request.Method == "DELETE" {
		return
	}
	switch {
	case it.request.Method != "" && it.request.Method != "PUT" && it.request.Method != "POST":
		it.bad = syncerr.New(syncerr.Unsupported, "read entry", "%.20q is not loaded", it.request.Method).WithHint("Entries may PUT, POST and DELETE")
	case strings.Contains(it.request.URL, "$"):
		it.bad = syncerr.New(syncerr.Unsupported, "read entry", "%.60q is an operation and nothing to load", it.request.URL)
	case len(it.body) == 0 || string(it.body) == "null":
		it.bad = syncerr.New(syncerr.Invalid, "read entry", "it has no resource")
	}
}

// reads reports whether the entry asks for something instead of writing.
func (it *item) reads() bool { return it.request.Method == "GET" || it.request.Method == "HEAD" }

// resource is an item with the key under which it is written.
type resource struct {
	fhir.Resource
	remove bool
}

// key gives an item its key: that of a PUT or DELETE, else the id that the resource has, else the uuid of its fullUrl, else
// fresh() makes one. A POST that brings an id is written under it, so that an Organization that stands in several bundles is one
// resource (FHIR R4 http.html#upsert).
func (it *item) key(fresh func() (string, error)) (resource, error) {
	if it.bad != nil {
		return resource{}, it.bad
	}
	named, isNamed := fhir.LocalKey(it.request.URL)
	if it.request.Method == "DELETE" {
		if !isNamed {
			return resource{}, syncerr.New(syncerr.Unsupported, "read entry", "DELETE %.80q does not name Type/id", it.request.URL)
		}
		return resource{Resource: fhir.Resource{Key: named}, remove: true}, nil
	}
	body, given := it.body, uuidOf(it.fullURL)
	if given != "" && it.request.Method != "PUT" {
		body = replaceBadID(body, given)
	}
	r, err := fhir.Parse(body, fhir.MaxBytes)
	if err != nil {
		return resource{}, err
	}
	id := r.Key.ID
	if it.request.Method == "PUT" && isNamed {
		if named.Type != r.Key.Type || (id != "" && id != named.ID) {
			return resource{}, syncerr.New(syncerr.Invalid, "read entry", "the request says PUT %s, the resource is %s/%s", named, r.Key.Type, id)
		}
		id = named.ID
	}
	if id == "" {
		id = given
	}
	if condition := it.condition(r.Key.Type); id == "" && condition != "" {
		id = uuid.NewSHA1(uuid.NameSpaceURL, []byte(condition)).String()
	}
	if id == "" {
		if id, err = fresh(); err != nil {
			return resource{}, err
		}
	}
	if id != r.Key.ID {
		if r, err = r.WithID(id); err != nil {
			return resource{}, err
		}
	}
	return resource{Resource: r}, nil
}

// condition returns the search by which a conditional create or update names its one resource (FHIR R4 http.html#ccreate and
// http.html#cond-update), "" for other entries. The id is made from it, so that loading again meets the same resource.
func (it *item) condition(resourceType string) string {
	if it.request.IfNoneExist != "" {
		return resourceType + "?" + it.request.IfNoneExist
	}
	if t, _, ok := strings.Cut(it.request.URL, "?"); ok && t == resourceType {
		return it.request.URL
	}
	return ""
}

// uuidOf returns the uuid of urn:uuid:..., in lower case (RFC 9562 section 4), "" for anything else.
func uuidOf(url string) string {
	u, err := uuid.Parse(url)
	if err != nil || len(url) != len("urn:uuid:")+36 {
		return ""
	}
	return u.String()
}

// replaceBadID sets an id that is no FHIR id to another one, because a server ignores the id of a POST (FHIR R4
// http.html#create). Anything else is left as it is; reading it strictly will say what is wrong.
func replaceBadID(body []byte, id string) []byte {
	d := jsontext.NewDecoder(bytes.NewReader(body), lenient())
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return body
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return body
		}
		if n := name.String(); n != "id" || d.PeekKind() != '"' {
			if d.SkipValue() != nil {
				return body
			}
			continue
		}
		v, err := d.ReadToken()
		if err != nil || fhir.ValidID(v.String()) {
			return body
		}
		end := int(d.InputOffset())
		start := bytes.LastIndex(body[:end], []byte(`"id"`))
		colon := start + 4 + strings.IndexByte(string(body[start+4:end]), ':')
		return append(append(bytes.Clone(body[:colon+1]), `"`+id+`"`...), body[end:]...)
	}
	return body
}
