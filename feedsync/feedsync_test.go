package feedsync_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/feedsync"
)

const second = 1000

// of makes an item from its history: "vga2@50 kzu1" is newest first, with times in seconds.
func of(history string) feedsync.Item {
	x := feedsync.Item{ID: "i", Content: []byte("{}"), Title: history}
	for line := range strings.FieldsSeq(history) {
		line, when, _ := strings.Cut(line, "@")
		u := feedsync.Update{By: line[:len(line)-1]}
		_, _ = fmt.Sscan(line[len(line)-1:], &u.Sequence)
		_, _ = fmt.Sscan(when, &u.When)
		u.When *= second
		x.History = append(x.History, u)
		x.Updates = max(x.Updates, u.Sequence)
	}
	return x
}

func lines(x feedsync.Item) string {
	var out []string
	for _, u := range x.History {
		out = append(out, fmt.Sprint(u.By, u.Sequence))
	}
	return strings.Join(out, " ")
}

func show(x feedsync.Item) string {
	var lost []string
	for _, c := range x.Conflicts {
		lost = append(lost, lines(c))
	}
	slices.Sort(lost)
	return lines(x) + " | " + strings.Join(lost, ", ")
}

func TestMerge(t *testing.T) {
	noConflicts := func(x feedsync.Item) feedsync.Item {
		x.NoConflicts = true
		return x
	}
	deleted := func(x feedsync.Item) feedsync.Item {
		x.Deleted, x.Content = true, nil
		return x
	}
	fs3 := feedsync.Merge(ptr(of("kzu2@100 kzu1")), of("vga2@50 kzu1"))
	for _, c := range []struct {
		name            string
		local, incoming feedsync.Item
		want            string
	}{
		{"FS1 a successor", of("kzu1"), of("vga2 kzu1"), "vga2 kzu1 | "},
		{"FS2 identical", of("kzu1"), of("kzu1"), "kzu1 | "},
		{"FS3 both changed", of("kzu2@100 kzu1"), of("vga2@50 kzu1"), "kzu2 kzu1 | vga2 kzu1"},
		{"FS4 again", fs3, of("vga2@50 kzu1"), "kzu2 kzu1 | vga2 kzu1"},
		{"FS5 an older one", of("vga2 kzu1"), of("kzu1"), "vga2 kzu1 | "},
		{"FS6 a deletion against an update", of("kzu2@100 kzu1"), deleted(of("vga2@200 kzu1")), "vga2 kzu1 | kzu2 kzu1"},
		{"FS8 noconflicts", noConflicts(of("kzu2@100 kzu1")), of("vga2@50 kzu1"), "kzu2 kzu1 | "},
		{"names of one length are told apart", of("abc2 x1"), of("xyz2 x1"), "xyz2 x1 | abc2 x1"},
		{"more updates", of("kzu2@100 kzu1"), of("vga3@1 vga2 kzu1"), "vga3 vga2 kzu1 | kzu2 kzu1"},
		{"a time beats none", of("kzu2 kzu1"), of("vga2@1 kzu1"), "vga2 kzu1 | kzu2 kzu1"},
		{"without endpoints, by time", of("1@5"), of("1@5"), "1 | "},
		{"without endpoints, other times", of("1@5"), of("1@6"), "1 | 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := feedsync.Merge(&c.local, c.incoming)
			if show(got) != c.want {
				t.Errorf("got %s, want %s", show(got), c.want)
			}
			if other := feedsync.Merge(&c.incoming, c.local); show(other) != c.want && !strings.HasPrefix(c.name, "FS8") {
				t.Errorf("FS9: the other way round %s, want %s", show(other), c.want)
			}
		})
	}
	if got := feedsync.Merge(nil, of("kzu1")); show(got) != "kzu1 | " {
		t.Errorf("what is new is taken: %s", show(got))
	}
	if x := feedsync.Merge(ptr(of("kzu2@100 kzu1")), deleted(of("vga2@50 kzu1"))); !x.Conflicts[0].Deleted {
		t.Error("FS6: the conflict is not marked as deleted")
	}
}

func ptr(x feedsync.Item) *feedsync.Item { return &x }

func TestFS7Resolve(t *testing.T) {
	lost := of("vga2@50 kzu1")
	x := feedsync.Merge(ptr(of("kzu2@100 kzu1")), lost)
	r := x.Resolve("X", 300*second+7)
	if show(r) != "X3 kzu2 vga2 kzu1 | " || r.Updates != 3 || r.History[0].When != 300*second {
		t.Errorf("got %s, %d updates, %+v", show(r), r.Updates, r.History[0])
	}
	for _, at := range []feedsync.Item{x, lost, of("kzu2@100 kzu1")} {
		if got := feedsync.Merge(&at, r); show(got) != "X3 kzu2 vga2 kzu1 | " {
			t.Errorf("merged with %s: %s", show(at), show(got))
		}
	}
	if r := of("kzu1").Update("vga", 5); lines(r) != "vga2 kzu1" || r.Updates != 2 {
		t.Errorf("an update: %s", lines(r))
	}
}

func TestCodec(t *testing.T) {
	x := feedsync.Merge(ptr(of("kzu2@100 kzu1")), of("vga2@50 kzu1"))
	x.AtomID, x.Updated, x.Content = "urn:x", 5*second, []byte(`{"a":"<&>"}`)
	gone := of("kzu1@7")
	gone.Deleted, gone.Content = true, nil
	odd := of("kzu1@7")
	odd.Content = []byte("{\"a\":\"\ufffe\"}")
	in := feedsync.Feed{ID: "urn:f", Title: "t", Updated: 9 * second, Complete: "http://h/all", Next: "http://h/2", Items: []feedsync.Item{x, gone, odd}}
	body := feedsync.Write(in)
	out, err := feedsync.Read(body)
	if err != nil || !reflect.DeepEqual(out, in) {
		t.Errorf("%v\n got %+v\nwant %+v\n%s", err, out, in, body)
	}
	if !strings.Contains(string(body), `when="1970-01-01T00:01:40Z"`) {
		t.Errorf("times are whole seconds in UTC: %s", body)
	}
}

func TestReadRefuses(t *testing.T) {
	good := string(feedsync.Write(feedsync.Feed{Items: []feedsync.Item{of("kzu1")}}))
	for name, body := range map[string]string{
		"no XML": "hello", "another root": "<rss/>", "entities": `<!DOCTYPE feed [<!ENTITY a "a">]>` + good,
		"no id": strings.Replace(good, ` id="i"`, "", 1), "no history": strings.Replace(good, "sx:history", "sx:story", 1),
		"no sequence": strings.Replace(good, `sequence="1"`, "", 1), "nobody and never": strings.Replace(good, `by="kzu"`, "", 1),
		"updates that are no number": strings.Replace(good, `updates="1"`, `updates="-1"`, 1), "cut": good[:len(good)/2],
	} {
		if _, err := feedsync.Read([]byte(body)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if f, err := feedsync.Read([]byte(strings.Replace(good, "http://feedsync.org/2007/feedsync", "urn:other", 1))); err != nil || len(f.Items) != 0 {
		t.Errorf("entries of a plain Atom feed are passed over: %+v, %v", f, err)
	}
}
