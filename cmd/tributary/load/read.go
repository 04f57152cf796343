package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// maxPiece is the largest piece of a file that is held in memory, in bytes: an entry, a line. It is well above the size limit of
// a resource, so that a resource over the limit is refused by name.
const maxPiece = 4 * fhir.MaxBytes

// maxTransaction is the largest bundle that travels as one transaction, in entries and bytes.
const (
	maxTransaction      = 500
	maxTransactionBytes = 32 << 20
)

type taker func(ctx context.Context, it *item) error

// read hands the items of a file to take, one after the other. What cannot be read is refused while noting; the file is left out
// when writing.
func (l *loader) read(ctx context.Context, index int, f File, take taker) error {
	if l.broken[index] {
		l.tell(f.Size, 0)
		return nil
	}
	r := &reading{l: l, ctx: ctx, index: index, file: f, take: take}
	var err error
	if f.Lines {
		err = r.lines()
	} else {
		err = r.values()
	}
	var b *brokenError
	if !errors.As(err, &b) {
		return err
	}
	l.broken[index] = true
	l.refuse(Refusal{File: f.Path, Place: b.where, Reason: b.err.Error() + ". Nothing of this file was loaded"}, "")
	return nil
}

// brokenError is a file that is not JSON: where it breaks off nobody knows what follows.
type brokenError struct {
	where string
	err   error
}

func (b *brokenError) Error() string { return b.where + ": " + b.err.Error() }

type reading struct {
	l     *loader
	ctx   context.Context
	index int
	file  File
	take  taker
	items int
	told  int64
}

func (r *reading) item(where string) *item {
	r.items++
	return &item{at: place{r.index, r.items}, file: r.file.Path, where: where}
}

func (r *reading) hand(it *item, offset int64) error {
	if err := r.ctx.Err(); err != nil {
		return syncerr.Wrap(syncerr.Transient, "load", errors.New("stopped"))
	}
	if err := r.take(r.ctx, it); err != nil {
		return err
	}
	if offset > r.told {
		r.l.tell(offset-r.told, 1)
		r.told = offset
	} else {
		r.l.tell(0, 1)
	}
	return nil
}

func (r *reading) end() { r.l.tell(max(0, r.file.Size-r.told), 0) }

// lines reads NDJSON. A bad line is refused, the next ones are read.
func (r *reading) lines() error {
	f, err := os.Open(r.file.Path)
	if err != nil {
		return &brokenError{err: err}
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	offset := int64(0)
	for n := 1; ; n++ {
		line, size, err := readLine(in)
		offset += size
		where := fmt.Sprintf("line %d", n)
		if err != nil && !errors.Is(err, io.EOF) {
			it := r.item(where)
			it.bad = err
			if err := r.hand(it, offset); err != nil {
				return err
			}
			continue
		}
		last := err != nil
		if len(bytes.TrimSpace(line)) > 0 {
			if err := r.document(where, offset, line); err != nil {
				return err
			}
		}
		if last {
			r.end()
			return nil
		}
	}
}

// readLine returns a line and its size in bytes; a line over maxPiece is passed over with a TooLarge error.
func readLine(in *bufio.Reader) (line []byte, size int64, err error) {
	for {
		part, err := in.ReadSlice('\n')
		size += int64(len(part))
		if size <= maxPiece {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case size > maxPiece && (err == nil || errors.Is(err, io.EOF)):
			return nil, size, syncerr.New(syncerr.TooLarge, "read line", "%d bytes, the limit is %d", size, fhir.MaxBytes)
		default:
			return line, size, err
		}
	}
}

// document reads a line, which is in memory: a resource or a bundle.
func (r *reading) document(where string, offset int64, body []byte) error {
	p := probe(bytes.NewReader(body))
	if p.err != nil || !r.executes(p) {
		it := r.item(where)
		it.body = body
		return r.hand(it, offset)
	}
	return r.bundle(bytes.NewReader(body), p, where+", ", 0)
}

// values reads a file that holds one resource or bundle, however large, or several resources one after the other.
func (r *reading) values() error {
	f, err := os.Open(r.file.Path)
	if err != nil {
		return &brokenError{err: err}
	}
	defer f.Close()
	p := probe(bufio.NewReaderSize(f, 256<<10))
	if p.err != nil {
		return &brokenError{err: p.err}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return &brokenError{err: err}
	}
	defer r.end()
	if p.alone && r.executes(p) {
		return r.bundle(f, p, "", 1)
	}
	in := &bounded{r: f}
	d := jsontext.NewDecoder(in, lenient())
	for n := 1; ; n++ {
		in.left = maxPiece
		v, err := d.ReadValue()
		if errors.Is(err, io.EOF) && n > 1 {
			return nil
		}
		if err != nil {
			return &brokenError{err: jsonError(err)}
		}
		where := ""
		if !p.alone {
			where = fmt.Sprintf("resource %d", n)
		}
		if err := r.document(where, d.InputOffset(), bytes.Clone(v)); err != nil {
			return err
		}
	}
}

func (r *reading) executes(p probed) bool {
	if r.l.opts.AsIs || p.resourceType != "Bundle" {
		return false
	}
	return p.bundleType == "transaction" || p.bundleType == "batch" || p.bundleType == "collection"
}

// bundle reads the entries of a bundle one by one. progress is 0 where in is not the file itself.
func (r *reading) bundle(src io.Reader, p probed, prefix string, progress int64) error {
	var g *group
	if p.bundleType == "transaction" && p.entries > 1 && p.entries <= maxTransaction && p.size <= maxTransactionBytes {
		g = &group{entries: p.entries}
	}
	in := &bounded{r: src, left: maxPiece}
	d := jsontext.NewDecoder(in, lenient())
	if _, err := d.ReadToken(); err != nil {
		return &brokenError{err: jsonError(err)}
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return &brokenError{err: jsonError(err)}
		}
		if n := name.String(); n != "entry" || d.PeekKind() != '[' {
			if err := d.SkipValue(); err != nil {
				return &brokenError{err: jsonError(err)}
			}
			continue
		}
		if _, err := d.ReadToken(); err != nil {
			return &brokenError{err: jsonError(err)}
		}
		for n := 1; d.PeekKind() != ']'; n++ {
			in.left = maxPiece
			where := fmt.Sprintf("%sentry %d", prefix, n)
			v, err := d.ReadValue()
			if err != nil {
				return &brokenError{where: where, err: jsonError(err)}
			}
			it := r.item(where)
			it.group = g
			it.readEntry(v)
			if err := r.hand(it, progress*d.InputOffset()); err != nil {
				return err
			}
		}
		if _, err := d.ReadToken(); err != nil {
			return &brokenError{err: jsonError(err)}
		}
	}
	return nil
}

// bounded refuses to read more than left bytes; who reads sets it anew for each piece.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, syncerr.New(syncerr.TooLarge, "read", "one piece is larger than %d bytes", maxPiece)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

func jsonError(err error) error {
	var known *syncerr.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, io.EOF):
		return syncerr.New(syncerr.Invalid, "read file", "it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return syncerr.New(syncerr.Invalid, "read file", "it ends in the middle of the JSON")
	}
	return &syncerr.Error{Kind: syncerr.Invalid, Op: "read file", Err: err}
}
