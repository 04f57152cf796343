package feed

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// ContentType is the media type of the compact form: newline-delimited JSON, one object a line (DESIGN.md section 6).
const ContentType = "application/x-ndjson"

// maxFailText bounds the text of an error line in bytes.
const maxFailText = 4096

// Encoder writes the compact form, one JSON object a line and one Write a line:
//
//	{"seq":12,"key":"Patient/1","action":"UPDATED","version":"3-uuid",...}   an event
//	{"name":{"id":"uuid","name":"clinic-a"}}                                 the node name of a replica
//	{"receipt":{...}}                                                        an answer to one change
//	{"ref":{"key":"Patient/1","version":"3-uuid"}}                           a wish for one content
//	{"known":{"type":"Patient","vector":"3-uuid 9-uuid"}}                    what the sender knows of a type
//	{"mark":{"at":"..."}}                                                    from where a catch-up can be resumed
//	{"end":{"cursor":"epoch:12"}}                                            the last line of a whole stream
//	{"error":{"kind":"transient","text":"..."}}                              the last line of a stream that failed
//
// In an event an omitted member has its default: vector is {version}, author is the version's replica, origin is the
// version, authored equals committed, size is the content's, and unit, unitSize, deleted and hash are absent. Ordinal does
// not travel: it belongs to the node that publishes. An Encoder is not safe for concurrent use; it does not buffer.
type Encoder struct {
	w    io.Writer
	buf  []byte
	seq  ascending
	done bool
	err  error
}

// NewEncoder returns an Encoder that writes to w.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{w: w} }

// Event writes an event. It returns an Internal error, and writes nothing, for an event that a Decoder would refuse: a bad
// key or stamp, a sequence out of order, anything after the end. A failed write is Transient and ends the stream.
func (e *Encoder) Event(ev Event) error {
	if err := e.open(); err != nil {
		return err
	}
	if err := checkEvent(&ev); err != nil {
		return defect(err)
	}
	if err := e.seq.next(ev.Seq); err != nil {
		return defect(err)
	}
	content := ev.Content
	if bytes.IndexByte(content, '\n') >= 0 || bytes.IndexByte(content, '\r') >= 0 {
		v := jsontext.Value(bytes.Clone(content))
		if err := v.Compact(); err != nil {
			return defect(err)
		}
		content = v
	}
	s := &ev.Stamp
	b := append(e.buf[:0], `{"seq":`...)
	b = strconv.AppendUint(b, ev.Seq, 10)
	b = append(b, `,"key":"`...)
	b = append(b, ev.Key.Type...)
	b = append(b, '/')
	b = append(b, ev.Key.ID...)
	b = append(b, `","action":"`...)
	b = append(b, ev.Action...)
	b = append(b, '"')
	b = appendStamp(append(b, ','), s, ev.Committed)
	if ev.Unit != "" {
		b = appendText(append(b, `,"unit":`...), ev.Unit)
		b = append(b, `,"unitSize":`...)
		b = strconv.AppendInt(b, int64(ev.UnitSize), 10)
	}
	b = append(b, `,"committed":`...)
	b = strconv.AppendInt(b, ev.Committed, 10)
	if len(content) > 0 {
		b = append(b, `,"content":`...)
		b = append(b, content...)
	} else if ev.Size != 0 {
		b = append(b, `,"size":`...)
		b = strconv.AppendInt(b, int64(ev.Size), 10)
	}
	return e.write(b)
}

// Name writes the node name of a replica. It has to stand before the first event whose author or version needs it.
func (e *Encoder) Name(n Name) error {
	if err := e.open(); err != nil {
		return err
	}
	if err := n.check(); err != nil {
		return defect(err)
	}
	b := append(e.buf[:0], `{"name":{"id":"`...)
	b = append(b, n.Replica...)
	b = append(b, `","name":`...)
	b = appendText(b, n.Node)
	return e.write(append(b, '}'))
}

// Receipt writes the answer for one change; errors as for Event.
func (e *Encoder) Receipt(r Receipt) error {
	if err := e.open(); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return defect(err)
	}
	b := append(e.buf[:0], `{"receipt":{`...)
	b = appendRef(b, Ref{Key: r.Key, Version: r.Version})
	b = append(b, `,"result":"`...)
	b = append(b, r.Result...)
	b = append(b, '"')
	if !r.Stamp.IsZero() {
		b = append(b, `,"stamp":{`...)
		b = appendWholeStamp(b, &r.Stamp)
		b = append(b, '}')
	}
	if r.Reason != "" {
		b = appendText(append(b, `,"reason":`...), r.Reason)
	}
	if r.Retry {
		b = append(b, `,"retry":true`...)
	}
	return e.write(append(b, '}'))
}

// Ref writes the wish for the content of one version; errors as for Event.
func (e *Encoder) Ref(r Ref) error {
	if err := e.open(); err != nil {
		return err
	}
	if err := r.wanted(); err != nil {
		return defect(err)
	}
	b := appendRef(append(e.buf[:0], `{"ref":{`...), r)
	return e.write(append(b, '}'))
}

// End writes the line that makes the stream whole. Nothing may follow it.
func (e *Encoder) End(end End) error {
	if err := e.open(); err != nil {
		return err
	}
	if err := end.check(); err != nil {
		return defect(err)
	}
	b := append(e.buf[:0], `{"end":{"cursor":"`...)
	if !end.Cursor.IsZero() {
		b = append(b, end.Cursor.Epoch...)
		b = append(b, ':')
		b = strconv.AppendUint(b, end.Cursor.Seq, 10)
	}
	b = append(b, '"')
	if end.More {
		b = append(b, `,"more":true`...)
	}
	b = appendNonZero(b, "skipped", uint64(end.Skipped))
	b = appendNonZero(b, "limit", uint64(end.Limit))
	b = appendNonZero(b, "backlog", end.Backlog)
	b = appendNonZero(b, "revision", end.Revision)
	e.done = true
	return e.write(append(b, '}'))
}

// Fail writes the line by which a server says that it cannot go on, so that the reader learns the cause instead of a cut
// stream. The text of an Internal error stays at home, because it may name what is none of the peer's business. Nothing may
// follow it.
func (e *Encoder) Fail(cause error) error {
	if err := e.open(); err != nil {
		return err
	}
	if cause == nil {
		return syncerr.New(syncerr.Internal, "write feed", "a failure without a cause")
	}
	kind, text := syncerr.KindOf(cause), cause.Error()
	if kind == syncerr.Internal {
		text = "the server met an error of its own; its log has the cause"
	}
	if len(text) > maxFailText {
		text = text[:maxFailText]
	}
	b := append(e.buf[:0], `{"error":{"kind":"`...)
	b = append(b, kind.String()...)
	b = append(b, `","text":`...)
	b = appendText(b, text)
	e.done = true
	return e.write(append(b, '}'))
}

func (e *Encoder) open() error {
	if e.err != nil {
		return e.err
	}
	if e.done {
		return syncerr.New(syncerr.Internal, "write feed", "nothing may follow the last line")
	}
	return nil
}

func (e *Encoder) write(b []byte) error {
	b = append(b, '}', '\n')
	e.buf = b
	n, err := e.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	e.err = syncerr.Wrap(syncerr.Transient, "write feed", err)
	return e.err
}

// defect turns the reader's view (the input is wrong) into the writer's: this node made it.
func defect(err error) error {
	return &syncerr.Error{Kind: syncerr.Internal, Op: "write feed", Err: errors.New(err.Error())}
}

// appendStamp writes the members of a stamp without those that have their default.
func appendStamp(b []byte, s *version.Stamp, committed int64) []byte {
	b = append(b, `"version":"`...)
	b = appendVersion(b, s.Version)
	b = append(b, '"')
	if len(s.Vector) != 1 || s.Vector[0] != s.Version {
		b = append(b, `,"vector":"`...)
		b = appendVector(b, s.Vector)
		b = append(b, '"')
	}
	if s.Author != s.Version.Replica {
		b = append(b, `,"author":"`...)
		b = append(b, s.Author...)
		b = append(b, '"')
	}
	if s.Authored != committed {
		b = append(b, `,"authored":`...)
		b = strconv.AppendInt(b, s.Authored, 10)
	}
	if s.Origin != s.Version {
		b = append(b, `,"origin":"`...)
		b = appendVersion(b, s.Origin)
		b = append(b, '"')
	}
	return appendContentMark(b, s)
}

// appendWholeStamp writes a stamp as encoding/json does, without defaults.
func appendWholeStamp(b []byte, s *version.Stamp) []byte {
	b = append(b, `"version":"`...)
	b = appendVersion(b, s.Version)
	b = append(b, `","vector":"`...)
	b = appendVector(b, s.Vector)
	b = append(b, `","author":"`...)
	b = append(b, s.Author...)
	b = append(b, `","authored":`...)
	b = strconv.AppendInt(b, s.Authored, 10)
	b = append(b, `,"origin":"`...)
	b = appendVersion(b, s.Origin)
	b = append(b, '"')
	return appendContentMark(b, s)
}

func appendContentMark(b []byte, s *version.Stamp) []byte {
	if s.Deleted {
		return append(b, `,"deleted":true`...)
	}
	b = append(b, `,"hash":"`...)
	b = appendHex(b, s.Hash[:])
	return append(b, '"')
}
