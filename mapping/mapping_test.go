package mapping_test

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/mapping"
	"github.com/tributary-sync/tributary/syncerr"
)

func TestApply(t *testing.T) {
	for _, c := range []struct{ template, record, want string }{
		{`{"resourceType":"Location","id":"{code}","name":"{name}"}`, `{"code":"a-1","name":"Ž \"<x>"}`, `{"id":"a-1","name":"Ž \"<x>","resourceType":"Location"}`},
		{`{"resourceType":"Location","id":"{code}"}`, `{"code":17}`, `{"id":"17","resourceType":"Location"}`},
		{`{"resourceType":"Location","id":"{url}"}`, `{"url":"https://x/1"}`, `{"id":"8cfc4bebe4e75b651e93b8d217ec779f","resourceType":"Location"}`},
		{
			`{"resourceType":"Location","id":"f-{c}","position":{"longitude":"{lon|number}","latitude":"{lat}"},"partOf":{"reference":"Location/{up|id}"}}`,
			`{"c":"1","lon":"36.80","lat":-1.290}`, `{"id":"f-1","position":{"latitude":-1.290,"longitude":36.80},"resourceType":"Location"}`,
		},
		{
			`{"resourceType":"Location","id":"{c}","status":"{s|open=active|*=inactive}","alias":["{a}","{b}"],"telecom":[{"system":"phone","value":"{p|text}"}]}`,
			`{"c":"1","s":"shut","b":"B","p":700}`, `{"alias":["B"],"id":"1","resourceType":"Location","status":"inactive","telecom":[{"system":"phone","value":"700"}]}`,
		},
		{`{"resourceType":"Location","id":"{c}","status":"{s|open=active|active=x}","name":"{{{n}}"}`, `{"c":"1","s":"open","n":"N"}`, `{"id":"1","name":"{N}","resourceType":"Location","status":"active"}`},
		{`{"resourceType":"Location","id":"{c}","name":"{a} {b}","extension":"{deep.#(k==\"x\").v}"}`, `{"c":"1","a":"A","b":null,"deep":[{"k":"x","v":[1,2]}]}`, `{"extension":[1,2],"id":"1","resourceType":"Location"}`},
	} {
		m, err := mapping.Parse(c.template)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		got, err := m.Apply(gjson.Parse(c.record))
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v %v", c.record, got, err)
		} else if string(got[0].Content) != c.want || got[0].Key.Type != "Location" || !strings.Contains(c.want, `"id":"`+got[0].Key.ID+`"`) {
			t.Errorf("got  %s %s\nwant %s", got[0].Key, got[0].Content, c.want)
		}
	}
}

func TestSeveral(t *testing.T) {
	m, err := mapping.Parse(`[{"resourceType":"Location","id":"{c}"},{"resourceType":"Organization","id":"{o}"}]`)
	if err != nil || strings.Join(m.Types(), " ") != "Location Organization" {
		t.Fatal(m.Types(), err)
	}
	got, err := m.Apply(gjson.Parse(`{"c":1,"o":2}`))
	if err != nil || len(got) != 2 || got[1].Key.String() != "Organization/2" {
		t.Error(got, err)
	}
	for _, bad := range []string{`{"c":1}`, `{"c":"","o":1}`, `[]`, `7`, `null`} {
		if _, err := m.Apply(gjson.Parse(bad)); syncerr.KindOf(err) != syncerr.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
	n, err := mapping.Parse(`{"resourceType":"Location","id":"{c}","altitude":"{h|number}"}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`"high"`, `"0x10"`, `"NaN"`, `[1]`} {
		if _, err := n.Apply(gjson.Parse(`{"c":1,"h":` + bad + `}`)); syncerr.KindOf(err) != syncerr.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestBadTemplates(t *testing.T) {
	for _, text := range []string{
		"", "x", "[]", "[1]", `"x"`, `{"resourceType":"Place","id":"{c}"}`, `{"resourceType":"Location"}`, `{"resourceType":"Location","id":"one"}`, `{"resourceType":"Location","id":"{{c}"}`,
		`{"resourceType":"Location","id":"{c"}`, `{"resourceType":"Location","id":"{c}","name":"{}"}`, `{"resourceType":"Location","id":"{c|upper}"}`,
		`{"resourceType":"Location","id":"{c}","name":"{a} {b"}`, `{"resourceType":"Location","id":"{c}"} {}`, `{"resourceType":"{t}","id":"{c}"}`,
	} {
		if _, err := mapping.Parse(text); syncerr.KindOf(err) != syncerr.Usage {
			t.Errorf("%s: %v", text, err)
		}
	}
}
