package feed

import (
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// openmrs wraps entries in a page as OpenMRS writes it.
func openmrs(entries string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <title>OpenMRS Feed Publisher for Sync2.0</title>
  <link rel="self" type="application/atom+xml" href="http://parent.example:8080/openmrs/ws/atomfeed/patient/recent" />
  <link rel="via" type="application/atom+xml" href="http://parent.example:8080/openmrs/ws/atomfeed/patient/2" />
  <link rel="prev-archive" type="application/atom+xml" href="http://parent.example:8080/openmrs/ws/atomfeed/patient/1" />
  <author><name>SolDevelo</name></author>
  <id>a2ad93fd-8a7f-405f-bbc1-da4535e6d05c+2</id>
  <generator uri="https://github.com/ICT4H/atomfeed">OpenMRS Feed Publisher</generator>
  <updated>2023-11-14T22:13:27Z</updated>
` + entries + `</feed>`
}

func openmrsEntry(categories, content string) string {
	return `<entry><title>Patient</title>` + categories + `
    <id>tag:atomfeed.ict4h.org:0c2f6c2e-0000-4000-8000-000000000007</id>
    <updated>2023-11-14T22:13:27Z</updated><published>2023-11-14T22:13:27Z</published>
    ` + content + `</entry>`
}

func TestReadOpenMRS(t *testing.T) {
	const id = "5946f880-b197-400b-9caa-a3c661570007"
	const cdata = `<content type="application/vnd.atomfeed+xml"><![CDATA[{"rest":"/ws/rest/v1/patient/` + id + `?v=full&x=1","fhir":"/ws/fhir/Patient/` + id + `"}]]></content>`
	both := map[string]string{"rest": "/ws/rest/v1/patient/" + id + "?v=full&x=1", "fhir": "/ws/fhir/Patient/" + id}
	filter := `<category term="&lt;?xml version=&quot;1.0&quot;?&gt;&lt;feedFilter&gt;x&lt;/feedFilter&gt;" />`
	tests := []struct {
		name       string
		categories string
		content    string
		action     Action
		category   string
		links      map[string]string
		key        bool
	}{
		{"as OpenMRS writes it", `<category term="patient" /><category term="VOIDED" />`, cdata, "VOIDED", "patient", both, true},
		{"filter first", filter + `<category term="CREATED" label="" scheme="" /><category term="patient" />`, cdata, Created, "patient", both, true},
		{"filter last", `<category term="patient" /><category term="UPDATED" />` + filter, cdata, Updated, "patient", both, true},
		{"unknown action", `<category term="MERGED" /><category term="patient" />`, cdata, "MERGED", "patient", both, true},
		{
			"Bahmni", `<category term="Encounter" />`, `<content type="application/vnd.atomfeed+xml"><![CDATA[/openmrs/ws/rest/v1/bahmnicore/bahmniencounter/` + id + `?includeAll=true]]></content>`,
			"", "Encounter",
			map[string]string{"rest": "/openmrs/ws/rest/v1/bahmnicore/bahmniencounter/" + id + "?includeAll=true"},
			false,
		},
		{
			"absolute FHIR link, blanks around", `<category term="patient"/>`, "<content>\n  http://other.example/openmrs/ws/fhir2/R4/Patient/" + id + "\n</content>",
			"", "patient",
			map[string]string{"fhir": "http://other.example/openmrs/ws/fhir2/R4/Patient/" + id},
			true,
		},
		{
			"escaped JSON", `<category term="patient"/>`, `<content type="application/json"> {&quot;fhir&quot;:&quot;/ws/fhir/Patient/` + id + `&quot;,&quot;n&quot;:3} </content>`,
			"", "patient",
			map[string]string{"fhir": "/ws/fhir/Patient/" + id},
			true,
		},
		{"blanks around CDATA", `<category term="patient"/>`, strings.ReplaceAll(strings.ReplaceAll(cdata, "]]>", "]]>\n "), "<![", "\n <!["), "", "patient", both, true},
		{"any URL", `<category term="news"/>`, `<content>https://example.org/a/b</content>`, "", "news", map[string]string{"url": "https://example.org/a/b"}, false},
		{"text", `<category term="news"/>`, `<content>and/or so</content>`, "", "news", nil, false},
		{"broken JSON", `<category term="news"/>`, `<content>{"fhir":</content>`, "", "news", nil, false},
		{"nothing at all", ``, ``, "", "", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := ReadAtom(strings.NewReader(openmrs(openmrsEntry(tt.categories, tt.content))), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			e := f.Entries[0]
			if e.Action != tt.action || e.Category != tt.category || !reflect.DeepEqual(e.ContentLinks, tt.links) {
				t.Errorf("got %q %q %v, want %q %q %v", e.Action, e.Category, e.ContentLinks, tt.action, tt.category, tt.links)
			}
			if tt.key != (e.Key == fhir.Key{Type: "Patient", ID: id}) {
				t.Errorf("key %s", e.Key)
			}
			if e.ID != "tag:atomfeed.ict4h.org:0c2f6c2e-0000-4000-8000-000000000007" || e.Updated != 1700000007000 || !e.Stamp.IsZero() {
				t.Errorf("id %s, updated %d, stamp %v", e.ID, e.Updated, e.Stamp)
			}
			if f.ID != "a2ad93fd-8a7f-405f-bbc1-da4535e6d05c+2" || f.NextArchive != "" || !strings.HasSuffix(f.PrevArchive, "/patient/1") {
				t.Errorf("feed %+v", f)
			}
		})
	}
}

func TestReadAtomForms(t *testing.T) {
	page := openmrs(openmrsEntry(`<category term="caf`+"\xe9"+`"/>`, ""))
	ours := string(write(t, goldenPages()["first"]))
	tests := []struct {
		name     string
		in       string
		category string
	}{
		{"Latin-1 declared as UTF-8", page, "café"},
		{"Latin-1", strings.Replace(page, "UTF-8", "ISO-8859-1", 1), "café"},
		{"UTF-8", strings.Replace(page, "\xe9", "é", 1), "café"},
		{"mark of byte order", "\xef\xbb\xbf" + strings.Replace(page, "\xe9", "é", 1), "café"},
		{"no declaration", strings.TrimPrefix(ours, `<?xml version="1.0" encoding="UTF-8"?>`), "patient"},
		{"other prefix for the stamp", strings.NewReplacer("xmlns:t=", "xmlns:zz=", "<t:stamp", "<zz:stamp", "</t:stamp", "</zz:stamp").Replace(ours), "patient"},
		{"a prefix for Atom", strings.NewReplacer("xmlns=", "xmlns:a=", "</t:", "</t:", "</fh:", "</fh:", "</", "</a:", "<t:", "<t:", "<fh:", "<fh:", "<?", "<?", "<!", "<!", "<", "<a:").Replace(ours), "patient"},
		{"stylesheet and comments", strings.Replace(ours, "<feed", "<?xml-stylesheet href=\"a.xsl\"?><!-- x --><feed", 1) + "<!-- y -->", "patient"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := ReadAtom(strings.NewReader(tt.in), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Entries[0].Category; got != tt.category {
				t.Errorf("category %q, want %q", got, tt.category)
			}
			if tt.category == "patient" && (len(f.Entries) != 3 || f.Entries[2].Seq != 3 || f.Entries[0].Stamp.Author != rA) {
				t.Errorf("entries %+v", f.Entries)
			}
		})
	}
	empty, err := ReadAtom(strings.NewReader(openmrs("")), 1<<20)
	if n, ok := AtomPageNumber(strings.Replace(empty.Via, "/2", "/0", 1)); err != nil || len(empty.Entries) != 0 || !ok || n != 0 {
		t.Errorf("empty page: %+v, page %d, %v", empty, n, err)
	}
	if n, ok := AtomPageNumber(empty.Self); ok {
		t.Errorf("/recent has the number %d", n)
	}
}

func TestServicePath(t *testing.T) {
	for in, want := range map[string]string{
		"/ws/rest/v1/patient/1?v=full":                  "/ws/rest/v1/patient/1?v=full",
		"/openmrs/ws/rest/v1/patient/1?v=full":          "/ws/rest/v1/patient/1?v=full",
		"https://h.example:8/openmrs/ws/fhir/Patient/1": "/ws/fhir/Patient/1",
		"https://h.example/fhir/Patient/1":              "",
		"http://[":                                      "",
	} {
		if got, ok := ServicePath(in); got != want || ok != (want != "") {
			t.Errorf("ServicePath(%q) = %q, %v", in, got, ok)
		}
	}
}

func TestReadAtomHostile(t *testing.T) {
	ours := string(write(t, goldenPages()["first"]))
	swap := func(old, new string) string {
		if !strings.Contains(ours, old) {
			t.Fatalf("%q is not in %s", old, ours)
		}
		return strings.Replace(ours, old, new, 1)
	}
	const ns = ` xmlns="http://www.w3.org/2005/Atom"`
	tests := []struct {
		name string
		in   string
		want syncerr.Kind
	}{
		{"nothing", "", syncerr.Invalid},
		{"blanks", " \n ", syncerr.Invalid},
		{"text", "feed", syncerr.Invalid},
		{"JSON", `{"feed":[]}`, syncerr.Invalid},
		{"web page", "<html><body>log in</body></html>", syncerr.Invalid},
		{"RSS", `<rss version="2.0"><channel/></rss>`, syncerr.Invalid},
		{"no namespace", "<feed></feed>", syncerr.Invalid},
		{"namespace of Atom 0.3", `<feed xmlns="http://purl.org/atom/ns#"></feed>`, syncerr.Invalid},
		{"an entry alone", "<entry" + ns + "></entry>", syncerr.Invalid},
		{"half", ours[:len(ours)/2], syncerr.Invalid},
		{"last tag missing", strings.TrimSuffix(ours, "</feed>\n"), syncerr.Invalid},
		{"two feeds", ours + "<feed" + ns + "/>", syncerr.Invalid},
		{"text behind", ours + "more", syncerr.Invalid},
		{"tags crossed", "<feed" + ns + "><title><id></title></id></feed>", syncerr.Invalid},
		{"bare ampersand", swap("<title>Patient", "<title>a & b"), syncerr.Invalid},
		{"control character", swap("<title>Patient", "<title>a\x01b"), syncerr.Invalid},
		{"unknown entity", swap("<title>Patient", "<title>&nbsp;"), syncerr.Invalid},
		{"attribute doubled", swap(`rel="via"`, `rel="via" rel="self"`), syncerr.Invalid},
		{"entity bomb", `<!DOCTYPE feed [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><feed` + ns + `><title>&b;</title></feed>`, syncerr.Invalid},
		{"file entity", `<!DOCTYPE feed [<!ENTITY a SYSTEM "file:///etc/passwd">]><feed` + ns + `><title>&a;</title></feed>`, syncerr.Invalid},
		{"document type", `<!DOCTYPE feed SYSTEM "http://h.example/a.dtd">` + "<feed" + ns + "/>", syncerr.Invalid},
		{"deep", "<feed" + ns + ">" + strings.Repeat("<a>", 5000) + strings.Repeat("</a>", 5000) + "</feed>", syncerr.Invalid},
		{"wide", "<feed" + ns + ">" + strings.Repeat("<a/>", maxAtomElements) + "</feed>", syncerr.Invalid},
		{"many attributes", "<feed" + ns + "><link" + strings.Repeat(` a`+`="1"`, 40) + "/></feed>", syncerr.Invalid},
		{"another encoding", `<?xml version="1.0" encoding="EBCDIC"?><feed` + ns + "/>", syncerr.Unsupported},
		{"second declaration", `<feed` + ns + `><?xml version="1.0"?></feed>`, syncerr.Invalid},
		{"entry of no namespace", `<feed` + ns + `><entry xmlns=""><id>1</id></entry></feed>`, syncerr.Invalid},
		{"no id", "<feed" + ns + "><entry><title>a</title></entry></feed>", syncerr.Invalid},
		{"id doubled", openmrs(openmrsEntry("", "") + openmrsEntry("", "")), syncerr.Invalid},
		{"sequence 0", swap(`seq="1"`, `seq="0"`), syncerr.Invalid},
		{"sequence doubled", swap(`seq="2"`, `seq="1"`), syncerr.Invalid},
		{"sequence falls", swap(`seq="1"`, `seq="9"`), syncerr.Invalid},
		{"sequence is no number", swap(`seq="1"`, `seq="one"`), syncerr.Invalid},
		{"no version", swap(`version="1-`+string(rA)+`"`, ""), syncerr.Invalid},
		{"bad version", swap(`version="1-`, `version="x-`), syncerr.Invalid},
		{"vector without the version", swap(`vector="1-`+string(rA), `vector="1-`+string(rC)), syncerr.Invalid},
		{"deleted with a hash", swap(` hash=`, ` deleted="true" hash=`), syncerr.Invalid},
		{"deleted is a word", swap(` hash=`, ` deleted="yes" hash=`), syncerr.Invalid},
		{"short hash", swap(`hash="01`, `hash="`), syncerr.Invalid},
		{"stamp without a key", swap(`"fhir":"/ws/fhir2/R4/Patient/p1"`, `"fhir":""`), syncerr.Invalid},
		{"stamp without an action", swap(`<category term="CREATED">`, `<category term="x">`), syncerr.Invalid},
		{"two stamps", swap(`<t:stamp`, `<t:stamp></t:stamp><t:stamp`), syncerr.Invalid},
		{"too long", ours + strings.Repeat(" ", 1<<20), syncerr.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limit := int64(1 << 20)
			f, err := ReadAtom(strings.NewReader(tt.in), limit)
			if err == nil || syncerr.KindOf(err) != tt.want {
				t.Errorf("error %v of kind %s, want %s", err, syncerr.KindOf(err), tt.want)
			}
			if len(f.Entries) > 0 || f.Via != "" {
				t.Errorf("a part of the page came back: %+v", f)
			}
		})
	}
	if _, err := ReadAtom(&endless{text: "<feed" + ns + ">"}, 1<<16); syncerr.KindOf(err) != syncerr.TooLarge {
		t.Errorf("an endless page gave %v", err)
	}
	if _, err := ReadAtom(iotest.ErrReader(iotest.ErrTimeout), 1<<16); syncerr.KindOf(err) != syncerr.Transient {
		t.Errorf("a failed read gave %v", err)
	}
}

// Wherever a page is cut, it is refused.
func TestReadAtomCut(t *testing.T) {
	page := string(write(t, goldenPages()["archive"]))
	for i := range len(page) - 2 {
		if _, err := ReadAtom(strings.NewReader(page[:i]), 1<<20); syncerr.KindOf(err) != syncerr.Invalid {
			t.Fatalf("cut at %d of %d: %v", i, len(page), err)
		}
	}
}
