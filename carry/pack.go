package carry

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
)

// packKnown compresses what a peer said that it knows, as the database keeps it.
func packKnown(text []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, "keep what a peer knows", err)
	}
	_, err = z.Write(text)
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, "keep what a peer knows", err)
	}
	return b.Bytes(), nil
}

func unpackKnown(b []byte) ([]feed.Known, error) {
	const op = "read what a peer knows"
	z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	defer z.Close()
	text, err := io.ReadAll(io.LimitReader(z, maxPlain))
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	return readKnown(text)
}
