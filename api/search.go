package api

import (
	"context"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// maxForm bounds the body of a search in bytes.
const maxForm = 1 << 20

// fhirSearch answers a search of one type, by GET or by POST to _search (FHIR R4 http.html#search).
func (s *Server) fhirSearch(w http.ResponseWriter, r *http.Request) error {
	t, err := pathType(r)
	if err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	values, err := searchValues(w, r)
	if err != nil {
		return err
	}
	p, err := s.search(r.Context(), s.baseOf(r), t, values, preference(r.Header, "handling") == "strict")
	if err != nil {
		return err
	}
	p.write(w, r, "")
	return nil
}

func searchValues(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	malformed := func(where string) error {
		return syncerr.New(syncerr.Invalid, "read search", "the %s is malformed", where).WithHint("Write %% as %%25, and names and values as in the query of a URL")
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, malformed("query of the URL")
	}
	if r.Method != http.MethodPost {
		return values, nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.ContentLength != 0 && (err != nil || media != "application/x-www-form-urlencoded") {
		return nil, syncerr.New(syncerr.Unsupported, "read search", "Content-Type: %.80q is no form", r.Header.Get("Content-Type")).
			WithHint("Send application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if status := statusOf(err, Caller{}); status == http.StatusRequestEntityTooLarge {
			return nil, syncerr.New(syncerr.TooLarge, "read search", "the form is larger than %d bytes", maxForm)
		}
		return nil, malformed("form")
	}
	return r.Form, nil
}

// given returns the parameters without those that are empty: they "are not an error - they are just ignored by the server" (FHIR R4
// search.html#errors).
func given(values url.Values) url.Values {
	out := url.Values{}
	for name, all := range values {
		for _, v := range all {
			if v != "" {
				out.Add(name, v)
			}
		}
	}
	return out
}

func (s *Server) search(ctx context.Context, base, t string, values url.Values, strict bool) (reply, error) {
	values = given(values)
	q, err := search.Parse(t, values, strict)
	if err != nil {
		if syncerr.KindOf(err) == syncerr.Unsupported {
			err = withStatus(http.StatusNotAcceptable, err)
		}
		return reply{}, err
	}
	found, err := s.engine.Store().Search(ctx, q)
	if err != nil {
		return reply{}, err
	}
	self := maps.Clone(q.Applied)
	if v := values.Get("_page"); v != "" {
		self.Set("_page", v)
	}
	b := bundle{Type: "searchset", Link: []bundleLink{{"self", base + "/" + t + queryText(self)}}}
	if found.Counted {
		b.Total = &found.Total
	}
	if found.Next != "" {
		next := maps.Clone(q.Applied)
		next.Set("_page", found.Next)
		b.Link = append(b.Link, bundleLink{"next", base + "/" + t + queryText(next)})
	}
	for _, c := range found.Copies {
		if err := b.add(base, c, "match", q.Elements); err != nil {
			return reply{}, err
		}
	}
	for _, c := range found.Included {
		if err := b.add(base, c, "include", nil); err != nil {
			return reply{}, err
		}
	}
	if found.More {
		b.Entry = append(b.Entry, bundleEntry{Search: &bundleSearch{"outcome"}, Resource: fhir.OutcomeInfo("there is more to include than a page may have: " +
			"ask for smaller pages with _count, or for the rest by searches of its own")})
	}
	body, err := b.bytes()
	return reply{status: http.StatusOK, body: body}, err
}

// add adds a resource as a search shows it.
func (b *bundle) add(base string, c store.Copy, mode string, elements []string) error {
	body, err := shown(c)
	if err != nil {
		return err
	}
	if len(elements) > 0 {
		body = subset(body, elements)
	}
	b.Entry = append(b.Entry, bundleEntry{FullURL: base + "/" + c.Key.String(), Resource: body, Search: &bundleSearch{mode}})
	return nil
}

// subset leaves the named members of a resource, with what says what and which it is; its meta tells that it is not the whole (FHIR R4
// search.html#elements, resource.html#simple-tags).
func subset(body []byte, elements []string) []byte {
	const tag = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
	out := []byte("{")
	member := func(name, raw string) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(append(out, `"`...), name...), `":`...), raw...)
	}
	gjson.ParseBytes(body).ForEach(func(name, v gjson.Result) bool {
		switch plain := strings.TrimPrefix(name.Str, "_"); {
		case name.Str == "meta":
			member("meta", tagged(v, tag))
		case name.Str == "resourceType" || name.Str == "id" || slices.Contains(elements, plain) || chosen(plain, elements):
			member(name.Str, v.Raw)
		}
		return true
	})
	return append(out, '}')
}

// tagged adds a tag to a meta.
func tagged(meta gjson.Result, tag string) string {
	out, tags := "{", ""
	meta.ForEach(func(name, v gjson.Result) bool {
		if name.Str == "tag" && v.IsArray() {
			tags = strings.TrimSuffix(strings.TrimPrefix(v.Raw, "["), "]") + ","
		} else {
			out += name.Raw + ":" + v.Raw + ","
		}
		return true
	})
	return out + `"tag":[` + tags + tag + "]}"
}

// chosen reports whether a member is one form of an element that was asked for: value covers valueQuantity.
func chosen(member string, elements []string) bool {
	return slices.ContainsFunc(elements, func(e string) bool {
		rest, ok := strings.CutPrefix(member, e)
		return ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z'
	})
}
