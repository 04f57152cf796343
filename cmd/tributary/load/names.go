package load

import (
	"crypto/sha256"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
)

// names knows what each resource of the files is called and what it answers to. Names are kept as digests, because a million
// resources must fit into the memory of a clinic's computer.
type names struct {
	keys []fhir.Key
	by   map[digest]int32 // index into keys; ambiguous where several answer to it
}

type digest [16]byte

const ambiguous = int32(-1)

func newNames() *names { return &names{by: map[digest]int32{}} }

func digestOf(name string) digest {
	sum := sha256.Sum256([]byte(name))
	return digest(sum[:16])
}

// add notes a resource under its key, its fullUrl and its identifiers.
func (n *names) add(r fhir.Resource, fullURL string) {
	at, known := n.by[digestOf(r.Key.String())]
	if !known {
		t, _ := fhir.CanonicalType(r.Key.Type) // one copy of the type's name for all keys
		n.keys = append(n.keys, fhir.Key{Type: t, ID: strings.Clone(r.Key.ID)})
		at = int32(len(n.keys) - 1)
		n.by[digestOf(r.Key.String())] = at
	}
	if strings.HasPrefix(fullURL, "urn:") {
		n.put(strings.ToLower(fullURL), at)
	}
	each := func(identifier gjson.Result) {
		if v := identifier.Get("value").String(); v != "" {
			n.put(queryOf(r.Key.Type, identifier.Get("system").String(), v), at)
		}
	}
	switch ids := gjson.GetBytes(r.Body, "identifier"); {
	case ids.IsArray():
		ids.ForEach(func(_, one gjson.Result) bool {
			each(one)
			return true
		})
	case ids.IsObject():
		each(ids)
	}
}

func (n *names) put(name string, at int32) {
	d := digestOf(name)
	if have, ok := n.by[d]; ok && have != at {
		at = ambiguous
	}
	n.by[d] = at
}

func (n *names) get(name string) (k fhir.Key, found, several bool) {
	at, ok := n.by[digestOf(name)]
	if !ok {
		return fhir.Key{}, false, false
	}
	if at == ambiguous {
		return fhir.Key{}, true, true
	}
	return n.keys[at], true, false
}

func queryOf(resourceType, system, value string) string {
	return resourceType + "?identifier=" + system + "|" + value
}

// conditional reads a conditional reference, Type?identifier=system|value (FHIR R4 http.html#trules), whose text may be
// percent-encoded or not. ok is false for anything that is none; usable is false for one that asks for something else than one
// identifier with its system.
func conditional(ref string) (resourceType, system, value string, usable, ok bool) {
	t, query, found := strings.Cut(ref, "?")
	if !found || !fhir.IsType(t) {
		return "", "", "", false, false
	}
	token, found := strings.CutPrefix(query, "identifier=")
	if !found || strings.Contains(token, "&") {
		return t, "", "", false, true
	}
	// Not QueryUnescape: a plus sign that was not encoded is meant as one.
	if plain, err := url.PathUnescape(token); err == nil {
		token = plain
	}
	system, value, found = strings.Cut(token, "|")
	return t, system, value, found && value != "", true
}
