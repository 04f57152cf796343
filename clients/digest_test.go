package clients_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
)

const version1 = `"version":"1-11111111-1111-4111-8111-111111111111"`

func digest(t *testing.T, q feed.DigestQuery, status int, body string) ([]feed.Part, error) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var got feed.DigestQuery
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.URL.Path != "/sync/digest" || got.Type != q.Type {
			t.Errorf("got %s with %+v, %v", r.URL.Path, got, err)
		}
		w.Header().Set("Tributary-Protocol", fmt.Sprint(feed.Protocol))
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer srv.Close()
	self := clients.Self{Node: "clinic", Replica: func() string { return "11111111-1111-4111-8111-111111111111" }}
	return clients.NewNode(srv.URL, func() (string, error) { return "", nil }, self, srv.Client().Transport).Digest(t.Context(), q)
}

// An answer that leaves a hole, repeats itself or is of something else would make a comparison blind: it is refused.
func TestDigestAnswersThatDoNotFit(t *testing.T) {
	types := feed.DigestQuery{Types: []string{"Basic", "Patient"}}
	ranges := feed.DigestQuery{Type: "Patient", Ranges: []feed.Range{{To: "c"}, {From: "m"}}, Parts: 2, List: 2}
	ids := feed.DigestQuery{Type: "Patient", IDs: []string{"a", "b"}}
	sum := `"sum":"AAAAAAAAAAAAAAAAAAAAAA"`
	part := func(from, to string) string { return fmt.Sprintf(`{"from":%q,"to":%q,"count":3,%s}`, from, to, sum) }
	list := func(more string, copies ...string) string {
		for i, id := range copies {
			copies[i] = fmt.Sprintf(`{"id":%q,%s}`, id, version1)
		}
		return fmt.Sprintf(`{%s%s,"count":%d,"listed":true,"copies":[%s]}`, more, sum, len(copies), strings.Join(copies, ","))
	}
	for _, c := range []struct {
		name string
		q    feed.DigestQuery
		body []string
		good bool
	}{
		{"types", types, []string{`{"type":"Basic",` + sum + `}`, `{"type":"Patient",` + sum + `}`}, true},
		{"no types", types, nil, true},
		{"a type twice", types, []string{`{"type":"Basic",` + sum + `}`, `{"type":"Basic",` + sum + `}`}, false},
		{"another type", types, []string{`{"type":"Observation",` + sum + `}`}, false},
		{"ranges", ranges, []string{part("", "b"), part("b", "c"), part("m", "")}, true},
		{"a range listed", ranges, []string{part("", "c"), list(`"from":"m",`, "m", "n")}, true},
		{"a hole", ranges, []string{part("", "a"), part("b", "c"), part("m", "")}, false},
		{"a hole at the begin", ranges, []string{part("a", "c"), part("m", "")}, false},
		{"a hole at the end", ranges, []string{part("", "c"), part("m", "x")}, false},
		{"an overlap", ranges, []string{part("", "b"), part("a", "c"), part("m", "")}, false},
		{"a loop", ranges, []string{part("", "b"), part("b", "b"), part("b", "c"), part("m", "")}, false},
		{"backwards", feed.DigestQuery{Type: "Patient", Ranges: []feed.Range{{To: "c"}}, Parts: 4}, []string{part("", "b"), part("b", "a"), part("a", "c")}, false},
		{"beyond the end", ranges, []string{part("", "b"), part("b", "d"), part("m", "")}, false},
		{"without an end", ranges, []string{part("", ""), part("m", "")}, false},
		{"one range missing", ranges, []string{part("", "c")}, false},
		{"one too many", ranges, []string{part("", "c"), part("m", ""), part("x", "")}, false},
		{"too many parts", ranges, []string{part("", "a"), part("a", "b"), part("b", "c"), part("m", "")}, false},
		{"nothing", ranges, nil, false},
		{"a list out of order", ranges, []string{part("", "c"), list(`"from":"m",`, "n", "m")}, false},
		{"a list of elsewhere", ranges, []string{part("", "c"), list(`"from":"m",`, "a", "n")}, false},
		{"an uncounted list", ranges, []string{part("", "c"), strings.Replace(list(`"from":"m",`, "m", "n"), `"count":2`, `"count":1`, 1)}, false},
		{"no copies of this version", ranges, []string{part("", "c"), strings.Replace(list(`"from":"m",`, "m"), version1, `"x":1`, 1)}, false},
		{"ids", ids, []string{list("", "a", "b")}, true},
		{"none of the ids", ids, []string{list("")}, true},
		{"other ids", ids, []string{list("", "a", "c")}, false},
		{"an id twice", ids, []string{list("", "a", "a")}, false},
		{"more ids", ids, []string{list("", "a", "b", "b")}, false},
		{"ids not listed", ids, []string{part("", "")}, false},
		{"no digest", types, []string{`{"type":"Basic","sum":"AAAA"}`}, false},
	} {
		parts, err := digest(t, c.q, http.StatusOK, "["+strings.Join(c.body, ",")+"]")
		if c.good != (err == nil) || err == nil && len(parts) != len(c.body) {
			t.Errorf("%s: %+v, %v", c.name, parts, err)
		}
		if err != nil && syncerr.KindOf(err) != syncerr.Invalid {
			t.Errorf("%s: %v is %s", c.name, err, syncerr.KindOf(err))
		}
	}
}

func TestDigestErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		kind   syncerr.Kind
	}{
		{"cut", http.StatusOK, `[{"type":"Basic"`, syncerr.Transient},
		{"busy", http.StatusServiceUnavailable, "", syncerr.Transient},
		{"another log", http.StatusConflict, "", syncerr.EpochChanged},
		{"not known", http.StatusNotFound, "", syncerr.Unsupported},
		{"refused", http.StatusUnauthorized, "", syncerr.Denied},
	} {
		if parts, err := digest(t, feed.DigestQuery{}, c.status, c.body); syncerr.KindOf(err) != c.kind {
			t.Errorf("%s: %+v, %v is %s, want %s", c.name, parts, err, syncerr.KindOf(err), c.kind)
		}
	}
}
