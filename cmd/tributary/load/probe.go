package load

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/syncerr"
)

// probed is what the first value of a file is. Its type may stand behind its entries, so it is looked at before it is read.
type probed struct {
	resourceType string
	bundleType   string
	entries      int
	size         int64 // bytes
	alone        bool  // nothing comes after it
	err          error // it is not JSON
}

// probe runs through a value without holding it.
func probe(in io.Reader) probed {
	var p probed
	d := jsontext.NewDecoder(in, lenient())
	p.err = p.run(d)
	p.size = d.InputOffset()
	if p.err == nil {
		_, err := d.ReadToken()
		p.alone = errors.Is(err, io.EOF)
		if !p.alone && err != nil {
			p.err = jsonError(err)
		}
	}
	return p
}

func (p *probed) run(d *jsontext.Decoder) error {
	t, err := d.ReadToken()
	if err != nil {
		return jsonError(err)
	}
	if t.Kind() != '{' {
		return syncerr.New(syncerr.Invalid, "read file", "it does not hold a JSON object")
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return jsonError(err)
		}
		n := name.String() // before the decoder moves on
		kind := d.PeekKind()
		switch {
		case n == "resourceType" && kind == '"':
			err = text(d, &p.resourceType)
		case n == "type" && kind == '"':
			err = text(d, &p.bundleType)
		case n == "entry" && kind == '[':
			err = p.count(d)
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return jsonError(err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return jsonError(err)
	}
	return nil
}

func text(d *jsontext.Decoder, into *string) error {
	t, err := d.ReadToken()
	if err == nil {
		*into = t.String()
	}
	return err
}

func (p *probed) count(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		if err := d.SkipValue(); err != nil {
			return err
		}
		p.entries++
	}
	_, err := d.ReadToken()
	return err
}

func probeBytes(body []byte) probed { return probe(bytes.NewReader(body)) }
