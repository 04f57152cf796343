// Package zpool lends compressors and decompressors of zstd streams (RFC 8878). The tables of one are megabytes, and an exchange of a few
// kilobytes would otherwise make new ones.
package zpool

import (
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tributary-sync/tributary/syncerr"
)

const (
	window    = 2 << 20 // bytes that a compressor looks back
	maxWindow = 8 << 20 // that a sender may make this side keep
	maxIdle   = 2       // of each kind that are kept: a clinic's computer has little memory, and seldom more than two exchanges at once
)

// Pool keeps what is not in use. The zero Pool is empty and ready; its methods may be called from many goroutines.
type Pool struct {
	mu       sync.Mutex
	encoders []*zstd.Encoder
	decoders []*zstd.Decoder
}

// Encoder returns a compressor that writes to w. It is given back with Put, after its Close.
func (p *Pool) Encoder(w io.Writer) (*zstd.Encoder, error) {
	if z := take(p, &p.encoders); z != nil {
		z.Reset(w)
		return z, nil
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window),
		zstd.WithLowerEncoderMem(true))
	return z, syncerr.Wrap(syncerr.Internal, "compress", err)
}

// Put takes a compressor back that is not used any more.
func (p *Pool) Put(z *zstd.Encoder) {
	z.Reset(nil)
	if !put(p, &p.encoders, z) {
		_ = z.Close()
	}
}

// Decoder returns what r holds as it was before it was compressed; the memory that a hostile stream may ask for is bounded. Close gives the
// decompressor back and leaves r open. What cannot be read as zstd is an error of Read.
func (p *Pool) Decoder(r io.Reader) (io.ReadCloser, error) {
	z := take(p, &p.decoders)
	if z == nil {
		var err error
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, syncerr.Wrap(syncerr.Internal, "decompress", err)
		}
	}
	if err := z.Reset(r); err != nil {
		z.Close()
		return nil, syncerr.Wrap(syncerr.Invalid, "decompress", err)
	}
	return &reader{pool: p, z: z}, nil
}

type reader struct {
	pool *Pool
	z    *zstd.Decoder // nil after Close
}

func (r *reader) Read(b []byte) (int, error) {
	if r.z == nil {
		return 0, io.ErrClosedPipe
	}
	return r.z.Read(b)
}

func (r *reader) Close() error {
	if r.z == nil {
		return nil
	}
	z := r.z
	r.z = nil
	if z.Reset(nil) != nil || !put(r.pool, &r.pool.decoders, z) {
		z.Close()
	}
	return nil
}

func take[T any](p *Pool, from *[]*T) *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(*from)
	if n == 0 {
		return nil
	}
	z := (*from)[n-1]
	*from = (*from)[:n-1]
	return z
}

func put[T any](p *Pool, to *[]*T, z *T) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(*to) == maxIdle {
		return false
	}
	*to = append(*to, z)
	return true
}
