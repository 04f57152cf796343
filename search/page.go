package search

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tributary-sync/tributary/fhir"
)

// Page is the place in a result behind which a page starts: the last resource of the page before it. The zero value is the
// start. A place names a resource rather than a number of rows, so that a write between two pages moves nothing over it.
type Page struct {
	ID     string // the id of the last resource seen
	Millis int64  // its time of last update, in milliseconds since 1970 UTC
	Num    int64  // its number in the store
	Key    string // the value by which it was put in order, of Sort.Param
	None   bool   // it has no such value: it stands behind those that have
	By     string // what the store went along where the query asks for no order
}

// Next returns the value of _page for the page behind a resource of the result. It holds for the query's type and order only.
func (q Query) Next(p Page) string {
	none := "0"
	if p.None {
		none = "1"
	}
	text := strings.Join([]string{q.Type, q.Sort.String(), strconv.FormatInt(p.Millis, 10), strconv.FormatInt(p.Num, 10), p.ID, none, p.By, p.Key}, "|")
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// readPage reads what Next made for a query of the same type and order.
func (q Query) readPage(token string) (Page, error) {
	const fields = 8
	malformed := func() (Page, error) {
		return Page{}, invalid("_page is not a token of this server. start from the first page")
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(token)
	part := strings.SplitN(string(text), "|", fields)
	if err != nil || len(part) != fields || !fhir.ValidID(part[4]) || part[5] != "0" && part[5] != "1" || len(part[6]) > 1 || !validKey(part[7]) {
		return malformed()
	}
	millis, err := strconv.ParseInt(part[2], 10, 64)
	if err != nil {
		return malformed()
	}
	num, err := strconv.ParseInt(part[3], 10, 64)
	if err != nil || num < 1 {
		return malformed()
	}
	if part[0] != q.Type || part[1] != q.Sort.String() {
		return Page{}, invalid("_page belongs to another search. start from the first page, or keep the type and _sort")
	}
	return Page{ID: part[4], Millis: millis, Num: num, None: part[5] == "1", By: part[6], Key: part[7]}, nil
}

// validKey reports whether a text may be a value of the index.
func validKey(text string) bool { return len(text) <= maxKey && utf8.ValidString(text) }

// From returns the query for the page behind what Next named. It returns an Invalid error for a text that Next did not make for a query of
// this type and order.
func (q Query) From(token string) (Query, error) {
	var err error
	q.Page, err = q.readPage(token)
	return q, err
}
