package reconcile

import (
	"bytes"

	"github.com/tributary-sync/tributary/fhir"
)

// narrative returns the text of a merged resource. A text follows its resource: it is taken from the side whose elements the resource has.
// Where it has elements of both, a text that was made from the elements (generated, extensions) tells of neither and is left out; one that
// a person wrote (additional) may say what the elements do not (FHIR R4 narrative.html) and is merged like any element.
func (m *merger) narrative(at place, x *entry, allLeft, allRight bool) member {
	switch {
	case !x.differ && (allLeft || allRight):
		return x.l
	case allLeft && allRight && !written(x.l.raw) && !written(x.r.raw):
		if byLeft, _ := x.changed(); byLeft {
			return x.l
		}
		return x.r
	case allLeft && allRight:
		return m.member(at, "", x, false)
	case allLeft:
		return x.l
	case allRight:
		return x.r
	case !written(x.l.raw) && !written(x.r.raw):
		return member{}
	}
	return m.member(at, "", x, false)
}

func written(narrative []byte) bool { return text(narrative, "status") == "additional" }

// contained clashes where the merged resource refers to a contained one that is not in it, or contains one that nothing refers to any
// more: left and right are whole in this, and only together are they not (FHIR R4 references.html#contained, invariants dom-3 and ref-1).
func (m *merger) contained(at place, a, l, r, out elem) {
	if !bytes.Contains(out.raw, []byte(`"#`)) && !bytes.Contains(out.raw, []byte(`"contained"`)) {
		return
	}
	have := loose(out.raw)
	for name := range loose(l.raw) {
		delete(have, name)
	}
	for name := range loose(r.raw) {
		delete(have, name)
	}
	if len(have) == 0 {
		return
	}
	d := Difference{
		Path: at.path + ".contained", Words: "what one side refers to is not contained any more, or nothing refers to it", Clash: true,
		Left: field(l.raw, "contained"), Right: field(r.raw, "contained"), Ancestor: field(a.raw, "contained"),
	}
	if m.swapped {
		d.Left, d.Right = d.Right, d.Left
	}
	m.clashes = append(m.clashes, d)
}

// loose returns the ids by which a resource refers to contained ones that are not there, and those that are there without a reference.
func loose(body []byte) map[string]bool {
	out := map[string]bool{}
	each(field(body, "contained"), func(_, c []byte) { out[text(c, "id")] = true })
	named := map[string]bool{}
	for rest := body; ; {
		i := bytes.Index(rest, []byte(`"#`))
		if i < 0 {
			break
		}
		end := fhir.ValueEnd(rest, i)
		link := bytes.HasSuffix(rest[:i], []byte(`"reference":`))
		name := fhir.Unquote(rest[i:end])[1:]
		rest = rest[end:]
		if named[name] || !link && !out[name] || name == "" {
			continue
		}
		named[name] = true
		out[name] = !out[name]
	}
	for name, is := range out {
		if !is {
			delete(out, name)
		}
	}
	return out
}
