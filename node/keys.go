package node

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/syncerr"
)

// The files that init writes beside the data, readable by their owner only.
const (
	tokenFile = "admin.token"
	keyFile   = "node.key"
)

// keys are the operator's token and the node's Ed25519 key pair (RFC 8032).
type keys struct {
	token   string
	private ed25519.PrivateKey
}

func (k keys) public() string {
	return base64.StdEncoding.EncodeToString(k.private.Public().(ed25519.PublicKey))
}

// makeKeys writes both files, and leaves those that exist.
func makeKeys(dir string, random io.Reader) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return syncerr.Wrap(syncerr.Usage, "make folder for keys", err)
	}
	secret := make([]byte, 32+ed25519.SeedSize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return syncerr.Wrap(syncerr.Internal, "make keys", err)
	}
	if err := writeNew(filepath.Join(dir, tokenFile), "trib_admin_"+base64.RawURLEncoding.EncodeToString(secret[:32])); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, keyFile), base64.StdEncoding.EncodeToString(secret[32:]))
}

func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return syncerr.Wrap(syncerr.Usage, "write key", err)
	}
	_, err = f.WriteString(text + "\n")
	return syncerr.Wrap(syncerr.Usage, "write key", errors.Join(err, f.Close()))
}

func readKeys(dir string) (keys, error) {
	token, err := readSecret(filepath.Join(dir, tokenFile))
	if err != nil {
		return keys{}, err
	}
	text, err := readSecret(filepath.Join(dir, keyFile))
	if err != nil {
		return keys{}, err
	}
	seed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(seed) != ed25519.SeedSize {
		return keys{}, syncerr.New(syncerr.Usage, "read key "+filepath.Join(dir, keyFile), "it is damaged").
			WithHint("Restore the file from a backup; a new key makes the parent refuse this node until the child is added again there")
	}
	return keys{token: token, private: ed25519.NewKeyFromSeed(seed)}, nil
}

func readSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", syncerr.New(syncerr.NotFound, "read "+path, "there is no such file").WithHint("Run `tributary init` to make a new node")
	}
	if err != nil {
		return "", syncerr.Wrap(syncerr.Usage, "read "+path, err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", syncerr.New(syncerr.Usage, "read "+path, "it is empty").WithHint("Restore the file from a backup")
	}
	return s, nil
}

func prefixes(cfg config.Config) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(cfg.Feed.Anonymous))
	for _, c := range cfg.Feed.Anonymous {
		out = append(out, c.Prefix)
	}
	return out
}
