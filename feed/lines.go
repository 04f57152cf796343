package feed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// DefaultMaxLine is the longest line in bytes that a reader takes where its caller does not say: the largest resource and
// its stamp.
const DefaultMaxLine = fhir.MaxBytes + 8<<20

// readBuffer holds a usual line, so that it is decoded where it was read.
const readBuffer = 32 << 10

// lines cuts a stream at its newlines and holds no more of it than one line.
type lines struct {
	r   *bufio.Reader
	max int
	n   int    // the number of the line last read, from 1
	buf []byte // a line that is longer than the reader's buffer
}

func newLines(r io.Reader, limit int) *lines {
	if limit <= 0 {
		limit = DefaultMaxLine
	}
	return &lines{r: bufio.NewReaderSize(r, readBuffer), max: limit}
}

// next returns the next line that is not blank; it is valid until the next call. whole is false where the stream ended
// without a newline. At the end of the stream it returns io.EOF. It passes at most max bytes of blank lines: they keep an
// idle connection open, and an endless run of them would hold the reader for ever.
func (l *lines) next() (line []byte, whole bool, err error) {
	for blank := 0; ; {
		line, whole, err = l.read()
		if err != nil {
			return nil, false, err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return line, whole, nil
		}
		if !whole {
			return nil, false, io.EOF
		}
		if blank += len(line) + 1; blank > l.max {
			return nil, false, syncerr.New(syncerr.TooLarge, "read feed", "more than %d bytes of blank lines", l.max)
		}
	}
}

func (l *lines) read() ([]byte, bool, error) {
	l.n++
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full && err != io.EOF {
			return nil, false, syncerr.Wrap(syncerr.Transient, "read feed", err)
		}
		whole := err == nil
		if whole {
			part = part[:len(part)-1]
		}
		if len(l.buf)+len(part) > l.max {
			return nil, false, syncerr.New(syncerr.TooLarge, "read feed", "line %d is longer than %d bytes", l.n, l.max)
		}
		if !full && len(l.buf) == 0 {
			return part, whole, nil
		}
		l.buf = append(l.buf, part...)
		if !full {
			return l.buf, whole, nil
		}
	}
}

// cut reports a stream that ended before its last line: what came before it stands, the rest has to be asked for again.
func (l *lines) cut() error {
	return &syncerr.Error{
		Kind: syncerr.Transient, Op: "read feed",
		Err: fmt.Errorf("the stream ends at line %d without its last line: %w", l.n, io.ErrUnexpectedEOF),
	}
}

func (l *lines) invalid(err error) error {
	return syncerr.Wrap(syncerr.Invalid, fmt.Sprintf("read feed, line %d", l.n), err)
}
