package feed

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

func TestReachedRoundTrip(t *testing.T) {
	whole := Reached{
		Epoch: epoch, Since: ReachMark{Revision: 4}, Until: ReachMark{Revision: 9, Part: true, Last: Way{1, rA, "Patient"}}, HasAbove: true,
		Above: []Above{{Name: "nation", Replica: rB, Epoch: epoch, Types: []string{"Patient", "rest/*"}}},
		Progress: []Progress{
			{Way: Way{0, rA, "Encounter"}, Tick: 3, Aside: []uint64{}},
			{Way: Way{0, rA, "Patient"}, Tick: 12, Aside: []uint64{4, 9}},
			{Way: Way{1, rA, "Patient"}, Tick: 2, Aside: []uint64{}},
		},
	}
	for _, want := range []Reached{whole, {Epoch: epoch}, {Epoch: epoch, HasAbove: true, Above: []Above{}}} {
		text, err := want.Text()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseReached(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n got %+v (%v)\nwant %+v", text, got, err, want)
		}
	}
}

func TestReachedOfALiar(t *testing.T) {
	many := strings.Repeat("1,", MaxAside+1) + "1"
	for _, text := range []string{
		`{`, `{"s":"x","u":"1"}`, `{"s":"1","u":"1,2"}`, `{"s":"1","u":"1","p":[{"r":"no","k":{"Patient":[1]}}]}`,
		`{"s":"1","u":"1","p":[{"r":"` + string(rA) + `","k":{"Patient":[]}}]}`, `{"s":"1","u":"1","p":[{"r":"` + string(rA) + `","k":{"<b>":[1]}}]}`,
		`{"s":"1","u":"1","p":[{"r":"` + string(rA) + `","k":{"Patient":[` + many + `]}}]}`, `{"s":"1","u":"1","p":[{"l":-1,"r":"` + string(rA) + `","k":{"Patient":[1]}}]}`,
		`{"s":"1","u":"1","p":[{"r":"` + string(rA) + `","k":{"Patient":[18446744073709551615]}}]}`, `{"s":"1","u":"1","a":[{"n":"x","r":"","e":""}]}`,
		`{"s":"1","u":"1","a":[` + strings.Repeat(`{"n":"x","r":"`+string(rA)+`","e":"`+epoch+`","t":null},`, MaxAbove) + `{"n":"x","r":"` + string(rA) + `","e":"` + epoch + `","t":null}]}`,
	} {
		if _, err := ParseReached([]byte(text)); syncerr.KindOf(err) != syncerr.Invalid || err == nil {
			t.Errorf("%.120s was taken: %v", text, err)
		}
	}
}

func TestReachMark(t *testing.T) {
	way := Way{1, rA, "Patient"}
	for _, m := range []ReachMark{{}, {Revision: 7}, {Revision: 7, Part: true, Last: way}} {
		if got, err := ParseReachMark(m.String()); err != nil || got != m {
			t.Errorf("%q reads as %+v (%v)", m, got, err)
		}
	}
	m := ReachMark{Revision: 7, Part: true, Last: way}
	for _, tt := range []struct {
		revision uint64
		way      Way
		want     bool
	}{{6, Way{2, rA, "Patient"}, true}, {7, way, true}, {7, Way{1, rA, "Observation"}, true}, {7, Way{1, rA, "Procedure"}, false}, {8, way, false}} {
		if got := m.Passed(tt.revision, tt.way); got != tt.want {
			t.Errorf("%s passed %d %v: %v", m, tt.revision, tt.way, got)
		}
	}
}

func TestReportsOfALiar(t *testing.T) {
	r := `"r":["` + string(rA) + `"]`
	for _, text := range []string{
		`[]`, `{"n":[{"i":"x"}]}`, `{"n":[{"i":"` + string(rA) + `","p":"` + string(rA) + `"}]}`, `{"n":[{"c":-1}]}`, `{"f":"../","n":[]}`,
		`{"n":[{"s":{"n":"",` + r + `}}]}`, `{"n":[{"s":{"n":"a\u0007",` + r + `}}]}`, `{"n":[{"s":{"n":"` + strings.Repeat("a", 101) + `",` + r + `}}]}`,
		`{"n":[{"s":{"n":"a","r":[]}}]}`, `{"n":[{"s":{"n":"a","r":["x"]}}]}`, `{"n":[{"s":{"n":"a",` + r + `,"k":-1}}]}`, `{"n":[{"s":{"n":"a",` + r + `,"s":9223372036854775807}}]}`,
		`{"n":[` + strings.Repeat(`{},`, maxReports) + `{}]}`,
	} {
		if _, err := ParseReports([]byte(text)); syncerr.KindOf(err) != syncerr.Invalid || err == nil {
			t.Errorf("%.120s was taken: %v", text, err)
		}
	}
	skew, disk := int64(-5), uint64(1<<40)
	want := Reports{Whole: true, To: string(rB), Nodes: []Report{
		{Stand: &Stand{Name: "a", Replicas: []version.Replica{rA}, Skew: &skew, Disk: &disk, Up: 3}}, {ID: string(rB), Contact: 7}, {ID: string(rA), Parent: string(rB), Gone: true},
	}}
	text, err := want.Text()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseReports(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s reads as %+v (%v)", text, got, err)
	}
}

func TestStandDiffers(t *testing.T) {
	one := Stand{Name: "a", Replicas: []version.Replica{rA}, Up: 10}
	parked, more := one, one
	parked.Parked, more.Up = 1, 20
	for _, tt := range []struct {
		name string
		now  Stand
		ago  int64
		want bool
	}{{"nothing", one, 1 << 40, false}, {"something parked", parked, 0, true}, {"a backlog that comes and goes", more, 60_000, false}, {"one that stays", more, 300_000, true}} {
		if got := tt.now.Differs(one, tt.ago); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
