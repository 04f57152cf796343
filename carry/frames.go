package carry

import (
	"encoding/binary"
	"encoding/json"
	"io"

	"github.com/tributary-sync/tributary/syncerr"
)

// The kinds of frames in which a bundle goes between the command line and a node: what is what, its length, and it.
const (
	framePart     = 'P'
	frameHeader   = 'H'
	frameManifest = 'M'
	frameWritten  = 'W'
	frameError    = 'E'
)

// FrameWriter writes a stream of frames. Its methods return the errors of what it writes to.
type FrameWriter struct{ w io.Writer }

// NewFrameWriter returns one that writes to w.
func NewFrameWriter(w io.Writer) *FrameWriter { return &FrameWriter{w: w} }

func (f *FrameWriter) frame(kind byte, b []byte) error {
	var head [9]byte
	head[0] = kind
	binary.BigEndian.PutUint64(head[1:], uint64(len(b)))
	if _, err := f.w.Write(head[:]); err != nil {
		return err
	}
	_, err := f.w.Write(b)
	return err
}

func (f *FrameWriter) json(kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, "write frame", err)
	}
	return f.frame(kind, b)
}

// serialPart is a header frame.
type serialPart struct {
	Serial uint64 `json:"serial"`
	Part   Part   `json:"part"`
}

// Part writes a file of a bundle with that serial.
func (f *FrameWriter) Part(serial uint64, p Part) error {
	if err := f.json(frameHeader, serialPart{serial, p}); err != nil {
		return err
	}
	return f.frame(framePart, p.Bytes)
}

// File writes a file alone.
func (f *FrameWriter) File(b []byte) error { return f.frame(framePart, b) }

// Manifest writes a manifest.
func (f *FrameWriter) Manifest(b []byte) error { return f.frame(frameManifest, b) }

// Written ends the stream of a bundle that was written.
func (f *FrameWriter) Written(w Written) error { return f.json(frameWritten, w) }

// failure is an error on its way to the command line.
type failure struct {
	Kind syncerr.Kind `json:"kind"`
	Text string       `json:"text"`
}

// Fail ends the stream with an error.
func (f *FrameWriter) Fail(err error) error {
	return f.json(frameError, failure{syncerr.KindOf(err), err.Error()})
}

// FrameReader reads what a FrameWriter wrote.
type FrameReader struct{ r io.Reader }

// NewFrameReader returns one that reads from r.
func NewFrameReader(r io.Reader) *FrameReader { return &FrameReader{r: r} }

func (f *FrameReader) frame() (byte, []byte, error) {
	const op = "read the bundle's stream"
	var head [9]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, syncerr.New(syncerr.Transient, op, "it was cut off: %w", err)
	}
	n := binary.BigEndian.Uint64(head[1:])
	if n > maxSealed {
		return 0, nil, syncerr.New(syncerr.Invalid, op, "a frame of %d bytes is not taken", n)
	}
	b, err := io.ReadAll(io.LimitReader(f.r, int64(n)))
	if err == nil && uint64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, nil, syncerr.New(syncerr.Transient, op, "it was cut off: %w", err)
	}
	if head[0] == frameError {
		var e failure
		if err := json.Unmarshal(b, &e); err != nil {
			return 0, nil, syncerr.New(syncerr.Invalid, op, "%w", err)
		}
		return 0, nil, syncerr.New(e.Kind, "", "%s", e.Text)
	}
	return head[0], b, nil
}

// Manifest reads a manifest.
func (f *FrameReader) Manifest() ([]byte, error) {
	kind, b, err := f.frame()
	if err == nil && kind != frameManifest {
		err = syncerr.New(syncerr.Invalid, "read the bundle's stream", "no manifest stands where one belongs")
	}
	return b, err
}

// File reads a file.
func (f *FrameReader) File() ([]byte, error) {
	kind, b, err := f.frame()
	if err == nil && kind != framePart {
		err = syncerr.New(syncerr.Invalid, "read the bundle's stream", "no file stands where one belongs")
	}
	return b, err
}

// Bundle reads the stream of a bundle that is written: its files go to keep, its manifest and what it holds are returned.
func (f *FrameReader) Bundle(keep func(uint64, Part) error) (manifest []byte, w Written, err error) {
	const op = "read the bundle's stream"
	var head *serialPart
	for {
		kind, b, err := f.frame()
		switch {
		case err != nil:
			return nil, w, err
		case kind == frameHeader && head == nil:
			head = &serialPart{}
			err = json.Unmarshal(b, head)
		case kind == framePart && head != nil:
			head.Part.Bytes = b
			err = keep(head.Serial, head.Part)
			head = nil
		case kind == frameManifest && head == nil:
			manifest = b
		case kind == frameWritten && manifest != nil:
			return manifest, w, syncerr.Wrap(syncerr.Invalid, op, json.Unmarshal(b, &w))
		default:
			err = syncerr.New(syncerr.Invalid, op, "a frame stands where it does not belong")
		}
		if err != nil {
			return nil, w, err
		}
	}
}
