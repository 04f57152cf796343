package store

import (
	"database/sql"
	"errors"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/syncerr"
)

// Encodings of contents in change_log.enc. More may follow (a trained dictionary); rows keep theirs.
const (
	encNone = 0
	encZstd = 1
)

// minPacked is the smallest content in bytes for which compression pays.
const minPacked = 256

// Packed is a content as it is stored, with its search values. Making it costs time, so it is made before the transaction.
type Packed struct {
	Size   int // bytes before compression
	Values []search.Value
	enc    int
	blob   []byte
}

// packer compresses contents; its encoder and decoder are made at first use.
type packer struct {
	once sync.Once
	enc  *zstd.Encoder
	dec  *zstd.Decoder
	err  error
}

func (p *packer) ready() error {
	p.once.Do(func() {
		if p.enc, p.err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
			zstd.WithWindowSize(64<<10), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true)); p.err != nil {
			return
		}
		p.dec, p.err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(4), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(64<<20))
	})
	return p.err
}

// Pack prepares a content for storing. body is not kept.
func (s *Store) Pack(body []byte, values []search.Value) *Packed {
	p := &Packed{Size: len(body), Values: values}
	if len(body) >= minPacked && s.packer.ready() == nil {
		if z := s.packer.enc.EncodeAll(body, make([]byte, 0, len(body)/2)); len(z) < len(body) {
			p.enc, p.blob = encZstd, z
			return p
		}
	}
	p.enc, p.blob = encNone, append([]byte(nil), body...)
	return p
}

func (s *Store) unpack(enc int, blob []byte) ([]byte, error) {
	switch enc {
	case encNone:
		return blob, nil
	case encZstd:
		if err := s.packer.ready(); err != nil {
			return nil, syncerr.Wrap(syncerr.Internal, "read content", err)
		}
		b, err := s.packer.dec.DecodeAll(blob, nil)
		return b, syncerr.Wrap(syncerr.Internal, "read content", err)
	}
	return nil, syncerr.New(syncerr.Internal, "read content", "its encoding %d is not known", enc).
		WithHint("Upgrade this program")
}

func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
