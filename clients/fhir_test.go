package clients_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

func isMetadata(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/metadata") }

// always makes a fault of every request but that for the capabilities.
func always(f emrtest.Fault) func(*http.Request) *emrtest.Fault {
	return func(r *http.Request) *emrtest.Fault {
		if isMetadata(r) {
			return nil
		}
		return &f
	}
}

func creates(n int) []resourcemanager.Edit {
	var edits []resourcemanager.Edit
	for i := range n {
		k := patientKey(fmt.Sprintf("c%d", i))
		edits = append(edits, resourcemanager.Edit{Key: k, Content: document(k, fmt.Sprint(i)), Create: true})
	}
	return edits
}

func wantsOf(edits []resourcemanager.Edit) []resourcemanager.Want {
	var wants []resourcemanager.Want
	for _, e := range edits {
		wants = append(wants, resourcemanager.Want{Key: e.Key})
	}
	return wants
}

func says(t *testing.T, err error, kind syncerr.Kind, words ...string) {
	t.Helper()
	if err == nil || syncerr.KindOf(err) != kind {
		t.Fatalf("%v is %s, want %s", err, syncerr.KindOf(err), kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// What an answer says of the exchange is an error, whichever way the documents go.
func TestFHIRExchangeErrors(t *testing.T) {
	const outcome = `{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"x","diagnostics":"a warning"},
		{"severity":"error","code":"y","details":{"text":"no luck"},"diagnostics":"today","expression":["Patient.name"]}]}`
	ways := map[string]func(context.Context, *clients.FHIR) error{
		"batch of reads": func(ctx context.Context, f *clients.FHIR) error {
			_, err := f.Read(ctx, wantsOf(creates(2)))
			return err
		},
		"read": func(ctx context.Context, f *clients.FHIR) error {
			_, err := f.Read(ctx, wantsOf(creates(1)))
			return err
		},
		"batch of writes": func(ctx context.Context, f *clients.FHIR) error {
			answers, err := f.Write(ctx, creates(2))
			if len(answers) > 0 {
				return fmt.Errorf("%+v and %w", answers, err)
			}
			return err
		},
		"write": func(ctx context.Context, f *clients.FHIR) error {
			answers, err := f.Write(ctx, creates(1))
			if len(answers) > 0 {
				return fmt.Errorf("%+v and %w", answers, err)
			}
			return err
		},
	}
	for _, c := range []struct {
		name  string
		fault emrtest.Fault
		kind  syncerr.Kind
		words []string
		only  string // the ways that have it in their names
	}{
		{"no credential", emrtest.Fault{Status: 401}, syncerr.Denied, []string{"401", "credential"}, ""},
		{"forbidden", emrtest.Fault{Status: 403, Body: outcome}, syncerr.Denied, []string{"403", "no luck: today (at Patient.name)"}, ""},
		{"too many", emrtest.Fault{Status: 429}, syncerr.Transient, []string{"429"}, ""},
		{"bad gateway", emrtest.Fault{Status: 502, Type: "text/html", Body: "<html>"}, syncerr.Transient, []string{"502"}, ""},
		{"busy", emrtest.Fault{Status: 503, Body: outcome}, syncerr.Transient, []string{"no luck"}, ""},
		{"slow", emrtest.Fault{Status: 504}, syncerr.Transient, nil, ""},
		{"log-in page", emrtest.Fault{Status: 200, Type: "text/html", Body: "<html>who are you?"}, syncerr.Invalid, []string{"web page", "FHIR base"}, ""},
		{"unnamed page", emrtest.Fault{Status: 200, Type: "application/json", Body: "\n <!DOCTYPE html>"}, syncerr.Invalid, []string{"web page"}, ""},
		{"XML", emrtest.Fault{Status: 200, Type: "application/fhir+xml", Body: "<Bundle/>"}, syncerr.Invalid, []string{"XML"}, ""},
		{"text", emrtest.Fault{Status: 200, Type: "text/plain", Body: "OK"}, syncerr.Invalid, []string{"text/plain"}, ""},
		{"a page that is missing", emrtest.Fault{Status: 404, Type: "text/html", Body: "<html>"}, syncerr.Invalid, []string{"web page"}, "read"},
		{"redirect", emrtest.Fault{Status: 302, Location: "https://elsewhere.example/fhir?token=1"}, syncerr.Invalid, []string{"https://elsewhere.example/fhir", "not followed"}, ""},
		{"outcome for a Bundle", emrtest.Fault{Status: 200, Body: outcome}, syncerr.Invalid, []string{"OperationOutcome", "no luck: today"}, "batch"},
		{"another kind of Bundle", emrtest.Fault{Status: 200, Body: `{"resourceType":"Bundle","type":"searchset"}`}, syncerr.Invalid, []string{"searchset"}, "batch"},
		{"no JSON", emrtest.Fault{Status: 200, Body: `{"resourceType":"Bundle",]`}, syncerr.Invalid, []string{"no JSON"}, "batch"},
		{"no Bundle", emrtest.Fault{Status: 200, Body: `{"resourceType":"Bundle","entry":[{"response":{"status":[]}}]}`}, syncerr.Invalid, []string{"cannot be read"}, "batch"},
		{"another document", emrtest.Fault{Status: 200, Body: `{"resourceType":"Patient","id":"z"}`}, syncerr.Invalid, []string{"Patient/c0", "Patient/z"}, "read"},
		{"neither yes nor no", emrtest.Fault{Status: 202}, syncerr.Transient, []string{"Patient/c0"}, "write"},
		{"a fault without a word", emrtest.Fault{Status: 500}, syncerr.Transient, []string{"Patient/c0"}, "write"},
		{"a fault", emrtest.Fault{Status: 500, Body: outcome}, syncerr.Transient, []string{"Patient/c0", "no luck"}, "read"},
	} {
		for way, call := range ways {
			if c.only != "" && !strings.Contains(way, c.only) || c.only == "read" && way == "batch of reads" || c.only == "write" && way == "batch of writes" {
				continue
			}
			t.Run(c.name+"/"+way, func(t *testing.T) {
				s, f := newFHIRServer(t, nil)
				s.SetFault(always(c.fault))
				err := call(t.Context(), f)
				says(t, err, c.kind, c.words...)
				if strings.Contains(err.Error(), "token=1") || strings.Contains(err.Error(), "warning") {
					t.Errorf("%q says too much", err)
				}
				s.SetFault(nil)
				if err := call(t.Context(), f); err != nil && !strings.Contains(err.Error(), "%!w(<nil>)") {
					t.Errorf("afterwards: %v", err)
				}
			})
		}
	}
}

// A server that asks to be left alone is, in seconds or until a time by its own clock, but not for ever.
func TestFHIRRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name, after string
		wait        time.Duration
	}{
		{"seconds", "120", 2 * time.Minute},
		{"a time", "Thu, 01 Jan 2099 00:00:30 GMT", 30 * time.Second},
		{"for ever", "2000000000", time.Hour},
		{"the past", "Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"nonsense", "soon", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &emrtest.FHIRServer{}
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", "Thu, 01 Jan 2099 00:00:00 GMT") // its clock is wrong
				s.ServeHTTP(w, r)
			}))
			defer srv.Close()
			now := time.UnixMilli(1_800_000_000_000)
			f := clients.NewFHIR(srv.URL+"/fhir", secret(""), srv.Client().Transport, func() time.Time { return now })
			s.SetFault(always(emrtest.Fault{Status: 503, RetryAfter: c.after}))
			_, err := f.Read(t.Context(), wantsOf(creates(1)))
			says(t, err, syncerr.Transient, "503")
			s.SetFault(nil)
			if c.wait > 0 {
				now = now.Add(c.wait - time.Second)
				_, err = f.Read(t.Context(), wantsOf(creates(1)))
				says(t, err, syncerr.Transient, "left alone for another 1s")
				if got := s.Requests(); len(got) != 1 {
					t.Errorf("it was asked all the same: %v", got)
				}
				now = now.Add(time.Second)
			}
			if _, err = f.Read(t.Context(), wantsOf(creates(1))); err != nil {
				t.Error(err)
			}
		})
	}
}

// Of an answer that breaks off, what came whole counts for writes, and nothing for reads.
func TestFHIRCutAnswers(t *testing.T) {
	for _, cut := range []int{10, 60, 2000, 3000, 4000} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			s, f := newFHIRServer(t, nil)
			edits := creates(20)
			s.SetFault(always(emrtest.Fault{Cut: cut}))
			answers, err := f.Write(t.Context(), edits)
			says(t, err, syncerr.Transient)
			if len(answers) >= 20 || cut >= 2000 && len(answers) == 0 || cut < 100 && len(answers) > 0 {
				t.Errorf("%d answers", len(answers))
			}
			for i, a := range answers {
				if a.Fate != resourcemanager.Done || a.Copy.Key != edits[i].Key || a.Copy.Tag != "1" {
					t.Errorf("%d: %+v", i, a)
				}
			}
			copies, err := f.Read(t.Context(), wantsOf(edits))
			if says(t, err, syncerr.Transient); copies != nil {
				t.Errorf("%+v", copies)
			}
			_, err = f.Read(t.Context(), wantsOf(edits[:1]))
			if cut < 150 {
				says(t, err, syncerr.Transient, "Patient/c0")
			}
		})
	}
}

// What goes wrong with one entry of a batch does not touch the others, unless the server cannot say.
func TestFHIRBatchEntries(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   emrtest.Fault
		answers int // that came
		fate    resourcemanager.Fate
		kind    syncerr.Kind
	}{
		{"refused", emrtest.Fault{EntryAt: 3, EntryCode: 422}, 5, resourcemanager.Refused, 0},
		{"not allowed", emrtest.Fault{EntryAt: 3, EntryCode: 403}, 5, resourcemanager.Refused, 0},
		{"too large", emrtest.Fault{EntryAt: 3, EntryCode: 413}, 5, resourcemanager.Refused, 0},
		{"unknown", emrtest.Fault{EntryAt: 3, EntryCode: 404}, 5, resourcemanager.Refused, 0},
		{"a defect", emrtest.Fault{EntryAt: 3, EntryCode: 500}, 5, resourcemanager.Refused, 0},
		{"changed", emrtest.Fault{EntryAt: 3, EntryCode: 412}, 5, resourcemanager.Stale, 0},
		{"deleted for good", emrtest.Fault{EntryAt: 3, EntryCode: 410}, 5, resourcemanager.Stale, 0},
		{"busy", emrtest.Fault{EntryAt: 3, EntryCode: 503}, 2, 0, syncerr.Transient},
		{"credential", emrtest.Fault{EntryAt: 3, EntryCode: 401}, 2, 0, syncerr.Denied},
		{"not answered", emrtest.Fault{DropAfter: 2}, 2, 0, syncerr.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, f := newFHIRServer(t, nil)
			s.SetFault(always(c.fault))
			answers, err := f.Write(t.Context(), creates(5))
			if len(answers) != c.answers {
				t.Fatalf("%+v, %v", answers, err)
			}
			for i, a := range answers {
				want := resourcemanager.Done
				if i == 2 {
					if want = c.fate; c.fate == resourcemanager.Refused && a.Reason != "this one went wrong" || a.Status != c.fault.EntryCode {
						t.Errorf("%+v", a)
					}
				}
				if a.Fate != want {
					t.Errorf("%d: %+v", i, a)
				}
			}
			if c.kind != 0 {
				says(t, err, c.kind)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	for code, kind := range map[int]syncerr.Kind{503: syncerr.Transient, 500: syncerr.Transient, 403: syncerr.Denied, 400: syncerr.Invalid} {
		s, f := newFHIRServer(t, nil)
		s.SetFault(always(emrtest.Fault{EntryAt: 3, EntryCode: code}))
		_, err := f.Read(t.Context(), wantsOf(creates(5)))
		says(t, err, kind, "Patient/c2", "this one went wrong")
	}
}

// A batch that is not taken as a whole goes one by one, so that each document gets its own answer; a server that knows no batches is not asked again.
func TestFHIRBatchRefused(t *testing.T) {
	for _, c := range []struct {
		status, posts int
		concluded     bool // it did not say that it takes batches
	}{{400, 4, false}, {413, 2, false}, {422, 4, false}, {500, 4, false}, {405, 1, false}, {404, 1, false}, {501, 1, false}, {400, 2, true}, {413, 1, true}} {
		s, f := newFHIRServer(t, func(s *emrtest.FHIRServer) { s.OnlyTransaction = c.concluded })
		refuse := func(r *http.Request) *emrtest.Fault {
			if r.Method == http.MethodPost {
				return &emrtest.Fault{Status: c.status}
			}
			return nil
		}
		s.SetFault(refuse)
		for range 2 {
			answers, err := f.Write(t.Context(), creates(30))
			if err != nil || len(answers) != 30 {
				t.Fatalf("%d: %+v, %v", c.status, answers, err)
			}
		}
		posts := slices.DeleteFunc(s.Requests(), func(r string) bool { return !strings.HasPrefix(r, "POST") })
		if len(posts) != c.posts { // twice as often where it may be the packing
			t.Errorf("%d: %d batches, want %d", c.status, len(posts), c.posts)
		}
		if _, ok := s.Get(patientKey("c29")); !ok {
			t.Errorf("%d: not written", c.status)
		}
	}
}

func TestFHIRRefusals(t *testing.T) {
	k := patientKey("a")
	edit := resourcemanager.Edit{Key: k, Content: document(k, "Smith"), Create: true}
	for _, c := range []struct {
		name  string
		set   func(*emrtest.FHIRServer)
		edit  resourcemanager.Edit
		words []string
		asked int // requests
	}{
		{"a rule of its own", func(s *emrtest.FHIRServer) {
			s.Refuse = func(fhir.Key, []byte) string { return "a patient needs a birth date" }
		}, edit, []string{"a patient needs a birth date"}, 1},
		{"ids of its own", func(s *emrtest.FHIRServer) { s.NoUpdateCreate = true }, edit, []string{"own ids", "updateCreate", "allow ids that clients give"}, 0},
		{"ids of its own, silently", func(s *emrtest.FHIRServer) { s.Renames = true }, edit, []string{"of-this-server-a", "own ids"}, 1},
		{"another type", nil, resourcemanager.Edit{Key: fhir.Key{Type: "Basic", ID: "a"}, Content: []byte(`{}`), Create: true}, []string{"Basic", "/metadata"}, 0},
		{"others refer to it", func(s *emrtest.FHIRServer) { s.Referred = "there" }, resourcemanager.Edit{Key: patientKey("there"), Base: "1"}, []string{"others refer to it"}, 2},
		{"others refer to it, no versions", func(s *emrtest.FHIRServer) { s.Referred, s.NoVersioning = "there", true }, resourcemanager.Edit{Key: patientKey("there")}, []string{"others refer to it"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, f := newFHIRServer(t, c.set)
			s.Put(patientKey("there"), document(patientKey("there"), "x"))
			answers, err := f.Write(t.Context(), []resourcemanager.Edit{c.edit})
			if err != nil || len(answers) != 1 || answers[0].Fate != resourcemanager.Refused {
				t.Fatalf("%+v, %v", answers, err)
			}
			for _, w := range c.words {
				if !strings.Contains(answers[0].Reason, w) {
					t.Errorf("%q does not say %q", answers[0].Reason, w)
				}
			}
			if strings.Contains(answers[0].Reason, "Smith") {
				t.Errorf("%q tells the content", answers[0].Reason)
			}
			if got := s.Requests(); len(got) != c.asked {
				t.Errorf("%v", got)
			}
			there := resourcemanager.Edit{Key: patientKey("there"), Content: document(patientKey("there"), "y"), Base: "1"}
			if answers, err = f.Write(t.Context(), []resourcemanager.Edit{there}); err != nil || c.name != "a rule of its own" && answers[0].Fate != resourcemanager.Done {
				t.Errorf("what is there: %+v, %v", answers, err)
			}
		})
	}
}

// A server that stores under ids of its own although it says otherwise gets one document and no second one.
func TestFHIRRenamingServer(t *testing.T) {
	s, f := newFHIRServer(t, func(s *emrtest.FHIRServer) { s.Renames, s.NoBatch = true, true })
	answers, err := f.Write(t.Context(), creates(3))
	if err != nil || len(answers) != 3 || len(s.Requests()) != 1 {
		t.Fatalf("%+v, %v", answers, err)
	}
	for i, a := range answers {
		if a.Fate != resourcemanager.Refused {
			t.Errorf("%d: %+v", i, a)
		}
	}
}

// A server may make something else of a document: the answer holds what, so that it is not taken for a change.
func TestFHIRNormalisingServer(t *testing.T) {
	for _, batch := range []bool{true, false} {
		s, f := newFHIRServer(t, func(s *emrtest.FHIRServer) {
			s.NoBatch = !batch
			s.Normalise = func(b []byte) []byte { return append([]byte(`{"active":true,`), b[1:]...) }
		})
		answers, err := f.Write(t.Context(), creates(2))
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range answers {
			has, _ := s.Get(a.Copy.Key)
			if string(a.Copy.Content) != string(has) || !gjson.GetBytes(has, "active").Bool() || a.Copy.Tag != "1" || a.Copy.Modified.Nanosecond() != 123e6 {
				t.Errorf("%d: %+v", i, a)
			}
		}
	}
}

func TestFHIRCapabilities(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*emrtest.FHIRServer)
		fault *emrtest.Fault
		kind  syncerr.Kind
		words []string
	}{
		{"STU3", func(s *emrtest.FHIRServer) { s.FHIRVersion = "3.0.2" }, nil, syncerr.Unsupported, []string{"3.0.2", "R4"}},
		{"R4B", func(s *emrtest.FHIRServer) { s.FHIRVersion = "4.3.0" }, nil, syncerr.Unsupported, []string{"4.3.0"}},
		{"R5", func(s *emrtest.FHIRServer) { s.FHIRVersion = "5.0.0" }, nil, syncerr.Unsupported, []string{"5.0.0"}},
		{"only XML", func(s *emrtest.FHIRServer) { s.Formats = []string{"application/fhir+xml"} }, nil, syncerr.Unsupported, []string{"xml", "JSON"}},
		{"nothing there", nil, &emrtest.Fault{Status: 404}, syncerr.Unsupported, []string{"404", "FHIR base"}},
		{"a page", nil, &emrtest.Fault{Status: 200, Type: "text/html", Body: "<html>"}, syncerr.Invalid, []string{"web page"}},
		{"something else", nil, &emrtest.Fault{Status: 200, Body: `{"resourceType":"Patient"}`}, syncerr.Unsupported, []string{"Patient"}},
		{"cut", nil, &emrtest.Fault{Cut: 300}, syncerr.Transient, nil},
		{"refused", nil, &emrtest.Fault{Status: 401}, syncerr.Denied, nil},
		{"busy", nil, &emrtest.Fault{Status: 503}, syncerr.Transient, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, f := newFHIRServer(t, c.set)
			if c.fault != nil {
				s.SetFault(func(*http.Request) *emrtest.Fault { return c.fault })
			}
			_, err := f.Read(t.Context(), wantsOf(creates(1)))
			says(t, err, c.kind, c.words...)
			if _, err = f.Write(t.Context(), creates(1)); syncerr.KindOf(err) != c.kind {
				t.Errorf("write: %v", err)
			}
			if len(s.Requests()) > 0 {
				t.Error("it was spoken to all the same")
			}
		})
	}
}

// The capabilities are asked for once an hour, and again after an error that they may explain.
func TestFHIRCapabilitiesAreAskedAgain(t *testing.T) {
	s, asked := &emrtest.FHIRServer{}, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isMetadata(r) {
			asked++
		}
		s.ServeHTTP(w, r)
	}))
	defer srv.Close()
	now := time.UnixMilli(1_800_000_000_000)
	f := clients.NewFHIR(srv.URL+"/fhir", secret(""), srv.Client().Transport, func() time.Time { return now })
	read := func(want int) {
		t.Helper()
		_, _ = f.Read(t.Context(), wantsOf(creates(1)))
		if asked != want {
			t.Errorf("asked %d times, want %d", asked, want)
		}
	}
	read(1)
	now = now.Add(59 * time.Minute)
	read(1)
	now = now.Add(2 * time.Minute)
	read(2)
	s.SetFault(always(emrtest.Fault{Status: 503}))
	read(2)
	s.SetFault(nil)
	read(2) // a busy server is no other server
	s.SetFault(always(emrtest.Fault{Status: 200, Type: "text/html", Body: "<html>"}))
	read(2)
	s.SetFault(nil)
	read(3)
	read(3)
	caps, err := f.Capabilities(t.Context())
	if err != nil || !caps.Batch || !caps.History || caps.Transaction || caps.FHIR != "4.0.1" || !caps.Types["Patient"].UpdateCreate || caps.Types["Patient"].Unversioned {
		t.Errorf("%+v, %v", caps, err)
	}
}

func TestFHIRCredentials(t *testing.T) {
	for given, header := range map[string]string{
		"": "", "abc.def-ghi": "Bearer abc.def-ghi", "nurse:pass:word": "Basic " + base64.StdEncoding.EncodeToString([]byte("nurse:pass:word")),
	} {
		s := &emrtest.FHIRServer{Credential: header}
		srv := httptest.NewServer(s)
		defer srv.Close()
		f := clients.NewFHIR(srv.URL+"/fhir", secret(given), srv.Client().Transport, time.Now)
		if _, err := f.Read(t.Context(), wantsOf(creates(1))); err != nil {
			t.Errorf("%s: %v", header, err)
		}
		if header != "" {
			f = clients.NewFHIR(srv.URL+"/fhir", secret("wrong"), srv.Client().Transport, time.Now)
			_, err := f.Read(t.Context(), wantsOf(creates(1)))
			says(t, err, syncerr.Denied, "who are you?")
		}
	}
	lost := errors.New("the file is gone")
	f := clients.NewFHIR("http://nowhere.invalid", func() (string, error) { return "", lost }, http.DefaultTransport, time.Now)
	if _, err := f.Read(t.Context(), wantsOf(creates(1))); !errors.Is(err, lost) {
		t.Error(err)
	}
}

// Bodies go and come packed, unless the server cannot: that is found out once.
func TestFHIRPacks(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		s, f := newFHIRServer(t, func(s *emrtest.FHIRServer) { s.NoGzip = refuses })
		for i := range 3 {
			if _, err := f.Write(t.Context(), creates(40)); err != nil {
				t.Fatal(err)
			}
			came, went := s.Packed()
			if want := i + 1; refuses && came != 1 || !refuses && came != want || went <= i {
				t.Errorf("refuses %t: %d came packed and %d went", refuses, came, went)
			}
		}
		in, out := f.Traffic()
		if plain := int64(3 * 40 * len(document(patientKey("c0"), "0"))); !refuses && out > plain/2 || in == 0 {
			t.Errorf("%d bytes came and %d went, plain they are %d", in, out, plain)
		}
	}
}

// A batch has at most 4 MiB, a document above that goes alone; an answer that would not fit into memory is asked for in parts, and a document over the limit is
// an error that names it.
func TestFHIRSizes(t *testing.T) {
	s, f := newFHIRServer(t, nil)
	large := func(k fhir.Key, mb int) []byte { return document(k, strings.Repeat("x", mb<<20)) }
	var edits []resourcemanager.Edit
	for i, mb := range []int{1, 1, 1, 1, 5, 1} {
		k := patientKey(fmt.Sprintf("l%d", i))
		edits = append(edits, resourcemanager.Edit{Key: k, Content: large(k, mb), Create: true})
	}
	answers, err := f.Write(t.Context(), edits)
	if err != nil || len(answers) != len(edits) {
		t.Fatalf("%d, %v", len(answers), err)
	}
	if got := fmt.Sprint(s.Requests()); got != "[POST PUT Patient/l3 PUT Patient/l4 PUT Patient/l5]" {
		t.Error(got)
	}
	for i := range 5 {
		k := patientKey(fmt.Sprintf("l%d", i))
		s.Put(k, large(k, 9))
	}
	copies, err := f.Read(t.Context(), wantsOf(edits))
	if err != nil || len(copies) != len(edits) || len(copies[4].Content) < 9<<20 || copies[4].Key != edits[4].Key {
		t.Fatalf("%d, %v", len(copies), err)
	}
	if got := len(s.Requests()); got != 2 {
		t.Errorf("%d requests", got)
	}
	s.Put(patientKey("l1"), large(patientKey("l1"), 17))
	for _, wants := range [][]resourcemanager.Want{wantsOf(edits[:3]), wantsOf(edits[1:2])} {
		_, err = f.Read(t.Context(), wants)
		says(t, err, syncerr.TooLarge, "Patient/l1")
	}
}

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An exchange in which nothing moves ends; whoever gives up himself hears that and nothing of the link.
func TestFHIRDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		})
		f := clients.NewFHIR("http://emr.example/fhir", secret(""), silent, time.Now)
		start := time.Now()
		_, err := f.Read(t.Context(), wantsOf(creates(1)))
		says(t, err, syncerr.Transient, "nothing came for too long")
		if took := time.Since(start); took < 80*time.Second || took > 5*time.Minute {
			t.Errorf("it took %s", took)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err = f.Read(ctx, wantsOf(creates(1))); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
