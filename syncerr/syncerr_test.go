package syncerr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/tributary-sync/tributary/syncerr"
)

type kindRow struct {
	kind  syncerr.Kind
	name  string
	http  int
	issue string
	exit  int
	retry bool
}

// kinds is written out a second time on purpose: scripts, peers and audit rows rely on each of these values.
func kinds() []kindRow {
	return []kindRow{
		{syncerr.Internal, "internal", 500, "exception", 1, false},
		{syncerr.Transient, "transient", 503, "transient", 1, true},
		{syncerr.Invalid, "invalid", 400, "invalid", 1, false},
		{syncerr.NotFound, "not-found", 404, "not-found", 1, false},
		{syncerr.Gone, "gone", 410, "deleted", 1, false},
		{syncerr.Conflict, "conflict", 409, "conflict", 1, false},
		{syncerr.Precondition, "precondition", 412, "conflict", 1, false},
		{syncerr.Ambiguous, "ambiguous", 412, "multiple-matches", 1, false},
		{syncerr.Denied, "denied", 401, "security", 1, false},
		{syncerr.TooLarge, "too-large", 413, "too-long", 1, false},
		{syncerr.Unsupported, "unsupported", 415, "not-supported", 1, false},
		{syncerr.Unprocessable, "unprocessable", 422, "processing", 1, false},
		{syncerr.EpochChanged, "epoch-changed", 409, "conflict", 1, false},
		{syncerr.StorageFull, "storage-full", 507, "no-store", 1, true},
		{syncerr.Unavailable, "unavailable", 503, "transient", 1, true},
		{syncerr.Usage, "usage", 400, "invalid", 2, false},
	}
}

func TestKinds(t *testing.T) {
	names := map[string]bool{}
	for i, r := range kinds() {
		if r.kind != syncerr.Kind(i) {
			t.Errorf("%s: the table skips kind %d", r.name, i)
		}
		got := kindRow{r.kind, r.kind.String(), r.kind.HTTPStatus(), r.kind.IssueCode(), r.kind.ExitCode(), r.kind.Retry()}
		if got != r {
			t.Errorf("got %+v, want %+v", got, r)
		}
		names[r.name] = true
	}
	if len(names) != len(kinds()) {
		t.Errorf("two kinds share a name: %v", names)
	}
	for _, k := range []syncerr.Kind{-1, syncerr.Usage + 1} {
		if got := k.String(); got != "internal" {
			t.Errorf("kind %d: got %q, want internal: the table here or there lacks a kind", k, got)
		}
	}
	if got := syncerr.KindOf(&syncerr.Error{}); got != syncerr.Internal {
		t.Errorf("an unclassified error: got %s, want internal", got)
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("cause")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"new", syncerr.New(syncerr.Invalid, "read x", "%d is %s", 3, "odd"), "read x: 3 is odd"},
		{"hint", syncerr.New(syncerr.Invalid, "read x", "odd").WithHint("use %d", 4), "read x: odd. use 4"},
		{"no operation", &syncerr.Error{Err: cause}, "cause"},
		{"no cause", &syncerr.Error{Op: "read x"}, "read x"},
		{"wrapped", syncerr.Wrap(syncerr.Gone, "read x", cause), "read x: cause"},
		{"wrapped twice", syncerr.Wrap(syncerr.Gone, "a", syncerr.Wrap(syncerr.Invalid, "b", cause)), "a: b: cause"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	if err := syncerr.Wrap(syncerr.Invalid, "read x", nil); err != nil {
		t.Errorf("a nil error became %v", err)
	}
	err := syncerr.Wrap(syncerr.Transient, "read x", io.ErrUnexpectedEOF)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v lost its cause", err)
	}
	outer := syncerr.Wrap(syncerr.Invalid, "outer", fmt.Errorf("between: %w", err))
	if got := syncerr.KindOf(outer); got != syncerr.Transient {
		t.Errorf("a second classification won: got %s, want transient", got)
	}
	if !errors.Is(outer, io.ErrUnexpectedEOF) {
		t.Errorf("%v lost its cause", outer)
	}
	if got := syncerr.KindOf(syncerr.New(syncerr.Denied, "x", "y: %w", context.Canceled)); got != syncerr.Denied {
		t.Errorf("got %s, want denied", got)
	}
}

func TestKindOf(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want syncerr.Kind
	}{
		{"nil", nil, syncerr.Internal},
		{"foreign", io.EOF, syncerr.Internal},
		{"direct", syncerr.New(syncerr.Gone, "a", "b"), syncerr.Gone},
		{"under fmt", fmt.Errorf("x: %w", syncerr.New(syncerr.Gone, "a", "b")), syncerr.Gone},
		{"joined", errors.Join(io.EOF, syncerr.New(syncerr.Gone, "a", "b")), syncerr.Gone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := syncerr.KindOf(tt.err); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestHint(t *testing.T) {
	plain := syncerr.New(syncerr.StorageFull, "write", "no room")
	hinted := plain.WithHint("free %d MB", 10)
	if plain.Hint != "" || hinted.Hint != "free 10 MB" || hinted.Kind != syncerr.StorageFull {
		t.Errorf("got %+v from %+v: a copy with the hint was wanted", hinted, plain)
	}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"nil", nil, ""},
		{"foreign", io.EOF, ""},
		{"none", plain, ""},
		{"direct", hinted, "free 10 MB"},
		{"under fmt", fmt.Errorf("x: %w", hinted), "free 10 MB"},
		{"under one without", &syncerr.Error{Op: "x", Err: fmt.Errorf("y: %w", hinted)}, "free 10 MB"},
		{"the outer one first", (&syncerr.Error{Err: hinted}).WithHint("outer"), "outer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := syncerr.HintOf(tt.err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestKindOfStatus(t *testing.T) {
	want := map[int]syncerr.Kind{
		200: syncerr.Internal, 304: syncerr.Internal, 400: syncerr.Invalid, 401: syncerr.Denied, 403: syncerr.Denied,
		404: syncerr.NotFound, 405: syncerr.Invalid, 408: syncerr.Transient, 409: syncerr.Conflict, 410: syncerr.Gone,
		412: syncerr.Precondition, 413: syncerr.TooLarge, 415: syncerr.Unsupported, 422: syncerr.Unprocessable,
		425: syncerr.Transient, 429: syncerr.Transient, 500: syncerr.Transient, 502: syncerr.Transient,
		503: syncerr.Transient, 504: syncerr.Transient, 507: syncerr.StorageFull, 599: syncerr.Transient,
	}
	for status, kind := range want {
		if got := syncerr.KindOfStatus(status); got != kind {
			t.Errorf("%d: got %s, want %s", status, got, kind)
		}
	}
	// What a node answers must make its child do the same about it: try again for ever, or not.
	for _, r := range kinds() {
		if r.kind == syncerr.Internal {
			continue
		}
		if got := syncerr.KindOfStatus(r.http); got.Retry() != r.retry {
			t.Errorf("%s is answered with %d, which a peer reads as %s", r.kind, r.http, got)
		}
	}
}
