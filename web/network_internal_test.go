package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/web/messages"
)

// nation is a tree of n nodes below a nation: provinces of districts of clinics. Every 40th node is silent, every 25th has conflicts and
// every 30th a wrong clock.
func nation(n int) control.Network {
	now := time.Date(2026, 3, 2, 10, 25, 0, 0, time.UTC).UnixMilli()
	out := control.Network{Time: now, Nodes: n, Troubles: map[string]int{}, Self: control.NetworkNode{Name: "nation"}}
	free, skew := uint64(3_200_000_000), int64(400)
	made := 0
	var fill func(parent *control.NetworkNode, depth int)
	fill = func(parent *control.NetworkNode, depth int) {
		for i := range []int{8, 9, 14}[depth] {
			if made >= n {
				return
			}
			made++
			k := control.NetworkNode{
				ID: fmt.Sprintf("id-%d", made), Name: fmt.Sprintf("%s-%d-%d", []string{"province", "district", "clinic"}[depth], made, i), Version: "1.0.0",
				LastContact: now - int64(made)*1000, Reported: now - 60_000, BacklogUp: uint64(made % 7), Lag: int64(made%9) * 60_000, DiskFree: &free, ClockSkew: &skew,
			}
			add := func(code string, number int64, every int) {
				if made%every == 0 {
					k.Troubles = append(k.Troubles, control.Trouble{Code: code, N: number})
					out.Troubles[code]++
				}
			}
			add(control.TroubleSilent, now-3*86_400_000, 40)
			add(control.TroubleConflicts, 2, 25)
			add(control.TroubleClock, -300_000, 30)
			if depth < 2 {
				fill(&k, depth+1)
			}
			parent.Children = append(parent.Children, k)
		}
	}
	fill(&out.Self, 0)
	out.Nodes = made
	var sort func(list []control.NetworkNode)
	sort = func(list []control.NetworkNode) {
		for _, k := range list {
			sort(k.Children)
		}
		slices.SortStableFunc(list, func(a, b control.NetworkNode) int {
			switch well := allWell([]control.NetworkNode{a}); {
			case well == allWell([]control.NetworkNode{b}):
				return 0
			case well:
				return 1
			}
			return -1
		})
	}
	sort(out.Self.Children)
	return out
}

// networkHTML is the page of a tree as it is sent, and how many bytes it has compressed.
func networkHTML(t *testing.T, language, query string, n control.Network) (body string, packed int) {
	t.Helper()
	l, err := messages.Load()
	if err != nil {
		t.Fatal(err)
	}
	w := &Web{}
	if w.assets, err = loadAssets(); err != nil {
		t.Fatal(err)
	}
	w.spoken = func() spoken { return w.speak(l) }
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	p := page{say: l.By(language), Now: n.Time, zone: time.UTC, Name: "nation", Title: "Network"}
	out := httptest.NewRecorder()
	w.show(out, http.StatusOK, "network", networkOf(p, n, q))
	body = out.Body.String()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return body, b.Len()
}

func TestNetworkOfAThousandNodes(t *testing.T) {
	n := nation(1000)
	row := regexp.MustCompile(`<tr role="row" class="(ok|warn|bad)">`)
	body, packed := networkHTML(t, "en", "", n)
	rows := row.FindAllStringSubmatch(body, -1)
	if packed > 30_000 || len(rows) != nodesPerPage || rows[0][1] != "bad" || strings.Count(body, `class="mark `)-3 > mostDrawn {
		t.Errorf("%d bytes compressed, %d rows that begin with %v, %d marks", packed, len(rows), rows[:1], strings.Count(body, `class="mark `))
	}
	for _, want := range []string{
		"1,000 nodes are below this one.", ">25 silent<", ">40 with conflicts<", "all well", "silent for 3 days", "clock: 5\u00a0min behind", "1,000 found", "page=2", "3.2\u00a0GB", ">agrees<",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not contain %q", want)
		}
	}
	// Every silent node stands on the first page, before what is less bad.
	if first := strings.Count(body, `<span class="badge bad">silent for 3 days</span>`); first != 25 {
		t.Errorf("%d of 25 silent nodes are on the first page", first)
	}
	seen := 0
	for i := 1; i <= 20; i++ {
		body, _ := networkHTML(t, "en", fmt.Sprintf("page=%d", i), n)
		seen += len(row.FindAllString(body, -1))
	}
	if seen != 1000 {
		t.Errorf("the pages show %d nodes", seen)
	}
	for query, want := range map[string]int{
		"trouble=silent": 25, "trouble=disk": 0, "q=province": 8, "q=PROVINCE-1-": 1, "at=id-1": 50, "at=id-2": 15, "at=none": 50, "page=99": 50, "page=x": 50, "q=no-such": 0,
	} {
		body, _ := networkHTML(t, "en", query, n)
		if got := len(row.FindAllString(body, -1)); got != want {
			t.Errorf("%s: %d rows, want %d", query, got, want)
		}
	}
	if body, _ := networkHTML(t, "en", "trouble=silent&page=1&at=id-1", n); !strings.Contains(body, "Show the whole tree") {
		t.Error("no way back to the whole tree")
	}
	if body, _ := networkHTML(t, "pt", "", n); !strings.Contains(body, "em silêncio há 3 dias") || !strings.Contains(body, "1000 unidades estão abaixo desta.") {
		t.Error("Portuguese says something else")
	}
}

func TestDrawingOfATree(t *testing.T) {
	well := control.NetworkNode{ID: "a", Name: "clinic-a", Reported: 1}
	silent := control.NetworkNode{ID: "b", Name: strings.Repeat("long", 20), Troubles: []control.Trouble{{Code: control.TroubleSilent}}}
	top := control.NetworkNode{Name: "district", Children: []control.NetworkNode{silent, {ID: "c", Name: "hill", Children: []control.NetworkNode{well}}}}
	l, err := messages.Load()
	if err != nil {
		t.Fatal(err)
	}
	p := page{say: l.By("en"), zone: time.UTC}
	if p.draw(well) != nil {
		t.Error("one node is drawn as a tree")
	}
	d := p.draw(top)
	if len(d.Rows) != 4 || d.Rows[0].Line != "" || d.Rows[3].Line != "M34 87V105H47" || d.Rows[2].Href != "/network?at=c" || d.Rows[1].Href != "" || d.Height != 4*rowHeight+wordsHeight+4 {
		t.Errorf("got %+v", d)
	}
	if r := d.Rows[1]; r.Class != classBad || r.Words != "never came" || len([]rune(r.Name)) != longestName || !strings.HasSuffix(r.Mark, "h-12z") {
		t.Errorf("got %+v", r)
	}
	many := control.NetworkNode{Name: "nation", Children: []control.NetworkNode{silent}}
	for range 200 {
		many.Children = append(many.Children, well)
	}
	if d := p.draw(many); len(d.Rows) != 3 || d.Rows[2].Words != "and 200 more, all well" || d.Left != "" {
		t.Errorf("got %+v", d)
	}
	many.Children = nil
	for range 200 {
		many.Children = append(many.Children, silent)
	}
	if d := p.draw(many); len(d.Rows) != mostDrawn || d.Left != "81 more nodes are not drawn; the table has them." {
		t.Errorf("%d rows, %q", len(d.Rows), d.Left)
	}
}
