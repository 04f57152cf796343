package carry

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/ssh"

	"github.com/tributary-sync/tributary/syncerr"
)

// seal compresses the text of a part and encrypts it to a node's key.
func seal(plain []byte, reader string) ([]byte, error) {
	const op = "write bundle"
	public, err := publicKey(reader)
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	to, err := agessh.NewEd25519Recipient(key)
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	var out bytes.Buffer
	sealed, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	z, err := zstd.NewWriter(sealed, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(2<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	_, err = z.Write(plain)
	if err := errors.Join(err, z.Close(), sealed.Close()); err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	return out.Bytes(), nil
}

func digest(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// unseal checks a file against what the manifest says of it, and returns the text of the part. Nothing is read beyond the size that was
// signed, so that a file which unpacks to more than it says costs nothing.
func unseal(file []byte, p Part, key ed25519.PrivateKey) ([]byte, error) {
	const op = "read bundle"
	if err := p.Check(file); err != nil {
		return nil, err
	}
	me, err := agessh.NewEd25519Identity(key)
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	r, err := age.Decrypt(bytes.NewReader(file), me)
	if err != nil {
		return nil, syncerr.New(syncerr.Invalid, op, "file %d cannot be decrypted with this node's key: %w", p.File, err)
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, op, err)
	}
	defer z.Close()
	var plain bytes.Buffer
	n, err := io.Copy(&plain, io.LimitReader(z, p.Plain+1))
	switch {
	case err != nil:
		return nil, syncerr.New(syncerr.Invalid, op, "file %d is damaged: %w", p.File, err)
	case n != p.Plain:
		return nil, syncerr.New(syncerr.Invalid, op, "file %d does not unpack to the %d bytes that were signed", p.File, p.Plain)
	}
	return plain.Bytes(), nil
}

// Check returns an Invalid error where a file is not the one that was written and signed.
func (p Part) Check(file []byte) error {
	if int64(len(file)) != p.Size || digest(file) != p.Sum {
		return syncerr.New(syncerr.Invalid, "read bundle", "file %d is damaged or was changed: it is not the one that was written", p.File).
			WithHint("Copy the stick again, or write it again at the other node")
	}
	return nil
}
