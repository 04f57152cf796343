package clients

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

const (
	maxEntries   = 100               // of a batch that is sent
	maxBatch     = 4 << 20           // bytes of a batch that is sent; one document above it goes alone
	maxDocument  = fhir.MaxBytes     // bytes of one document that is read
	maxEntry     = fhir.MaxBytes * 2 // bytes of one entry, its white space included
	maxAnswer    = 32 << 20          // bytes of an answer to a batch, from which the rest is asked for again
	maxEnvelope  = 1 << 20           // bytes of what is around the entries of a Bundle
	bundlePrefix = `{"resourceType":"Bundle","type":"batch","entry":[`
)

// fhirEntry is an entry of a Bundle that a server sent (FHIR R4 bundle.html). The resource is the bytes that came.
type fhirEntry struct {
	FullURL  string         `json:"fullUrl"`
	Resource jsontext.Value `json:"resource"`
	Search   struct {
		Mode string `json:"mode"`
	} `json:"search"`
	Request struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	} `json:"request"`
	Response struct {
		Status       string         `json:"status"`
		Location     string         `json:"location"`
		ETag         string         `json:"etag"`
		LastModified string         `json:"lastModified"`
		Outcome      jsontext.Value `json:"outcome"`
	} `json:"response"`
}

// status is the code at the begin of response.status, 0 where there is none.
func (e fhirEntry) status() int {
	code, _, _ := strings.Cut(strings.TrimSpace(e.Response.Status), " ")
	n, err := strconv.Atoi(code)
	if err != nil || n < 100 || n > 599 {
		return 0
	}
	return n
}

// fhirPage is what a Bundle says beside its entries.
type fhirPage struct {
	kind    string // batch-response, searchset, history
	next    string // link to the next page
	entries int
	total   int // 0 where it does not say
}

// errEnough stops the reading of a Bundle without an error.
var errEnough = errors.New("enough")

// bundle reads a Bundle of a kind entry by entry, so that only one of them is in memory; a page whose kind the server does not say is taken for it.
// Where the answer breaks off, whole entries were given to visit. An entry over the limit is a TooLarge error; errEnough of visit ends the reading.
func (l *fhirLink) bundle(ctx context.Context, r *fhirReply, kind string, visit func(i int, e fhirEntry) error) (fhirPage, error) {
	var page fhirPage
	in, err := l.json(ctx, r)
	if err != nil {
		return page, err
	}
	g := &gauge{r: in}
	b := bundleReader{l: l, g: g, dec: jsontext.NewDecoder(g, lenient()), page: &page, visit: visit}
	err = b.read()
	switch {
	case errors.Is(err, errEnough):
		return page, nil
	case errors.Is(err, errLong):
		return page, syncerr.New(syncerr.TooLarge, l.op(), "entry %d of its answer is larger than %d bytes", page.entries, maxEntry)
	case errors.Is(err, errOdd):
		return page, syncerr.New(syncerr.Invalid, l.op(), "its answer is a Bundle that cannot be read near byte %d", b.dec.InputOffset())
	case err != nil:
		var bad *jsontext.SyntacticError
		if errors.As(err, &bad) && !errors.Is(err, io.ErrUnexpectedEOF) && g.failed == nil {
			return page, syncerr.New(syncerr.Invalid, l.op(), "its answer is no JSON near byte %d", bad.ByteOffset)
		}
		return page, l.cut(ctx, err)
	case b.resourceType != "Bundle":
		if words := outcomeWords(b.outcome()); words != "" {
			return page, syncerr.New(syncerr.Invalid, l.op(), "it answered %d with an OperationOutcome instead of a Bundle: %s", r.status, words)
		}
		return page, syncerr.New(syncerr.Invalid, l.op(), "it answered %d with a %.40q instead of a Bundle", r.status, b.resourceType)
	case page.kind != "" && page.kind != kind:
		return page, syncerr.New(syncerr.Invalid, l.op(), "it answered with a Bundle of type %.40q instead of %s", page.kind, kind)
	}
	return page, nil
}

var (
	errLong = errors.New("an entry is too long")
	errOdd  = errors.New("this is not how a Bundle is built")
)

// gauge bounds what is read at a time.
type gauge struct {
	r      io.Reader
	left   int
	failed error // of the reader, other than its end
}

func (g *gauge) Read(p []byte) (int, error) {
	if g.left <= 0 {
		return 0, errLong
	}
	n, err := g.r.Read(p[:min(len(p), g.left)])
	g.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		g.failed = err
	}
	return n, err
}

type bundleReader struct {
	l            *fhirLink
	g            *gauge
	dec          *jsontext.Decoder
	page         *fhirPage
	visit        func(int, fhirEntry) error
	resourceType string
	issue        []byte
}

// outcome rebuilds an OperationOutcome that stood in the place of a Bundle.
func (b *bundleReader) outcome() []byte {
	return []byte(`{"resourceType":"` + b.resourceType + `","issue":` + string(b.issue) + `}`)
}

func (b *bundleReader) read() error {
	b.g.left = maxEnvelope
	if _, err := b.dec.ReadToken(); err != nil {
		return err
	}
	for b.dec.PeekKind() != '}' {
		name, err := b.dec.ReadToken()
		if err != nil {
			return err
		}
		member := name.String()
		if member == "entry" && b.dec.PeekKind() == '[' {
			if err := b.entries(); err != nil {
				return err
			}
			b.g.left = maxEnvelope
			continue
		}
		value, err := b.dec.ReadValue()
		if err != nil {
			return err
		}
		if err := b.member(member, value); err != nil {
			return err
		}
	}
	_, err := b.dec.ReadToken()
	return err
}

func (b *bundleReader) member(name string, value jsontext.Value) error {
	var err error
	switch name {
	case "resourceType":
		err = jsonv2.Unmarshal(value, &b.resourceType, lenient())
	case "type":
		err = jsonv2.Unmarshal(value, &b.page.kind, lenient())
	case "total":
		if jsonv2.Unmarshal(value, &b.page.total, lenient()) != nil {
			b.page.total = 0
		}
	case "issue":
		b.issue = bytes.Clone(value)
	case "link":
		var links []struct {
			Relation string `json:"relation"`
			URL      string `json:"url"`
		}
		err = jsonv2.Unmarshal(value, &links, lenient())
		for _, l := range links {
			if l.Relation == "next" {
				b.page.next = l.URL
			}
		}
	}
	if err != nil {
		return errOdd
	}
	return nil
}

func (b *bundleReader) entries() error {
	if _, err := b.dec.ReadToken(); err != nil {
		return err
	}
	for b.dec.PeekKind() != ']' {
		b.g.left = maxEntry
		value, err := b.dec.ReadValue()
		if err != nil {
			return err
		}
		var e fhirEntry
		if jsonv2.Unmarshal(value, &e, lenient()) != nil {
			return errOdd
		}
		i := b.page.entries
		b.page.entries++
		if err := b.visit(i, e); err != nil {
			return err
		}
	}
	_, err := b.dec.ReadToken()
	return err
}

// entryRequest is what an entry of a batch asks for.
type entryRequest struct {
	Method      string `json:"method"`
	URL         string `json:"url"`
	IfMatch     string `json:"ifMatch,omitzero"`
	IfNoneMatch string `json:"ifNoneMatch,omitzero"`
}

// appendEntry writes one entry of a batch. The document stays the bytes that it is.
func appendEntry(into []byte, fullURL string, document []byte, req entryRequest) []byte {
	if into[len(into)-1] != '[' {
		into = append(into, ',')
	}
	into = append(into, '{')
	if document != nil {
		into = append(into, `"fullUrl":`...)
		into, _ = jsontext.AppendQuote(into, fullURL) // a URL of ours has no invalid UTF-8
		into = append(into, `,"resource":`...)
		into = append(into, document...)
		into = append(into, ',')
	}
	into = append(into, `"request":`...)
	text, err := jsonv2.Marshal(req)
	if err != nil {
		panic("bug: a request of an entry has no JSON: " + err.Error())
	}
	into = append(into, text...)
	return append(into, '}')
}
