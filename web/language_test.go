package web_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/web/messages"
)

// everyPage is the address of each page that can be shown, of a busy node with an open conflict.
func everyPage(uuid string) []string {
	return []string{
		"/", "/audit", "/audit?outcome=failures", "/audit?before=1", "/audit?before=x", "/conflicts", "/conflicts/" + uuid, "/conflicts/none", "/parked", "/runs",
		"/explain", "/explain?resource=Foo", "/explain/Patient/p-5", "/explain/Patient/p-3", "/explain/Patient/d-9", "/explain/Patient/never", "/network", "/network?trouble=silent", "/network?q=lake", "/charts", "/settings",
	}
}

// in returns a page as a reader of a language gets it.
func (w *world) in(language, path string) string {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Language", language)
	return w.do(r).Body.String()
}

// used lists the keys of texts that templates and Go name, and the beginnings of those that are put together.
func used(t *testing.T) (keys map[string]bool, prefixes []string) {
	t.Helper()
	keys = map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	values, err := filepath.Glob("messages/*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`"([a-z_]+(?:\.[\w-]+)*\.?[\w-]*)"(\s*\+)?`)
	for _, name := range slices.Concat(files, pages, values) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllStringSubmatch(string(b), -1) {
			keys[m[1]] = true
			if m[2] != "" && strings.Contains(m[1], ".") {
				prefixes = append(prefixes, m[1])
			}
		}
	}
	return keys, prefixes
}

func TestEveryTextIsUsedAndEveryKeyHasAText(t *testing.T) {
	l, err := messages.Load()
	if err != nil {
		t.Fatal(err)
	}
	keys, prefixes := used(t)
	// What is put together from a closed list of the program stands behind its beginning; "_" ends what is added behind it.
	for _, key := range l.By("en").Keys() {
		isPart := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		base, _, added := strings.Cut(key, "_deletion")
		if !keys[key] && !isPart && (!added || !keys[base]) {
			t.Errorf("nothing uses the text %s", key)
		}
	}
	section := regexp.MustCompile(`^[a-z_]+\.[a-z_-]+$`)
	for key := range keys {
		head, _, _ := strings.Cut(key, ".")
		known := slices.ContainsFunc(l.By("en").Keys(), func(k string) bool { return strings.HasPrefix(k, head+".") })
		if section.MatchString(key) && known && !l.By("en").Has(key) && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			t.Errorf("there is no text %s", key)
		}
	}
}

// marked returns English with each text in brackets, so that words which stand in no file of texts are found.
func marked(t *testing.T) *messages.Languages {
	t.Helper()
	b, err := os.ReadFile("messages/en.json")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	var mark func(string, any) any
	mark = func(path string, v any) any {
		switch x := v.(type) {
		case string:
			if strings.HasPrefix(path, ".number") || path == ".time.months" {
				return x
			}
			return "⟦" + x + "⟧"
		case map[string]any:
			for k, y := range x {
				x[k] = mark(path+"."+k, y)
			}
		}
		return v
	}
	out, err := json.Marshal(mark("", tree))
	if err != nil {
		t.Fatal(err)
	}
	l, err := messages.Parse("en", out)
	if err != nil {
		t.Fatal(err)
	}
	return messages.New(l)
}

// loose returns the words of a page that stand in no brackets, and not where translate="no" says that they are data.
func loose(t *testing.T, body string) []string {
	t.Helper()
	var out []string
	depth := 0
	bare := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			switch {
			case r == '⟦':
				depth++
			case r == '⟧':
				depth--
			case depth == 0:
				b.WriteRune(r)
			}
		}
		return b.String()
	}
	word := regexp.MustCompile(`\p{L}{2,}`)
	d := xml.NewDecoder(strings.NewReader(body))
	var data []bool
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		inData := len(data) > 0 && data[len(data)-1]
		switch x := token.(type) {
		case xml.StartElement:
			no := inData
			for _, a := range x.Attr {
				no = no || (a.Name.Local == "translate" && a.Value == "no")
			}
			for _, a := range x.Attr {
				switch a.Name.Local {
				case "alt", "title", "placeholder", "aria-label", "data-label":
					if left := bare(a.Value); !no && word.MatchString(left) {
						out = append(out, a.Name.Local+": "+left)
					}
				}
			}
			data = append(data, no)
		case xml.EndElement:
			data = data[:len(data)-1]
		case xml.CharData:
			if left := bare(string(x)); !inData && word.MatchString(left) {
				out = append(out, left)
			}
		}
	}
}

func TestEveryWordOfAPageStandsInTheFiles(t *testing.T) {
	w, uuid := busy(t, "clinic-a")
	w.web.Speak(marked(t))
	for _, path := range everyPage(uuid) {
		body := w.get(path).Body.String()
		if strings.Count(body, "⟦") < 10 {
			t.Errorf("%s has hardly any texts:\n%s", path, body)
		}
		// The title of a page ends with the name of the node, and may be the key of a record.
		for _, words := range loose(t, regexp.MustCompile(`(Patient/[\w-]+)? · clinic-a</title>`).ReplaceAllString(body, "</title>")) {
			t.Errorf("%s shows %q, which stands in no file of texts", path, words)
		}
	}
}

func TestPagesInFourLanguages(t *testing.T) {
	w, uuid := busy(t, "clinic-a")
	w.passes.links = []control.LinkState{{Direction: control.Pull, Enabled: true, LastError: "no route to host", NextAttempt: w.ctl.Now() + 40_000, Backoff: 64_000}}
	l, err := messages.Load()
	w.must(err)
	hole := regexp.MustCompile(`\{[a-z_]+\}`)
	texts := regexp.MustCompile(`>[^<]*<`)
	for _, language := range l.All() {
		for _, path := range everyPage(uuid) {
			body := w.in(language.Tag(), path)
			contains(t, path, body, `<html lang="`+language.Tag()+`" `)
			if m := hole.FindString(body); m != "" {
				t.Errorf("%s in %s has the hole %s", path, language.Tag(), m)
			}
			if language.Tag() == "en" {
				continue
			}
			// No text that differs between both languages stands in English.
			visible := strings.Join(texts.FindAllString(body, -1), "\n")
			for _, key := range l.By("en").Keys() {
				for form, english := range l.By("en").Forms(key) {
					if len(strings.Fields(english)) > 2 && english != language.Forms(key)[form] && strings.Contains(visible, english) {
						t.Errorf("%s in %s says %q (%s)", path, language.Tag(), english, key)
					}
				}
			}
		}
	}
	contains(t, "the overview", w.in("fr", "/"), "Sans contact avec le site supérieur", "1 conflit attend qu’une personne décide", "dernier envoi il y a 2 min", "64 s")
	contains(t, "the record", w.in("pt", "/explain/Patient/p-5"), "Esta unidade tem uma cópia de Patient/p-5.", "foi alterado aqui")
	contains(t, "the conflict", w.in("es", "/conflicts/"+uuid), "Conservar la copia de este centro", "diferente")
}

func TestChoosingTheLanguageOfThePages(t *testing.T) {
	w := newWorld(t, "clinic-a", "")
	choose := func(to, back string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/language", strings.NewReader(url.Values{"to": {to}, "back": {back}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return w.do(r)
	}
	out := choose("pt", "/audit?type=Patient")
	if out.Code != http.StatusSeeOther || out.Header().Get("Location") != "/audit?type=Patient" || len(out.Result().Cookies()) != 1 {
		t.Fatalf("status %d, headers %v", out.Code, out.Header())
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept-Language", "fr")
	r.AddCookie(out.Result().Cookies()[0])
	answer := w.do(r)
	contains(t, "the overview", answer.Body.String(), `lang="pt"`, "Está tudo bem.", `aria-current="true">Português`)
	if h := answer.Header(); h.Get("Content-Language") != "pt" || h.Get("Vary") != "Cookie, Accept-Language" {
		t.Errorf("headers %v", h)
	}
	for _, elsewhere := range []string{"https://evil.example/", "//evil.example/", "/\\evil.example", "", "javascript:alert(1)"} {
		if to := choose("fr", elsewhere).Header().Get("Location"); to != "/" {
			t.Errorf("the form leads to %q", to)
		}
	}
	if out := choose("xx", "/"); out.Code != http.StatusBadRequest || len(out.Result().Cookies()) != 0 {
		t.Errorf("another language: status %d", out.Code)
	}
}

func TestEverySentenceOfControlHasAText(t *testing.T) {
	l, err := messages.Load()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../control/*.go")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`Code(?:, [\w.\[\]"]+)? ?[:=]+ ?"(\w+)"( \+)?`)
	n := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllStringSubmatch(string(b), -1) {
			if n++; m[2] == "" && !l.By("en").Has("said."+m[1]) {
				t.Errorf("%s: there is no text said.%s", name, m[1])
			}
		}
	}
	if n < 15 {
		t.Errorf("found %d sentences only", n)
	}
}

// What a person did, where no record is named, is a sentence of its own.
func TestEveryActionOfAPersonHasAText(t *testing.T) {
	l, err := messages.Load()
	if err != nil {
		t.Fatal(err)
	}
	action := regexp.MustCompile(`(?:Action: |audit\.Admin, )"([A-Z_-]+)"`)
	found := map[string]bool{}
	for _, folder := range []string{"control", "engine"} {
		files, err := filepath.Glob("../" + folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range action.FindAllStringSubmatch(string(b), -1) {
				found[m[1]] = !strings.HasSuffix(name, "_test.go") || found[m[1]]
			}
		}
	}
	for name, own := range found {
		ofRecords := name == "RESOLVE" || name == "KNOWLEDGE"
		if own && !ofRecords && !l.By("en").Has("did."+name) {
			t.Errorf("there is no text did.%s", name)
		}
	}
	if len(found) < 15 {
		t.Errorf("found %d actions only", len(found))
	}
}
