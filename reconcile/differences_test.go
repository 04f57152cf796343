package reconcile_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/reconcile"
)

const (
	diffAncestor = `{"resourceType":"Patient","id":"p","gender":"male","birthDate":"2000-01-01","telecom":[{"use":"home","value":"1"}],"text":{"status":"generated","div":"a"}}`
	diffLeft     = `{"resourceType":"Patient","id":"p","gender":"female","birthDate":"2000-01-02","telecom":[{"use":"home","value":"1"},{"use":"work","value":"9"}],"text":{"status":"generated","div":"b"}}`
	diffRight    = `{"resourceType":"Patient","id":"p","active":true,"gender":"other","birthDate":"2000-01-01","text":{"status":"generated","div":"a"}}`
)

func TestDifferences(t *testing.T) {
	var got []string
	for _, d := range reconcile.Differences([]byte(diffAncestor), []byte(diffLeft), []byte(diffRight)) {
		got = append(got, strings.Join([]string{d.Path, d.Words, string(d.Left), string(d.Right), string(d.Ancestor)}, "; "))
	}
	want := []string{
		`Patient.active; added on the right; ; true; `,
		`Patient.gender; changed on both sides, differently; "female"; "other"; "male"`,
		`Patient.birthDate; changed on the left; "2000-01-02"; "2000-01-01"; "2000-01-01"`,
		`Patient.telecom[0]; removed on the right; {"use":"home","value":"1"}; ; {"use":"home","value":"1"}`,
		`Patient.telecom[left:0]; added on the left; {"use":"work","value":"9"}; ; `,
	}
	want[4] = strings.Replace(want[4], "left:0", "left:1", 1)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if d := reconcile.Differences([]byte(diffAncestor), []byte(diffLeft), []byte(diffLeft)); d != nil {
		t.Errorf("%+v", d)
	}
}

// A person chooses element by element, what one side alone changed included.
func TestMergeChoosing(t *testing.T) {
	choice := map[string]reconcile.Side{"Patient.gender": reconcile.Right, "Patient.birthDate": reconcile.Right, "Patient.telecom[left:1]": reconcile.Right}
	pick := func(d reconcile.Difference) reconcile.Side { return choice[d.Path] }
	merged, clashes := reconcile.MergeChoosing([]byte(diffAncestor), []byte(diffLeft), []byte(diffRight), pick)
	if want := diffRight; string(merged) != want || clashes != nil {
		t.Errorf("all from the right is the right copy: %s %v", merged, clashes)
	}
	delete(choice, "Patient.birthDate")
	merged, _ = reconcile.MergeChoosing([]byte(diffAncestor), []byte(diffLeft), []byte(diffRight), pick)
	if want := `{"resourceType":"Patient","id":"p","active":true,"gender":"other","birthDate":"2000-01-02"}`; string(merged) != want {
		t.Errorf("%s, and the text of neither side says that", merged)
	}
	delete(choice, "Patient.gender")
	if merged, clashes = reconcile.MergeChoosing([]byte(diffAncestor), []byte(diffLeft), []byte(diffRight), pick); merged != nil || len(clashes) != 1 || clashes[0].Path != "Patient.gender" {
		t.Errorf("%s %v", merged, clashes)
	}
}

// A person may write a value of elements that can be taken from one side only: of those that say one thing together, and of those that
// have a choice of types.
func TestMergeWithValuesOfOnesOwn(t *testing.T) {
	for _, c := range []struct{ name, ancestor, left, right, path, own, want string }{
		{
			"together", `{"resourceType":"AllergyIntolerance","code":{"text":"a"},"criticality":"low"}`, `{"resourceType":"AllergyIntolerance","code":{"text":"b"},"criticality":"low"}`,
			`{"resourceType":"AllergyIntolerance","code":{"text":"c"},"criticality":"high"}`, "AllergyIntolerance.criticality", `"unable-to-assess"`, `"criticality":"unable-to-assess"`,
		},
		{
			"a choice of types, named", `{"resourceType":"Observation","valueString":"a"}`, `{"resourceType":"Observation","valueString":"b"}`,
			`{"resourceType":"Observation","valueInteger":1}`, "Observation.value", `{"valueBoolean":true}`, `"valueBoolean":true`,
		},
		{
			"a choice of types, the value alone", `{"resourceType":"Observation","valueString":"a"}`, `{"resourceType":"Observation","valueString":"b"}`,
			`{"resourceType":"Observation","valueString":"c"}`, "Observation.value", `"d"`, `"valueString":"d"`,
		},
	} {
		for _, turned := range []bool{false, true} {
			left, right := c.left, c.right
			if turned {
				left, right = right, left
			}
			asked := false
			merged, clashes := reconcile.MergeWith([]byte(c.ancestor), []byte(left), []byte(right), func(d reconcile.Difference) (reconcile.Side, []byte) {
				if d.Path != c.path {
					return reconcile.Left, nil
				}
				asked = true
				return reconcile.Neither, []byte(c.own)
			})
			if !asked || len(clashes) != 0 || !strings.Contains(string(merged), c.want) {
				t.Errorf("%s: asked %t, %s, %v", c.name, asked, merged, clashes)
			}
		}
	}
}

// A choice in a list of which nothing is to stay then leaves nothing: what one side removed does not come back with what was chosen. Who takes the
// list whole gets it, and what has to be there is taken whole.
func TestMergeChoosingLeavesNothing(t *testing.T) {
	list := func(typ, name string, values ...string) []byte {
		return []byte(`{"resourceType":"` + typ + `","id":"1","language":"en","` + name + `":[` + strings.Join(values, ",") + `]}`)
	}
	const f0, f1, f1changed = `{"url":"f0","valueString":"0"}`, `{"url":"f1","valueString":"1"}`, `{"url":"f1","valueString":"2"}`
	const p0, p1, p1changed = `{"id":"0","status":"accepted"}`, `{"id":"1","status":"accepted"}`, `{"id":"1","status":"tentative"}`
	bare := `{"resourceType":"Observation","id":"1","language":"en"}`
	ext := [3][]byte{list("Observation", "extension", f0, f1), list("Observation", "extension", f1changed), list("Observation", "extension", f0)}
	need := [3][]byte{list("Appointment", "participant", p0, p1), list("Appointment", "participant", p1changed), list("Appointment", "participant", p0)}
	clashing := func(side reconcile.Side) func(reconcile.Difference) reconcile.Side {
		return func(d reconcile.Difference) reconcile.Side {
			if d.Clash {
				return side
			}
			return reconcile.Neither
		}
	}
	within := [3][]byte{}
	for i, values := range []string{f0 + "," + f1, f1changed, f0} {
		within[i] = []byte(`{"resourceType":"Encounter","id":"1","hospitalization":{"extension":[` + values + `]}}`)
	}
	whole := func(d reconcile.Difference) reconcile.Side {
		if d.Clash || d.Path == "Observation.extension" {
			return reconcile.Right
		}
		return reconcile.Neither
	}
	tests := []struct {
		name string
		in   [3][]byte
		pick func(reconcile.Difference) reconcile.Side
		want string
	}{
		{"what is changed stays", ext, clashing(reconcile.Left), string(ext[1])},
		{"what is removed goes", ext, clashing(reconcile.Right), bare},
		{"the list is taken whole", ext, whole, string(ext[2])},
		{"nothing of an object is to stay", within, clashing(reconcile.Right), `{"resourceType":"Encounter","id":"1"}`},
		{"one has to be there", need, clashing(reconcile.Right), string(need[2])},
	}
	for _, tt := range tests {
		got, clashes := reconcile.MergeChoosing(tt.in[0], tt.in[1], tt.in[2], tt.pick)
		if string(got) != tt.want || len(clashes) > 0 {
			t.Errorf("%s: got %s, clashes %+v; want %s", tt.name, got, clashes, tt.want)
		}
		turned := func(d reconcile.Difference) reconcile.Side {
			if s := tt.pick(d); s != reconcile.Neither {
				return reconcile.Left + reconcile.Right - s
			}
			return reconcile.Neither
		}
		if got, _ := reconcile.MergeChoosing(tt.in[0], tt.in[2], tt.in[1], turned); string(got) != tt.want {
			t.Errorf("%s, sides turned: got %s; want %s", tt.name, got, tt.want)
		}
	}
}
