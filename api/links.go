package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// resolve rewrites the links of everything that a transaction writes: the fullUrl of an entry becomes the key under which it
// is written (FHIR R4 http.html#trules and bundle.html#references), a condition becomes the key that it finds.
func (t *transaction) resolve(ctx context.Context) error {
	names, err := t.names()
	if err != nil {
		return err
	}
	found := map[string]fhir.Key{}
	for i := range t.writes {
		w := &t.writes[i]
		if w.Op == engine.Delete {
			continue
		}
		var failure error
		body := fhir.RewriteReferences(w.Body.Body, func(text string) (string, bool) {
			base, fragment := text, ""
			if at := strings.IndexByte(text, '#'); at > 0 {
				base, fragment = text[:at], text[at:]
			}
			if k, ok := names[nameOf(base)]; ok {
				return k.String() + fragment, true
			}
			rt, query, ok := strings.Cut(text, "?")
			if !ok || query == "" || !fhir.IsType(rt) || failure != nil {
				return "", false
			}
			k, ok := found[text]
			if !ok {
				if k, failure = t.find(ctx, rt, text); failure != nil {
					return "", false
				}
				found[text] = k
			}
			return k.String(), true
		})
		if failure != nil {
			return t.entries[w.entry].at(failure)
		}
		if w.Body, err = fhir.Parse(body, t.s.resourceLimit()); err != nil {
			return t.entries[w.entry].at(err)
		}
	}
	return nil
}

// nameOf is the form in which fullUrls are compared: UUIDs and OIDs in lower case.
func nameOf(fullURL string) string {
	if len(fullURL) > 4 && strings.EqualFold(fullURL[:4], "urn:") {
		return strings.ToLower(fullURL)
	}
	return fullURL
}

// names returns the keys of the entries by all that a link may call them: the fullUrl, and, where that ends with Type/id, these
// two alone, because a relative link is read against the fullUrl of the entry in which it stands. Two entries that would be
// called alike by it are not called so.
func (t *transaction) names() (map[string]fhir.Key, error) {
	names, short, twice := map[string]fhir.Key{}, map[string]fhir.Key{}, map[string]bool{}
	for _, e := range t.entries {
		if e.fullURL == "" || e.reads() || e.method == http.MethodDelete {
			continue
		}
		n := nameOf(e.fullURL)
		if _, ok := names[n]; ok {
			return nil, e.at(syncerr.New(syncerr.Invalid, "read Bundle", "fullUrl: another entry has the same"))
		}
		names[n] = e.key
		if part := strings.Split(e.fullURL, "/"); len(part) >= 2 {
			k := fhir.Key{Type: part[len(part)-2], ID: part[len(part)-1]}
			if fhir.IsType(k.Type) && k.Validate() == nil {
				_, had := short[k.String()]
				twice[k.String()] = had
				short[k.String()] = e.key
			}
		}
	}
	for n, k := range short {
		if _, ok := names[n]; !ok && !twice[n] {
			names[n] = k
		}
	}
	return names, nil
}

// find returns what a conditional reference names: the one resource that matches after the transaction, be it stored already
// or written here. The error does not quote the condition, which may be the identifier of a person.
func (t *transaction) find(ctx context.Context, resourceType, text string) (fhir.Key, error) {
	q, err := readCriteria(resourceType, text)
	if err != nil {
		return fhir.Key{}, err
	}
	var keys []fhir.Key
	err = t.s.engine.Store().Read(ctx, func(rd *store.Reader) error {
		var err error
		keys, err = rd.Find(q, len(t.writes)+2)
		return err
	})
	if err != nil {
		return fhir.Key{}, err
	}
	keys = slices.DeleteFunc(keys, func(k fhir.Key) bool {
		return slices.ContainsFunc(t.writes, func(w write) bool { return w.Key == k })
	})
	now := t.s.clock().UnixMilli()
	for _, w := range t.writes {
		if w.Op != engine.Delete && q.Match(w.Key, w.Body.Body, now) {
			keys = append(keys, w.Key)
		}
	}
	switch len(keys) {
	case 1:
		return keys[0], nil
	case 0:
		return fhir.Key{}, syncerr.New(syncerr.Precondition, "resolve reference", "a conditional reference to a %s finds nothing", resourceType).
			WithHint("Load the Bundle with that %s first", resourceType)
	default:
		return fhir.Key{}, syncerr.New(syncerr.Ambiguous, "resolve reference", "a conditional reference to a %s finds more than one", resourceType)
	}
}
