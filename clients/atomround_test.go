package clients

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/feedreader"
)

// endless is a feed whose pages go on for ever.
type endless struct{}

func (endless) RoundTrip(r *http.Request) (*http.Response, error) {
	at, body := 0, `<link rel="prev-archive" href="1000000"/>`
	if _, err := fmt.Sscanf(r.URL.Path, "/patient/%d", &at); err == nil {
		body = fmt.Sprintf(`<link rel="next-archive" href="%d"/><entry><id>%d</id><content>/ws/rest/v1/obs/%d</content></entry>`, at+1, at, at)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`<feed xmlns="http://www.w3.org/2005/Atom">` + body + `</feed>`))}, nil
}

// A feed without end ends a round all the same, and the next one goes on where it stood.
func TestAtomEndless(t *testing.T) {
	a := NewAtom([]string{"http://emr.example/patient/recent"}, func() (string, error) { return "", nil }, endless{}, time.Now)
	place, read, rounds := "", 0, 0
	for range 30 {
		next, more, err := a.Changes(t.Context(), place, func(it feedreader.Item) error {
			if read++; it.Key.ID != fmt.Sprint(read) {
				t.Errorf("%s as number %d", it.Key, read)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if place = next; read == 5 {
			a.feeds[0].pages = maxAtomPages - 5 // as if it had been that many already
		}
		if !more {
			rounds++
		}
	}
	if rounds != 1 || read != 29 {
		t.Errorf("%d rounds, %d items", rounds, read)
	}
}
