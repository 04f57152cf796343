package archtest

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestParseTable(t *testing.T) {
	page, err := os.ReadFile("testdata/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseTable(string(page))
	if err != nil {
		t.Fatal(err)
	}
	pass := Row{Folders: []string{"fhir", "version", "syncerr"}}
	want := Table{
		"syncerr":         {},
		"version":         {Folders: []string{"syncerr"}},
		"fhir":            {Folders: []string{"syncerr"}},
		"pull":            pass,
		"push":            pass,
		"clients/control": {Folders: []string{"fhir"}},
		"cmd/tributary":   {Folders: []string{"clients/...", "fhir"}},
		"internal/simnet": {Any: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestParseTableRefuses(t *testing.T) {
	const header = "| folder | owns | imports (ours) |\n| --- | --- | --- |\n"
	tests := []struct{ name, page, want string }{
		{"no table", "# A page\n", "there is no table"},
		{"another table", "| folder | owns |\n| --- | --- |\n| a | b |\n", "there is no table"},
		{"too few cells", header + "| `a` | it |\n", "line 3: a row of the table of packages has 3 cells, this one has 2"},
		{"too many cells", header + "| `a` | x | y | - |\n", "this one has 4"},
		{"no folder", header + "| | x | - |\n", "line 3: a row needs a folder"},
		{"no imports", header + "| `a` | x | |\n", "line 3: a row needs a folder and its imports"},
		{"twice", header + "| `a` | x | - |\n| `b`, `a` | x | - |\n", "line 4: a has a row already"},
		{"unknown folder", header + "| `a` | x | `stroe` |\n", "the row of a allows stroe, which has no row"},
		{"unknown tree", header + "| `a` | x | `clients/...` |\n", "the row of a allows clients/..., which has no row"},
		{"words instead of a list", header + "| `a` | x | - |\n| `b` | x | a and all that a may |\n", "which has no row"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseTable(tt.page)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestRowAllows(t *testing.T) {
	tests := []struct {
		name   string
		row    Row
		folder string
		want   bool
	}{
		{"none", Row{}, "fhir", false},
		{"any", Row{Any: true}, "fhir", true},
		{"named", Row{Folders: []string{"version", "fhir"}}, "fhir", true},
		{"not named", Row{Folders: []string{"version"}}, "fhir", false},
		{"a folder is not its tree", Row{Folders: []string{"clients"}}, "clients/control", false},
		{"a tree holds its root", Row{Folders: []string{"clients/..."}}, "clients", true},
		{"a tree holds what is below", Row{Folders: []string{"clients/..."}}, "clients/control", true},
		{"a tree ends at its name", Row{Folders: []string{"clients/..."}}, "clientsextra", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.row.allows(tt.folder); got != tt.want {
				t.Errorf("%v allows %s: got %t, want %t", tt.row, tt.folder, got, tt.want)
			}
		})
	}
}
