package zpool

import (
	"bytes"
	"encoding/base64"
	"io"

	"github.com/tributary-sync/tributary/syncerr"
)

// The bounds of what a header may hold, in bytes. Proxies take lines of 8 kB and more.
const (
	maxHeader = 32 << 10
	maxText   = 128 << 10 // before compression
)

// Header returns a text in the characters of an HTTP header, compressed where that is shorter.
func (p *Pool) Header(text []byte) (string, error) {
	b := bytes.NewBufferString("z")
	z, err := p.Encoder(b)
	if err != nil {
		return "", err
	}
	defer p.Put(z)
	if _, err := z.Write(text); err != nil {
		return "", syncerr.Wrap(syncerr.Internal, "compress", err)
	}
	if err := z.Close(); err != nil {
		return "", syncerr.Wrap(syncerr.Internal, "compress", err)
	}
	data := b.Bytes()
	if len(text)+1 < len(data) {
		data = append([]byte("t"), text...)
	}
	return base64.RawURLEncoding.EncodeToString(data), nil
}

// FromHeader returns the text that Header made a header of. It returns an Invalid error for anything else, and for what is too long.
func (p *Pool) FromHeader(header string) ([]byte, error) {
	const op = "read a header"
	data, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil || len(data) == 0 || len(header) > maxHeader {
		return nil, syncerr.New(syncerr.Invalid, op, "its %d bytes are not what a node writes", len(header))
	}
	if data[0] == 't' {
		return data[1:], nil
	}
	z, err := p.Decoder(bytes.NewReader(data[1:]))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	text, err := io.ReadAll(io.LimitReader(z, maxText+1))
	if err != nil || len(text) > maxText {
		return nil, syncerr.New(syncerr.Invalid, op, "it does not unpack to what a node writes")
	}
	return text, nil
}
