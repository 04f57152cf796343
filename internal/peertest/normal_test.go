package peertest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// facets is an answer taken apart into what can be compared: a name such as "status" or "name[0].family", and its text. What
// must differ between two servers (ids that they chose, versions, times, their address, words for people) is levelled.
type facets map[string]string

// The facets whose names could be those of elements.
const (
	statusOf   = "HTTP status"
	bodyOf     = "HTTP body"
	bundleType = "Bundle.type"
)

// read takes an answer apart; ordered says that the order of what a search found counts.
func read(status int, body []byte, ordered bool) facets {
	f := facets{statusOf: strconv.Itoa(status), bodyOf: "none"}
	if len(bytes.TrimSpace(body)) == 0 {
		return f
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		f[bodyOf] = "no JSON object"
		return f
	}
	f[bodyOf] = text(v["resourceType"])
	f.resource("", v, ordered)
	return f
}

func (f facets) resource(at string, v map[string]any, ordered bool) {
	kind := text(v["type"])
	switch {
	case v["resourceType"] == "OperationOutcome":
		f[at+"outcome"] = outcome(v)
	case v["resourceType"] == "Bundle" && kind == "searchset":
		f.searchset(at, v, ordered)
	case v["resourceType"] == "Bundle" && (kind == "history" || strings.HasSuffix(kind, "-response")):
		f.entries(at, v)
	default:
		f.flatten(at, v)
	}
}

// outcome is severity and code of each issue.
func outcome(v map[string]any) string {
	var all []string
	for _, i := range list(v["issue"]) {
		issue, _ := i.(map[string]any)
		all = append(all, text(issue["severity"])+" "+text(issue["code"]))
	}
	return strings.Join(all, ", ")
}

func (f facets) searchset(at string, v map[string]any, ordered bool) {
	f[at+"total"], f[at+"next link"] = text(v["total"]), hasLink(v, "next")
	f[at+"self link"] = hasLink(v, "self")
	found := map[string][]string{}
	urls, modes := map[string]bool{}, map[string]bool{}
	for _, e := range list(v["entry"]) {
		entry, _ := e.(map[string]any)
		r, _ := entry["resource"].(map[string]any)
		search, _ := entry["search"].(map[string]any)
		key := level(text(r["resourceType"]) + "/" + text(r["id"]))
		mode := text(search["mode"])
		modes[mode], urls[yes(entry["fullUrl"] != nil)] = true, true
		group := "matches"
		if mode == "include" {
			group = "included"
		}
		found[group] = append(found[group], key)
		f.flatten(at+key+" ", r)
	}
	for _, group := range []string{"matches", "included"} {
		if !ordered || group == "included" {
			slices.Sort(found[group])
		}
		f[at+group] = strings.Join(found[group], " ")
	}
	delete(modes, "include")
	if len(list(v["entry"])) > 0 {
		f[at+"search.mode"], f[at+"fullUrl"] = keys(modes), keys(urls)
	}
}

// entries takes the entries of a history or of the answer to a batch or transaction apart.
func (f facets) entries(at string, v map[string]any) {
	f[at+"entries"] = strconv.Itoa(len(list(v["entry"])))
	f[at+bundleType] = text(v["type"])
	for i, e := range list(v["entry"]) {
		entry, _ := e.(map[string]any)
		request, _ := entry["request"].(map[string]any)
		response, _ := entry["response"].(map[string]any)
		in := fmt.Sprintf("%sentry[%d].", at, i)
		status, _, _ := strings.Cut(text(response["status"]), " ")
		f[in+"response.status"] = status
		f[in+"request"] = text(request["method"])
		f[in+"location"] = level(text(response["location"]))
		f[in+"etag"], f[in+"lastModified"] = yes(response["etag"] != nil), yes(response["lastModified"] != nil)
		if o, ok := response["outcome"].(map[string]any); ok {
			f[in+"outcome"] = outcome(o)
		}
		r, ok := entry["resource"].(map[string]any)
		f[in+"resource"] = yes(ok)
		if ok {
			f.resource(in, r, false)
		}
	}
}

func (f facets) flatten(at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			switch at := strings.TrimSuffix(at, "."); {
			case name == "versionId":
				f[join(at, name)] = "(version)"
			case name == "lastUpdated":
				f[join(at, name)] = instant(value)
			default:
				f.flatten(join(at, name)+".", value)
			}
		}
		if len(v) == 0 {
			f[strings.TrimSuffix(at, ".")] = "{}"
		}
	case []any:
		for i, value := range v {
			f.flatten(fmt.Sprintf("%s[%d].", strings.TrimSuffix(at, "."), i), value)
		}
		if len(v) == 0 {
			f[strings.TrimSuffix(at, ".")] = "[]"
		}
	default:
		f[strings.TrimSuffix(at, ".")] = level(text(v))
	}
}

func join(at, name string) string {
	if at == "" || strings.HasSuffix(at, " ") {
		return at + name
	}
	return at + "." + name
}

func instant(v any) string {
	if t, err := time.Parse(time.RFC3339Nano, text(v)); err == nil && t.Year() >= 2020 {
		return "(now)"
	}
	return text(v)
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return fmt.Sprint(v)
	}
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func keys(m map[string]bool) string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func hasLink(v map[string]any, relation string) string {
	return yes(slices.ContainsFunc(list(v["link"]), func(l any) bool {
		link, _ := l.(map[string]any)
		return link["relation"] == relation
	}))
}

var (
	uuid    = regexp.MustCompile(`(urn:uuid:)?\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	history = regexp.MustCompile(`/_history/[A-Za-z0-9.-]+`)
)

// level replaces the ids and versions that a server chose; a urn stays, because it is the client's.
func level(s string) string {
	s = history.ReplaceAllString(s, "/_history/(version)")
	return uuid.ReplaceAllStringFunc(s, func(u string) string {
		if strings.HasPrefix(u, "urn:") {
			return u
		}
		return "(id)"
	})
}

// difference is one facet in which two answers to a request are not the same.
type difference struct{ request, facet, node, peer string }

// compare returns the differences between two answers. Where one server did what the other refused, what they say has no more
// to be compared.
func compare(request string, node, peer facets) []difference {
	differ := func(name string) []difference {
		return []difference{{request, name, show(node, name), show(peer, name)}}
	}
	refused := func(f facets) bool { return f[statusOf] >= "400" }
	if refused(node) != refused(peer) || refused(node) && node[statusOf] != peer[statusOf] {
		return differ(statusOf)
	}
	if node[bodyOf] != peer[bodyOf] {
		if node[statusOf] != peer[statusOf] {
			return append(differ(statusOf), differ(bodyOf)...)
		}
		return differ(bodyOf)
	}
	if node["entries"] != peer["entries"] {
		return differ("entries")
	}
	var all []difference
	for _, name := range slices.Sorted(maps.Keys(union(node, peer))) {
		if show(node, name) == show(peer, name) || missing(name, node, peer) || name == "total" && counts(node) && counts(peer) {
			continue
		}
		d := differ(name)[0]
		if node[bundleType] == "history" {
			d.facet = index.ReplaceAllString(name, "entry[]") // the same of each entry is one difference
		}
		if !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}

// counts reports whether the total is the number of what was found, so that it says nothing of its own.
func counts(f facets) bool { return f["total"] == strconv.Itoa(len(strings.Fields(f["matches"]))) }

func union(a, b facets) facets {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

var index = regexp.MustCompile(`^entry\[\d+\]`)

// missing reports whether a facet belongs to a resource that one of the answers does not have at all, which is a difference already.
func missing(name string, node, peer facets) bool {
	if key, _, ok := strings.Cut(name, " "); ok && strings.Contains(key, "/") { // of a search
		return show(node, key+" resourceType") != show(peer, key+" resourceType")
	}
	at := index.FindString(name) + ".resource"
	return name != at && show(node, at) != show(peer, at) && (show(node, name) == "-" || show(peer, name) == "-")
}

func show(f facets, name string) string {
	v, ok := f[name]
	switch {
	case !ok:
		return "-"
	case v == "":
		return "(empty)"
	}
	return v
}
