package search

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
)

// Page is the place in a result behind which a page starts: the last resource of the page before it. The zero value is the
// start. A place names a resource rather than a number of rows, so that a write between two pages moves nothing over it.
type Page struct {
	ID     string // the id of the last resource seen
	Millis int64  // its time of last update, in milliseconds since 1970 UTC
}

// Next returns the value of _page for the page behind a resource of the result, given by its id and its time of last update
// in milliseconds since 1970 UTC. It holds for the query's type and order only.
func (q Query) Next(id string, lastUpdatedMillis int64) string {
	text := strings.Join([]string{q.Type, q.Sort.String(), strconv.FormatInt(lastUpdatedMillis, 10), id}, "|")
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// readPage reads what Next made for a query of the same type and order.
func (q Query) readPage(token string) (Page, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(token)
	part := strings.Split(string(text), "|")
	if err != nil || len(part) != 4 || !fhir.ValidID(part[3]) {
		return Page{}, invalid("_page is not a token of this server. start from the first page")
	}
	millis, err := strconv.ParseInt(part[2], 10, 64)
	if err != nil {
		return Page{}, invalid("_page is not a token of this server. start from the first page")
	}
	if part[0] != q.Type || part[1] != q.Sort.String() {
		return Page{}, invalid("_page belongs to another search. start from the first page, or keep the type and _sort")
	}
	return Page{ID: part[3], Millis: millis}, nil
}
