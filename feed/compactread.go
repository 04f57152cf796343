package feed

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/syncerr"
)

// Line is one line of a page in the compact form: exactly one member is set.
type Line struct {
	Event *Event
	Name  *Name
	Known *Known
	Mark  *Mark
	Head  *Head
	End   *End
}

// Decoder reads what an Encoder writes. Members and kinds of lines that it does not know are passed over, so that a newer
// peer may add some. What it returns is the caller's own. A Decoder is not safe for concurrent use.
type Decoder struct{ s stream }

// NewDecoder returns a Decoder for a page of events. maxLine is the longest line in bytes that it takes, 0 for
// DefaultMaxLine; it never holds more of the stream than one line.
func NewDecoder(r io.Reader, maxLine int) *Decoder {
	return &Decoder{s: stream{in: newLines(r, maxLine), want: kindEvent | kindName | kindKnown | kindMark | kindHead}}
}

// Next returns the next line; after the end line it returns io.EOF. Every other error is final:
//   - Transient, in whose chain io.ErrUnexpectedEOF stands, where the stream ends without an end line; every whole line
//     before that has been returned
//   - the error's own Kind where the sender wrote an error line
//   - TooLarge for a line over the limit
//   - Invalid for anything else: malformed JSON, doubled names, a bad key or stamp, sequences that do not rise (all may be
//     0), a line behind the end
func (d *Decoder) Next() (Line, error) {
	v, err := d.s.next()
	return v.Line, err
}

type kinds uint8

const (
	kindEvent kinds = 1 << iota
	kindName
	kindReceipt
	kindRef
	kindKnown
	kindMark
	kindHead
)

// anyLine is a line of any stream.
type anyLine struct {
	Line
	receipt *Receipt
	ref     *Ref
}

// stream is the common part of all readers of the compact form.
type stream struct {
	in     *lines
	want   kinds
	dec    jsontext.Decoder
	buf    bytes.Buffer
	text   []byte
	seq    ascending
	ended  bool
	passed int // bytes of unknown lines since the last known one
	err    error
}

func (s *stream) next() (anyLine, error) {
	if s.err != nil {
		return anyLine{}, s.err
	}
	v, err := s.take()
	if err != nil {
		s.err = err
		return anyLine{}, err
	}
	s.ended = v.End != nil
	return v, nil
}

func (s *stream) take() (anyLine, error) {
	for s.passed = 0; ; {
		line, whole, err := s.in.next()
		switch {
		case err == io.EOF && s.ended:
			return anyLine{}, io.EOF
		case err == io.EOF:
			return anyLine{}, s.in.cut()
		case err != nil:
			return anyLine{}, err
		case s.ended:
			return anyLine{}, s.in.invalid(errors.New("it stands behind the last line"))
		}
		v, known, err := s.decode(line)
		switch {
		case err != nil && !whole && errors.Is(err, io.ErrUnexpectedEOF):
			return anyLine{}, s.in.cut()
		case err != nil:
			return anyLine{}, err
		case known:
			return v, nil
		}
		if s.passed += len(line); s.passed > s.in.max {
			return anyLine{}, syncerr.New(syncerr.TooLarge, "read feed", "more than %d bytes of lines of an unknown kind", s.in.max)
		}
	}
}

// control is a line that is no event. Seq and Key are here to find a line that is both.
type control struct {
	Seq     jsontext.Value `json:"seq"`
	Key     jsontext.Value `json:"key"`
	Name    *Name          `json:"name"`
	Receipt *Receipt       `json:"receipt"`
	Ref     *Ref           `json:"ref"`
	Known   *Known         `json:"known"`
	Mark    *Mark          `json:"mark"`
	Head    *Head          `json:"head"`
	End     *End           `json:"end"`
	Error   *failure       `json:"error"`
}

type failure struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// err returns the sender's failure as this side sees it. A kind that a newer sender made up is Internal: stop and report.
func (f *failure) err() error {
	kind := syncerr.Internal
	for k := syncerr.Internal; k <= syncerr.Usage; k++ {
		if k.String() == f.Kind {
			kind = k
		}
	}
	return syncerr.New(kind, "read feed", "the other side stopped: %.1000s", f.Text)
}

func (s *stream) decodeControl(line []byte) (anyLine, bool, error) {
	var c control
	if err := json.Unmarshal(line, &c); err != nil {
		return anyLine{}, false, s.in.invalid(err)
	}
	v := anyLine{Line: Line{Name: c.Name, Known: c.Known, Mark: c.Mark, Head: c.Head, End: c.End}, receipt: c.Receipt, ref: c.Ref}
	var found kinds
	n := 0
	var err error
	mark := func(k kinds, set bool, check func() error) {
		if set {
			n++
			found |= k
			err = errors.Join(err, check())
		}
	}
	mark(kindName, c.Name != nil, func() error { return c.Name.check() })
	mark(kindReceipt, c.Receipt != nil, func() error { return c.Receipt.check() })
	mark(kindRef, c.Ref != nil, func() error { return c.Ref.wanted() })
	mark(kindKnown, c.Known != nil, func() error { return c.Known.Check() })
	mark(kindMark, c.Mark != nil, func() error { return nil })
	mark(kindHead, c.Head != nil, func() error { return c.Head.check() })
	mark(0, c.End != nil, func() error { return c.End.check() })
	mark(0, c.Error != nil, func() error { return nil })
	switch {
	case n != 1 || c.Seq != nil || c.Key != nil:
		return anyLine{}, false, s.in.invalid(errors.New("it is not exactly one of event, name, receipt, ref, known, mark, head, end and error"))
	case found&^s.want != 0:
		return anyLine{}, false, s.in.invalid(errors.New("lines of this kind have no place in this stream"))
	case err != nil:
		return anyLine{}, false, s.in.invalid(err)
	case c.Error != nil:
		return anyLine{}, false, c.Error.err()
	}
	return v, true, nil
}

func (n Name) check() error {
	if !n.Replica.Valid() || n.Node == "" || len(n.Node) > maxNodeName {
		return syncerr.New(syncerr.Invalid, "check name", "%.40q is no replica, or its name is empty or longer than %d bytes", n.Replica, maxNodeName)
	}
	return nil
}

func (e End) check() error {
	if e.Skipped < 0 || e.Limit < 0 {
		return syncerr.New(syncerr.Invalid, "check end", "a count is negative")
	}
	_, err := ParseCursor(e.Cursor.String())
	return err
}

// maxNodeName bounds a node name in bytes.
const maxNodeName = 255
