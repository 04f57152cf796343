package feed

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// members says which members of an event stood in its line.
type members uint16

const (
	hasKey members = 1 << iota
	hasAction
	hasVersion
	hasVector
	hasAuthor
	hasAuthored
	hasOrigin
	hasCommitted
	hasSeq
	hasOther
)

const required = hasKey | hasAction | hasVersion | hasCommitted

var (
	errNotObject = errors.New("a line is one JSON object")
	errShort     = errors.New("an event needs key, action, version and committed")
)

// decode reads one line; known is false for a line of a kind that this version does not know: one member, an object.
func (s *stream) decode(line []byte) (v anyLine, known bool, err error) {
	s.buf = *bytes.NewBuffer(line)
	s.dec.Reset(&s.buf)
	d := &s.dec
	if d.PeekKind() != '{' {
		if _, err := d.ReadValue(); err != nil {
			return v, false, s.in.invalid(err)
		}
		return v, false, s.in.invalid(errNotObject)
	}
	if _, err := d.ReadToken(); err != nil {
		return v, false, s.in.invalid(err)
	}
	var e Event
	var has members
	unknown, objects := 0, 0
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return v, false, s.in.invalid(err)
		}
		if name, err = s.unquoted(name); err != nil {
			return v, false, s.in.invalid(err)
		}
		switch string(name) {
		case "name", "receipt", "ref", "known", "mark", "head", "end", "error":
			return s.decodeControl(line)
		}
		m, err := s.member(&e, name)
		if err != nil {
			return v, false, s.in.invalid(err)
		}
		if m == 0 {
			unknown++
			if d.PeekKind() == '{' {
				objects++
			}
			err = d.SkipValue()
		}
		if err != nil {
			return v, false, s.in.invalid(err)
		}
		has |= m
	}
	if _, err := d.ReadToken(); err != nil {
		return v, false, s.in.invalid(err)
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return v, false, s.in.invalid(errors.New("more than one value stands in a line"))
	}
	switch {
	case has == 0 && unknown == 1 && objects == 1:
		return v, false, nil
	case has&required != required:
		return v, false, s.in.invalid(errShort)
	case s.want&kindEvent == 0:
		return v, false, s.in.invalid(errors.New("events have no place in this stream"))
	}
	e.fill(has)
	if err := checkEvent(&e); err != nil {
		return v, false, s.in.invalid(err)
	}
	if err := s.seq.next(e.Seq); err != nil {
		return v, false, s.in.invalid(err)
	}
	v.Event = &e
	return v, true, nil
}

// fill sets what the line left out.
func (e *Event) fill(has members) {
	st := &e.Stamp
	if has&hasVector == 0 {
		st.Vector = version.Vector{st.Version}
	}
	if has&hasAuthor == 0 {
		st.Author = st.Version.Replica
	}
	if has&hasAuthored == 0 {
		st.Authored = e.Committed
	}
	if has&hasOrigin == 0 {
		st.Origin = st.Version
	}
	if len(e.Content) > 0 {
		e.Size = len(e.Content)
	}
}

// member reads the value of one member of an event; 0 means that it is unknown and was not read.
func (s *stream) member(e *Event, name []byte) (members, error) {
	switch string(name) {
	case "seq":
		n, err := s.number(63)
		e.Seq = uint64(n)
		return hasSeq, err
	case "key":
		b, err := s.str()
		if err != nil {
			return hasKey, err
		}
		e.Key, err = fhir.ParseKey(string(b))
		return hasKey, err
	case "action":
		b, err := s.str()
		e.Action = action(b)
		return hasAction, err
	case "version":
		b, err := s.str()
		if err != nil {
			return hasVersion, err
		}
		e.Stamp.Version, err = version.Parse(string(b))
		return hasVersion, err
	case "vector":
		b, err := s.str()
		if err != nil {
			return hasVector, err
		}
		e.Stamp.Vector, err = version.ParseVector(string(b))
		return hasVector, err
	case "author":
		b, err := s.str()
		e.Stamp.Author = version.Replica(b)
		return hasAuthor, err
	case "authored":
		n, err := s.number(63)
		e.Stamp.Authored = n
		return hasAuthored, err
	case "origin":
		b, err := s.str()
		if err != nil {
			return hasOrigin, err
		}
		e.Stamp.Origin, err = version.Parse(string(b))
		return hasOrigin, err
	case "deleted":
		t, err := s.dec.ReadToken()
		if err == nil && t.Kind() != 't' && t.Kind() != 'f' {
			err = errors.New("deleted must be true or false")
		}
		e.Stamp.Deleted = err == nil && t.Bool()
		return hasOther, err
	case "hash":
		b, err := s.str()
		if err != nil {
			return hasOther, err
		}
		return hasOther, e.Stamp.Hash.UnmarshalText(b)
	case "unit":
		b, err := s.str()
		e.Unit = string(b)
		return hasOther, err
	case "unitSize":
		n, err := s.number(31)
		e.UnitSize = int(n)
		return hasOther, err
	case "committed":
		n, err := s.number(63)
		e.Committed = n
		return hasCommitted, err
	case "size":
		n, err := s.number(31)
		e.Size = int(n)
		return hasOther, err
	case "content":
		var err error
		e.Content, err = s.content()
		return hasOther, err
	}
	return 0, nil
}

func action(b []byte) Action {
	switch string(b) {
	case string(Created):
		return Created
	case string(Updated):
		return Updated
	case string(Deleted):
		return Deleted
	}
	return Action(b)
}

// str returns the text of a JSON string; it is valid until the next read.
func (s *stream) str() ([]byte, error) {
	v, err := s.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if v.Kind() != '"' {
		return nil, errors.New("a string is expected at " + string(s.dec.StackPointer()))
	}
	return s.unquoted(v)
}

func (s *stream) unquoted(v jsontext.Value) ([]byte, error) {
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1], nil
	}
	var err error
	s.text, err = jsontext.AppendUnquote(s.text[:0], v)
	return s.text, err
}

// number returns an integer of at most bits bits that is not negative, save times, which may lie before 1970.
func (s *stream) number(bits int) (int64, error) {
	v, err := s.dec.ReadValue()
	if err != nil {
		return 0, err
	}
	if v.Kind() != '0' {
		return 0, errors.New("a number is expected at " + string(s.dec.StackPointer()))
	}
	return strconv.ParseInt(string(v), 10, bits+1)
}

// content returns an own copy of a JSON object without the white space between its tokens.
func (s *stream) content() ([]byte, error) {
	v, err := s.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	if v.Kind() != '{' {
		return nil, errors.New("content must be a JSON object")
	}
	own := v.Clone()
	if blanks(own) {
		if err := own.Compact(); err != nil {
			return nil, err
		}
	}
	return own, nil
}

// blanks reports whether valid JSON has white space between its tokens. It leaps over strings, which are most of it.
func blanks(b []byte) bool {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case ' ', '\t', '\n', '\r':
			return true
		case '"':
			for i++; ; i++ {
				n := bytes.IndexByte(b[i:], '"')
				if n < 0 {
					return false
				}
				i += n
				if !escaped(b, i) {
					break
				}
			}
		}
	}
	return false
}

// escaped reports whether an odd number of backslashes stands before position i.
func escaped(b []byte, i int) bool {
	n := 0
	for i--; i >= 0 && b[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}
