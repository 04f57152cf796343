package clients

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/syncerr"
)

// fhirReply is an answer that speaks of what was asked for. It must be closed.
type fhirReply struct {
	status int
	header http.Header
	body   io.Reader // unpacked
	close  func()
}

// whole returns an error where the answer is about the exchange and not about what was asked for.
func (l *fhirLink) whole(r *fhirReply) error {
	switch s := r.status; {
	case s >= 300 && s < 400 && s != http.StatusNotModified:
		return syncerr.New(syncerr.Invalid, l.op(), "it redirects to %.200s", placeOf(r.header.Get("Location"))).
			WithHint("Redirects are not followed, so that credentials and records go nowhere else: set the address that answers itself")
	case s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusProxyAuthRequired:
		return syncerr.New(syncerr.Denied, l.op(), "it answered %d: %s", s, wordsOf(r)).
			WithHint("Check the credential, and what its operator lets it read and write")
	case isBusy(s):
		l.pause(r.header)
		return syncerr.New(syncerr.Transient, l.op(), "it answered %d: %s", s, wordsOf(r)).WithHint("Nothing is lost: it is tried again by itself")
	}
	return nil
}

// isBusy reports whether a status means that the same request may work later.
func isBusy(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout, http.StatusInsufficientStorage:
		return true
	}
	return false
}

// pause notes how long the server wants to be left alone (RFC 9110 section 10.2.3): seconds, or a time by its own clock.
func (l *fhirLink) pause(h http.Header) {
	text := h.Get("Retry-After")
	wait := time.Duration(0)
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		from := l.now()
		if date, err := http.ParseTime(h.Get("Date")); err == nil {
			from = date
		}
		wait = at.Sub(from)
	}
	if wait > 0 {
		l.busy.Store(l.now().Add(min(wait, longestRest)).UnixMilli())
	}
}

// unpacking reads a gzip stream; it is opened by the first Read, so that an empty body has no error of its own.
type unpacking struct {
	r io.Reader
	z *gzip.Reader
}

func (u *unpacking) Read(p []byte) (int, error) {
	if u.z == nil {
		z, err := gzip.NewReader(u.r)
		if err != nil {
			return 0, err
		}
		u.z = z
	}
	return u.z.Read(p)
}

// json returns the body of an answer that has to be a JSON object. HTML and XML are Invalid errors that say so.
func (l *fhirLink) json(ctx context.Context, r *fhirReply) (*bufio.Reader, error) {
	in := bufio.NewReader(r.body)
	media := strings.ToLower(r.header.Get("Content-Type"))
	first := byte(0)
	for n := 1; n <= 64; n++ {
		head, err := in.Peek(n)
		if err != nil {
			if errors.Is(err, io.EOF) && n == 1 {
				return nil, syncerr.New(syncerr.Invalid, l.op(), "it answered %d with nothing in it", r.status)
			}
			return nil, l.cut(ctx, err)
		}
		first = head[n-1]
		if !strings.ContainsRune(" \t\r\n", rune(first)) {
			break
		}
	}
	switch {
	case first == '{' && !strings.Contains(media, "html"):
		return in, nil
	case strings.Contains(media, "html") || first == '<' && !strings.Contains(media, "xml"):
		return nil, syncerr.New(syncerr.Invalid, l.op(), "it answered %d with a web page", r.status).
			WithHint("The address may be that of a login page, of a proxy or of the server's own pages: set the FHIR base, under which metadata is")
	case first == '<':
		return nil, syncerr.New(syncerr.Invalid, l.op(), "it answered in XML although JSON was asked for")
	}
	return nil, syncerr.New(syncerr.Invalid, l.op(), "it answered %d with something else than JSON (%.60q)", r.status, media)
}

// cut classifies an error in the middle of a body.
func (l *fhirLink) cut(ctx context.Context, err error) error {
	var known *syncerr.Error
	switch {
	case errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &syncerr.Error{Kind: syncerr.Transient, Op: l.op(), Err: fmt.Errorf("its answer broke off: %w", err), Hint: "Nothing is lost: it is tried again by itself"}
}
