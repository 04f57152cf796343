package clients_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/emrtest"
	"github.com/tributary-sync/tributary/syncerr"
)

// A search reads everything of its types each time, and says where that may not be all.
func TestSearchOfEverything(t *testing.T) {
	s := &emrtest.FHIRServer{NoHistory: true, Page: 7, Clock: time.Now}
	web := httptest.NewServer(s)
	defer web.Close()
	for i := range 20 {
		k := fhir.Key{Type: []string{"Location", "Organization"}[i%2], ID: fmt.Sprint("x", i)}
		s.Put(k, fmt.Appendf(nil, `{"resourceType":%q,"id":%q}`, k.Type, k.ID))
	}
	s.Put(fhir.Key{Type: "Location", ID: "x0"}, nil)
	f := clients.NewFHIR(web.URL+"/fhir", func() (string, error) { return "", nil }, http.DefaultTransport, time.Now)
	l := clients.NewSearch(f, []string{"Organization", "Location"})
	for range 2 {
		got, next, err := round(t, l, "")
		listing, doubt := l.Listed()
		if err != nil || len(got) != 19 || len(listing) != 19 || doubt != nil || listing.Has(fhir.Key{Type: "Location", ID: "x0"}) {
			t.Error(len(got), next, err, len(listing), doubt)
		}
	}
	// A round that ended, whose end was not stored, is begun anew.
	_, middle, err := oneStep(l, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{10, 19} { // the rest of it, then a whole one
		if got, _, err := round(t, l, middle); err != nil || len(got) != want {
			t.Error(len(got), err)
		}
	}
	if listing, doubt := l.Listed(); len(listing) != 19 || doubt != nil {
		t.Error(len(listing), doubt)
	}

	// So is one that another process began.
	more, next, err := oneStep(l, "")
	if listing, _ := l.Listed(); err != nil || !more || listing != nil {
		t.Error(next, more, err, listing)
	}
	other := clients.NewSearch(f, []string{"Organization", "Location"})
	if got, _, err := round(t, other, next); err != nil || len(got) != 19 {
		t.Error(len(got), err)
	}

	answer := func(body string) {
		s.SetFault(func(r *http.Request) *emrtest.Fault {
			if strings.Contains(r.URL.Path, "metadata") {
				return nil
			}
			return &emrtest.Fault{Status: 200, Type: "application/fhir+json", Body: body}
		})
	}
	one := clients.NewSearch(f, []string{"Location"})
	for body, doubtful := range map[string]bool{
		`{"resourceType":"Bundle","type":"searchset","total":2,"entry":[{"resource":{"resourceType":"Location","id":"a"}}]}`:                                                             true,
		`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Location","id":"a"}},{"resource":{"resourceType":"Patient","id":"a"}}]}`:                      true,
		`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Location"}}]}`:                                                                                true,
		`{"resourceType":"Bundle","type":"searchset","total":1,"entry":[{"resource":{"resourceType":"Location","id":"a"}},{"resource":{"resourceType":"OperationOutcome","issue":[]}}]}`: false,
		`{"resourceType":"Bundle","type":"searchset"}`: false,
	} {
		answer(body)
		_, _, err := round(t, one, "")
		if listing, doubt := one.Listed(); err != nil || (doubt != nil) != doubtful || listing == nil {
			t.Errorf("%s: %v %v", body, err, doubt)
		}
	}
	for _, body := range []string{`{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Location","id":"a"}}`, `<html>`, `{"resourceType":"OperationOutcome"}`, `{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":"/fhir/Location?_count=100"}]}`} {
		answer(body)
		_, _, err := round(t, one, "")
		if listing, _ := one.Listed(); err == nil || listing != nil || syncerr.KindOf(err) == syncerr.Internal {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// oneStep makes one call of Changes.
func oneStep(l feedreader.Foreign, after string) (more bool, next string, err error) {
	next, more, err = l.Changes(context.Background(), after, func(feedreader.Item) error { return nil })
	return more, next, err
}
