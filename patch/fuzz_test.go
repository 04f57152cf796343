package patch_test

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/patch"
	"github.com/tributary-sync/tributary/syncerr"
)

const fuzzed = `{"resourceType":"Patient","id":"p","active":true,"birthDate":"1970","_birthDate":{"extension":[{"url":"u","valueDecimal":1.00}]},` +
	`"name":[{"use":"official","given":["A","B"],"_given":[null,{"id":"x"}]},{"family":"C"}],"contained":[{"resourceType":"Organization","id":"o"}]}`

// Whatever is sent, in whichever language: the outcome is compact JSON within the limit, or an error that blames the caller.
func FuzzPatch(f *testing.F) {
	for _, s := range []string{
		`[{"op":"add","path":"/name/0/given/-","value":1.00},{"op":"move","from":"/name/1","path":"/name/0"},{"op":"copy","from":"","path":"/a~1b"},{"op":"test","path":"/active","value":true},{"op":"remove","path":"/_birthDate/extension/0"}]`,
		params(op("add", "Patient.birthDate", "name", str("extension"), "value", `"valueExtension":{"url":"v"}`), op("move", "Patient.name[0].given", "source", num(1), "destination", num(0))),
		params(op("delete", "Patient.birthDate.extension('u')"), op("insert", "Patient.name", "index", num(1), "value", `"valueHumanName":{"text":"x"}`)),
		params(op("replace", "Patient.name.where(use = 'official' and given.count() >= 2 or false).given[1]", "value", `"valueString":"x","_valueString":{"id":"y"}`)),
		params(op("add", "Patient", "name", str("contact"), "value", `"part":[{"name":"name","part":[{"name":"given","valueString":"G"}]}]`)),
		params(op("delete", "(Patient.deceased as boolean) | {}.ofType(FHIR.`x`) is @2020-01-01T00:00:00+01:00")), `[`, ``, `{}`, `[{"op":null}]`,
	} {
		f.Add(fuzzed, s)
	}
	f.Fuzz(func(t *testing.T, body, p string) {
		const limit = 1 << 16
		if len(body) > limit || !jsontext.Value(body).IsValid() {
			body = fuzzed
		}
		for _, apply := range []func([]byte, []byte, int) ([]byte, error){patch.JSON, patch.FHIRPath} {
			before := []byte(body)
			out, err := apply(before, []byte(p), limit)
			if string(before) != body {
				t.Error("the document was changed in place")
			}
			if err != nil {
				switch k := syncerr.KindOf(err); k {
				case syncerr.Invalid, syncerr.Unprocessable, syncerr.TooLarge:
				default:
					t.Errorf("%v is %s", err, k)
				}
				continue
			}
			v := jsontext.Value(bytes.Clone(out))
			if err := v.Compact(); err != nil || !bytes.Equal(v, out) || len(out) > limit {
				t.Errorf("%d bytes, %v: %.300s", len(out), err, out)
			}
		}
	})
}
