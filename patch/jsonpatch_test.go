package patch_test

import (
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/patch"
	"github.com/tributary-sync/tributary/syncerr"
)

// The cases of the standard's appendix (RFC 6902, A.1 to A.16) and those of the suite that implementations of JSON Patch share
// (github.com/json-patch/json-patch-tests). An empty outcome means that the operation must fail.
func TestJSONPatch(t *testing.T) {
	for _, tt := range []struct{ name, doc, patch, want string }{
		{"A.1 adding a member", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux"}]`, `{"foo":"bar","baz":"qux"}`},
		{"A.2 adding an element", `{"foo":["bar","baz"]}`, `[{"op":"add","path":"/foo/1","value":"qux"}]`, `{"foo":["bar","qux","baz"]}`},
		{"A.3 removing a member", `{"baz":"qux","foo":"bar"}`, `[{"op":"remove","path":"/baz"}]`, `{"foo":"bar"}`},
		{"A.4 removing an element", `{"foo":["bar","qux","baz"]}`, `[{"op":"remove","path":"/foo/1"}]`, `{"foo":["bar","baz"]}`},
		{"A.5 replacing a value", `{"baz":"qux","foo":"bar"}`, `[{"op":"replace","path":"/baz","value":"boo"}]`, `{"baz":"boo","foo":"bar"}`},
		{
			"A.6 moving a value", `{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, `[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]`,
			`{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`,
		},
		{"A.7 moving an element", `{"foo":["all","grass","cows","eat"]}`, `[{"op":"move","from":"/foo/1","path":"/foo/3"}]`, `{"foo":["all","cows","eat","grass"]}`},
		{
			"A.8 a test that holds", `{"baz":"qux","foo":["a",2,"c"]}`, `[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]`,
			`{"baz":"qux","foo":["a",2,"c"]}`,
		},
		{"A.9 a test that fails", `{"baz":"qux"}`, `[{"op":"test","path":"/baz","value":"bar"}]`, ""},
		{"A.10 a nested member", `{"foo":"bar"}`, `[{"op":"add","path":"/child","value":{"grandchild":{}}}]`, `{"foo":"bar","child":{"grandchild":{}}}`},
		{"A.11 unknown members are ignored", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux","xyz":123}]`, `{"foo":"bar","baz":"qux"}`},
		{"A.12 no such target", `{"foo":"bar"}`, `[{"op":"add","path":"/baz/bat","value":"qux"}]`, ""},
		{"A.13 two ops", `{"foo":"bar"}`, `[{"op":"add","path":"/baz","value":"qux","op":"remove"}]`, ""},
		{"A.14 escapes", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":10}]`, `{"/":9,"~1":10}`},
		{"A.15 strings and numbers", `{"/":9,"~1":10}`, `[{"op":"test","path":"/~01","value":"10"}]`, ""},
		{"A.16 adding an array", `{"foo":["bar"]}`, `[{"op":"add","path":"/foo/-","value":["abc","def"]}]`, `{"foo":["bar",["abc","def"]]}`},

		{"nothing to nothing", `{}`, `[]`, `{}`},
		{"nothing", `{"foo":1}`, `[]`, `{"foo":1}`},
		{"nothing, one level down", `[{"foo":1,"bar":2}]`, `[]`, `[{"foo":1,"bar":2}]`},
		{"add replaces a null", `{"foo":null}`, `[{"op":"add","path":"/foo","value":1}]`, `{"foo":1}`},
		{"an array at the top", `[]`, `[{"op":"add","path":"/0","value":"foo"}]`, `["foo"]`},
		{"a string of digits", `{}`, `[{"op":"add","path":"/foo","value":"1"}]`, `{"foo":"1"}`},
		{"a number", `{}`, `[{"op":"add","path":"/foo","value":1}]`, `{"foo":1}`},
		{"a scalar at the top", `"foo"`, `[{"op":"replace","path":"","value":"bar"}]`, `"bar"`},
		{"an array for an object", `{}`, `[{"op":"add","path":"","value":[]}]`, `[]`},
		{"an object for an array", `[]`, `[{"op":"add","path":"","value":{}}]`, `{}`},
		{"append at the top", `[]`, `[{"op":"add","path":"/-","value":"hi"}]`, `["hi"]`},
		{"an empty name", `{}`, `[{"op":"add","path":"/","value":1}]`, `{"":1}`},
		{"an empty name below", `{"foo":{}}`, `[{"op":"add","path":"/foo/","value":1}]`, `{"foo":{"":1}}`},
		{"an array as value", `{"foo":1}`, `[{"op":"add","path":"/bar","value":[1,2]}]`, `{"foo":1,"bar":[1,2]}`},
		{"into an element", `{"foo":1,"baz":[{"qux":"hello"}]}`, `[{"op":"add","path":"/baz/0/foo","value":"world"}]`, `{"foo":1,"baz":[{"qux":"hello","foo":"world"}]}`},
		{"behind the end", `{"bar":[1,2]}`, `[{"op":"add","path":"/bar/8","value":"5"}]`, ""},
		{"before the beginning", `{"bar":[1,2]}`, `[{"op":"add","path":"/bar/-1","value":"5"}]`, ""},
		{"true", `{"foo":1}`, `[{"op":"add","path":"/bar","value":true}]`, `{"foo":1,"bar":true}`},
		{"false", `{"foo":1}`, `[{"op":"add","path":"/bar","value":false}]`, `{"foo":1,"bar":false}`},
		{"null", `{"foo":1}`, `[{"op":"add","path":"/bar","value":null}]`, `{"foo":1,"bar":null}`},
		{"0 as a name", `{"foo":1}`, `[{"op":"add","path":"/0","value":"bar"}]`, `{"foo":1,"0":"bar"}`},
		{"at the end by index", `["foo"]`, `[{"op":"add","path":"/1","value":"bar"}]`, `["foo","bar"]`},
		{"in the middle", `["foo","sil"]`, `[{"op":"add","path":"/1","value":"bar"}]`, `["foo","bar","sil"]`},
		{"at the beginning", `["foo","sil"]`, `[{"op":"add","path":"/0","value":"bar"}]`, `["bar","foo","sil"]`},
		{"at the end of two", `["foo","sil"]`, `[{"op":"add","path":"/2","value":"bar"}]`, `["foo","sil","bar"]`},
		{"one behind the end", `["foo","sil"]`, `[{"op":"add","path":"/3","value":"bar"}]`, ""},
		{"1e0 as a name", `{"1e0":"foo"}`, `[{"op":"test","path":"/1e0","value":"foo"}]`, `{"1e0":"foo"}`},
		{"1e0 is no index of a test", `["foo","bar"]`, `[{"op":"test","path":"/1e0","value":"bar"}]`, ""},
		{"a name in an array", `["foo","sil"]`, `[{"op":"add","path":"/bar","value":42}]`, ""},
		{"an array into an array", `["foo","sil"]`, `[{"op":"add","path":"/1","value":["bar","baz"]}]`, `["foo",["bar","baz"],"sil"]`},
		{"remove an array", `{"foo":1,"bar":[1,2,3,4]}`, `[{"op":"remove","path":"/bar"}]`, `{"foo":1}`},
		{"remove below", `{"foo":1,"baz":[{"qux":"hello"}]}`, `[{"op":"remove","path":"/baz/0/qux"}]`, `{"foo":1,"baz":[{}]}`},
		{"replace by an array", `{"foo":1,"baz":[{"qux":"hello"}]}`, `[{"op":"replace","path":"/foo","value":[1,2,3,4]}]`, `{"foo":[1,2,3,4],"baz":[{"qux":"hello"}]}`},
		{"replace below", `{"foo":[1,2],"baz":[{"qux":"hello"}]}`, `[{"op":"replace","path":"/baz/0/qux","value":"world"}]`, `{"foo":[1,2],"baz":[{"qux":"world"}]}`},
		{"replace an element", `["foo"]`, `[{"op":"replace","path":"/0","value":"bar"}]`, `["bar"]`},
		{"replace by 0", `[""]`, `[{"op":"replace","path":"/0","value":0}]`, `[0]`},
		{"replace by true", `[""]`, `[{"op":"replace","path":"/0","value":true}]`, `[true]`},
		{"replace by false", `[""]`, `[{"op":"replace","path":"/0","value":false}]`, `[false]`},
		{"replace by null", `[""]`, `[{"op":"replace","path":"/0","value":null}]`, `[null]`},
		{"replace by an array, not flattened", `["foo","sil"]`, `[{"op":"replace","path":"/1","value":["bar","baz"]}]`, `["foo",["bar","baz"]]`},
		{"replace everything", `{"foo":"bar"}`, `[{"op":"replace","path":"","value":{"baz":"qux"}}]`, `{"baz":"qux"}`},
		{"replace without a parent", `{"bar":"baz"}`, `[{"op":"replace","path":"/foo/bar","value":false}]`, ""},
		{"replace what is not there", `{"bar":"baz"}`, `[{"op":"replace","path":"/foo","value":false}]`, ""},
		{"spurious members", `{"foo":1}`, `[{"op":"test","path":"/foo","value":1,"spurious":1}]`, `{"foo":1}`},
		{"test null", `{"foo":null}`, `[{"op":"test","path":"/foo","value":null}]`, `{"foo":null}`},
		{"replace null", `{"foo":null}`, `[{"op":"replace","path":"/foo","value":"truthy"}]`, `{"foo":"truthy"}`},
		{"move null", `{"foo":null}`, `[{"op":"move","from":"/foo","path":"/bar"}]`, `{"bar":null}`},
		{"copy null", `{"foo":null}`, `[{"op":"copy","from":"/foo","path":"/bar"}]`, `{"foo":null,"bar":null}`},
		{"remove null", `{"foo":null}`, `[{"op":"remove","path":"/foo"}]`, `{}`},
		{"replace with null", `{"foo":"bar"}`, `[{"op":"replace","path":"/foo","value":null}]`, `{"foo":null}`},
		{"test in another order", `{"foo":{"foo":1,"bar":2}}`, `[{"op":"test","path":"/foo","value":{"bar":2,"foo":1}}]`, `{"foo":{"foo":1,"bar":2}}`},
		{"test in another order below", `{"foo":[{"foo":1,"bar":2}]}`, `[{"op":"test","path":"/foo","value":[{"bar":2,"foo":1}]}]`, `{"foo":[{"foo":1,"bar":2}]}`},
		{"test an object", `{"foo":{"bar":[1,2,5,4]}}`, `[{"op":"test","path":"/foo","value":{"bar":[1,2,5,4]}}]`, `{"foo":{"bar":[1,2,5,4]}}`},
		{"test an object against an array", `{"foo":{"bar":[1,2,5,4]}}`, `[{"op":"test","path":"/foo","value":[1,2]}]`, ""},
		{"test everything", `{"foo":1}`, `[{"op":"test","path":"","value":{"foo":1}}]`, `{"foo":1}`},
		{"test an empty name", `{"":1}`, `[{"op":"test","path":"/","value":1}]`, `{"":1}`},
		{"test odd names", `{"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}`, `[{"op":"test","path":"/a~1b","value":1},
			{"op":"test","path":"/c%d","value":2},{"op":"test","path":"/e^f","value":3},{"op":"test","path":"/g|h","value":4},
			{"op":"test","path":"/i\\j","value":5},{"op":"test","path":"/k\"l","value":6},{"op":"test","path":"/ ","value":7},
			{"op":"test","path":"/m~0n","value":8}]`, `{"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}`},
		{"move to itself", `{"foo":1}`, `[{"op":"move","from":"/foo","path":"/foo"}]`, `{"foo":1}`},
		{"move what is not there to itself", `{"foo":1}`, `[{"op":"move","from":"/bar","path":"/bar"}]`, ""},
		{"move a member", `{"foo":1,"baz":[{"qux":"hello"}]}`, `[{"op":"move","from":"/foo","path":"/bar"}]`, `{"baz":[{"qux":"hello"}],"bar":1}`},
		{"move into an array", `{"baz":[{"qux":"hello"}],"bar":1}`, `[{"op":"move","from":"/baz/0/qux","path":"/baz/1"}]`, `{"baz":[{},"hello"],"bar":1}`},
		{"move into itself", `{"foo":{"bar":1}}`, `[{"op":"move","from":"/foo","path":"/foo/bar"}]`, ""},
		{"copy an object", `{"baz":[{"qux":"hello"}],"bar":1}`, `[{"op":"copy","from":"/baz/0","path":"/boo"}]`, `{"baz":[{"qux":"hello"}],"bar":1,"boo":{"qux":"hello"}}`},
		{"copy into itself", `{"foo":{"bar":1}}`, `[{"op":"copy","from":"/foo","path":"/foo/baz"}]`, `{"foo":{"bar":1,"baz":{"bar":1}}}`},
		{"add everything", `{"foo":"bar"}`, `[{"op":"add","path":"","value":{"baz":"qux"}}]`, `{"baz":"qux"}`},
		{"append an object", `[1,2]`, `[{"op":"add","path":"/-","value":{"foo":["bar","baz"]}}]`, `[1,2,{"foo":["bar","baz"]}]`},
		{"append far below", `[1,2,[3,[4,5]]]`, `[{"op":"add","path":"/2/1/-","value":{"foo":["bar","baz"]}}]`, `[1,2,[3,[4,5,{"foo":["bar","baz"]}]]]`},
		{"1e0 is no index of a remove below", `{"foo":1,"baz":[{"qux":"hello"}]}`, `[{"op":"remove","path":"/baz/1e0/qux"}]`, ""},
		{"remove an element", `[1,2,3,4]`, `[{"op":"remove","path":"/0"}]`, `[2,3,4]`},
		{"remove two", `[1,2,3,4]`, `[{"op":"remove","path":"/1"},{"op":"remove","path":"/2"}]`, `[1,3]`},
		{"1e0 is no index of a remove", `[1,2,3,4]`, `[{"op":"remove","path":"/1e0"}]`, ""},
		{"1e0 is no index of a replace", `[""]`, `[{"op":"replace","path":"/1e0","value":false}]`, ""},
		{"1e0 is no index of a copy", `{"baz":[1,2,3],"bar":1}`, `[{"op":"copy","from":"/baz/1e0","path":"/boo"}]`, ""},
		{"1e0 is no index of a move", `{"foo":1,"baz":[1,2,3,4]}`, `[{"op":"move","from":"/baz/1e0","path":"/foo"}]`, ""},
		{"1e0 is no index of an add", `["foo","sil"]`, `[{"op":"add","path":"/1e0","value":"bar"}]`, ""},
		{"add without a value", `[1]`, `[{"op":"add","path":"/-"}]`, ""},
		{"replace without a value", `[1]`, `[{"op":"replace","path":"/0"}]`, ""},
		{"test without a value", `[null]`, `[{"op":"test","path":"/0"}]`, ""},
		{"test without a value against false", `[false]`, `[{"op":"test","path":"/0"}]`, ""},
		{"copy without from", `[1]`, `[{"op":"copy","path":"/-"}]`, ""},
		{"move without from", `{"foo":1}`, `[{"op":"move","path":""}]`, ""},
		{"no such op", `{"foo":1}`, `[{"op":"spam","path":"/foo","value":1}]`, ""},
		{"leading zeros", `["foo","bar"]`, `[{"op":"test","path":"/00","value":"foo"}]`, ""},
		{"a leading zero", `["foo","bar"]`, `[{"op":"test","path":"/01","value":"bar"}]`, ""},
		{"remove what is not there", `{"foo":"bar"}`, `[{"op":"remove","path":"/baz"}]`, ""},
		{"remove an element that is not there", `["foo","bar"]`, `[{"op":"remove","path":"/2"}]`, ""},
		{"capitals", `{"foo":"bar"}`, `[{"op":"add","path":"/FOO","value":"BAR"}]`, `{"foo":"bar","FOO":"BAR"}`},
		{"no leading slash", `{"foo":"bar"}`, `[{"op":"test","path":"foo","value":"bar"}]`, ""},
		{"a tilde alone", `{"~":1}`, `[{"op":"test","path":"/~","value":1}]`, ""},
		{"- is no element", `["foo"]`, `[{"op":"test","path":"/-","value":"foo"}]`, ""},
		{"into a string", `{"foo":"bar"}`, `[{"op":"add","path":"/foo/baz","value":1}]`, ""},
		{"remove everything", `{"foo":"bar"}`, `[{"op":"remove","path":""}]`, ""},
		{"no path", `{}`, `[{"op":"remove"}]`, ""},
		{"no op", `{}`, `[{"path":"/a","value":1}]`, ""},
		{"no array", `{}`, `{"op":"add","path":"/a","value":1}`, ""},
		{"no object", `{}`, `[1]`, ""},
		{"a later operation fails", `{"a":1}`, `[{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}]`, ""},

		{"numbers keep their form", `{"a":1.00,"b":[1e-10,{"c":0.10}]}`, `[{"op":"add","path":"/b/0","value":2.50}]`, `{"a":1.00,"b":[2.50,1e-10,{"c":0.10}]}`},
		{"numbers are compared by value", `{"a":100.00}`, `[{"op":"test","path":"/a","value":1e2}]`, `{"a":100.00}`},
		{"zeros are equal", `{"a":-0.0}`, `[{"op":"test","path":"/a","value":0}]`, `{"a":-0.0}`},
		{"numbers that differ far behind", `{"a":0.10000000000000000000001}`, `[{"op":"test","path":"/a","value":0.1}]`, ""},
		{"a number by power of ten", `{"a":0.001}`, `[{"op":"test","path":"/a","value":1e-3}]`, `{"a":0.001}`},
		{"signs differ", `{"a":1}`, `[{"op":"test","path":"/a","value":-1}]`, ""},
		{"escapes stay", `{"a":"\u00e9\/","b":1}`, `[{"op":"remove","path":"/b"}]`, `{"a":"\u00e9\/"}`},
		{"names with escapes are found", `{"\u0061":1,"b":2}`, `[{"op":"replace","path":"/a","value":3}]`, `{"\u0061":3,"b":2}`},
		{"strings are compared by what they say", `{"a":"é"}`, `[{"op":"test","path":"/a","value":"\u00e9"}]`, `{"a":"é"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := patch.JSON([]byte(tt.doc), []byte(tt.patch), 0)
			if tt.want == "" {
				if k := syncerr.KindOf(err); err == nil || k != syncerr.Invalid && k != syncerr.Unprocessable {
					t.Fatalf("got %s and error %v", got, err)
				}
				return
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s and error %v, want %s", got, err, tt.want)
			}
		})
	}
}

// Errors name the operation and its path, and say whether the patch is wrong or does not fit.
func TestJSONPatchErrors(t *testing.T) {
	deep := strings.Repeat("[", 300) + strings.Repeat("]", 300)
	for _, tt := range []struct {
		name, patch string
		kind        syncerr.Kind
		words       []string
	}{
		{"not there", `[{"op":"test","path":"/a","value":1},{"op":"remove","path":"/b/c~1d"}]`, syncerr.Unprocessable, []string{"operation[1]", "remove", "/b/c~1d", `at "/b"`}},
		{"a test", `[{"op":"test","path":"/a","value":2}]`, syncerr.Unprocessable, []string{"operation[0]", "test", "/a"}},
		{"from is not there", `[{"op":"copy","path":"/a","from":"/x"}]`, syncerr.Unprocessable, []string{"operation[0]", "from", "/x"}},
		{"no op", `[{"op":"test","path":"/a","value":1},{"path":"/a"}]`, syncerr.Invalid, []string{"operation[1]", "op"}},
		{"cut", `[{"op":"test"`, syncerr.Invalid, []string{"JSON"}},
		{"empty", ``, syncerr.Invalid, []string{"JSON"}},
		{"doubled", `[{"op":"test","op":"add"}]`, syncerr.Invalid, []string{"op"}},
		{"deep", `[{"op":"add","path":"/a","value":` + deep + `}]`, syncerr.Invalid, []string{"200"}},
		{"too many", "[" + strings.Repeat(`{"op":"test","path":"/a","value":1},`, patch.MaxOperations) + `{"op":"test","path":"/a","value":1}]`, syncerr.TooLarge, []string{"10000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := patch.JSON([]byte(`{"a":1}`), []byte(tt.patch), 0)
			if err == nil || syncerr.KindOf(err) != tt.kind {
				t.Fatalf("got %v, want %s", err, tt.kind)
			}
			for _, w := range tt.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
		})
	}
}

// A patch cannot make a large thing out of a small one, nor keep the node busy.
func TestBombs(t *testing.T) {
	double := `[` + strings.Repeat(`{"op":"copy","from":"/a","path":"/a/-"},`, 60) + `{"op":"test","path":"/a/0","value":1}]`
	if _, err := patch.JSON([]byte(`{"a":[1]}`), []byte(double), 1<<10); syncerr.KindOf(err) != syncerr.TooLarge || !strings.Contains(err.Error(), "operation[7]") ||
		!strings.Contains(err.Error(), "1024") {
		t.Errorf("copies of copies: %v", err)
	}
	large := `{"a":"` + strings.Repeat("x", 4<<20) + `","b":1}`
	busy := `[` + strings.Repeat(`{"op":"replace","path":"/b","value":1},`, 9999) + `{"op":"test","path":"/b","value":1}]`
	if _, err := patch.JSON([]byte(large), []byte(busy), 0); syncerr.KindOf(err) != syncerr.TooLarge || !strings.Contains(err.Error(), "update") {
		t.Errorf("much work: %v", err)
	}
}
