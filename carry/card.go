package carry

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// The bounds of a card.
const (
	maxCard = 16 << 10 // bytes
	maxName = 64       // bytes of a node's name
)

// Format is the version of the format of cards and bundles that this program writes and reads.
const Format = 1

// Card introduces a node to others: its name and its public key, signed with it. It holds nothing about a patient.
type Card struct {
	Format  int      `json:"format"`
	Node    string   `json:"node"`
	Key     string   `json:"key"`               // Ed25519, base64
	Made    int64    `json:"made"`              // milliseconds since 1970 UTC
	Decides bool     `json:"decides,omitempty"` // it decides conflicts between itself and those to whom it is introduced by this card
	Types   []string `json:"types,omitempty"`   // resource types that it exchanges by sticks, nil for all
}

// The purposes that a signature is for, so that one cannot stand for another.
const (
	forCard   = "tributary card 1\n"
	forBundle = "tributary bundle 1\n"
)

// signed is a text of JSON with the signature of a key below it.
func signed(k ed25519.PrivateKey, purpose string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, "sign", err)
	}
	sig := ed25519.Sign(k, append([]byte(purpose), b...))
	return append(append(b, '\n'), base64.StdEncoding.EncodeToString(sig)+"\n"...), nil
}

// opened checks the signature of what signed made against the key that stands in it, and reads it into v.
func opened(text []byte, purpose string, v any, key func() string) error {
	const op = "read a signed file"
	body, rest, ok := strings.Cut(string(text), "\n")
	sig, err := base64.StdEncoding.DecodeString(strings.TrimRight(rest, "\r\n"))
	if !ok || err != nil {
		return syncerr.New(syncerr.Invalid, op, "it is cut off or damaged")
	}
	if err := json.Unmarshal([]byte(body), v); err != nil {
		return syncerr.New(syncerr.Invalid, op, "it is damaged: %w", err)
	}
	public, err := publicKey(key())
	if err != nil {
		return err
	}
	if !ed25519.Verify(public, append([]byte(purpose), body...), sig) {
		return syncerr.New(syncerr.Invalid, op, "its signature is not that of the node which it names: it was changed or damaged")
	}
	return nil
}

func publicKey(text string) (ed25519.PublicKey, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != ed25519.PublicKeySize || base64.StdEncoding.EncodeToString(b) != text {
		return nil, syncerr.New(syncerr.Invalid, "read key", "%.60q is no public key of a node", text)
	}
	return b, nil
}

// Fingerprint returns the short form by which two people compare a public key on the telephone.
func Fingerprint(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Card returns this node's card. decides makes it the one that decides; types are what it exchanges, nil for all.
func (c *Carrier) Card(decides bool, types []string) ([]byte, error) {
	return signed(c.cfg.Key, forCard, Card{
		Format: Format, Node: c.cfg.Node, Key: c.Public(), Made: c.cfg.Clock().UnixMilli(), Decides: decides, Types: types,
	})
}

// ReadCard checks a card and returns it. It returns an Invalid error for anything that no node has signed, Unsupported for a newer format.
func ReadCard(text []byte) (Card, error) {
	const op = "read card"
	var c Card
	if len(text) > maxCard {
		return c, syncerr.New(syncerr.Invalid, op, "it has more than %d bytes", maxCard)
	}
	if err := opened(text, forCard, &c, func() string { return c.Key }); err != nil {
		return Card{}, err
	}
	switch {
	case c.Format != Format:
		return Card{}, syncerr.New(syncerr.Unsupported, op, "its format is %d, this program knows %d", c.Format, Format).WithHint("Upgrade the older of the two nodes")
	case !validName(c.Node):
		return Card{}, syncerr.New(syncerr.Invalid, op, "the node's name is empty, longer than %d bytes or not printable", maxName)
	case slices.ContainsFunc(c.Types, func(t string) bool { return !fhir.IsSelector(t) }):
		return Card{}, syncerr.New(syncerr.Invalid, op, "it names what is no resource type")
	}
	return c, nil
}

// validName reports whether a name can be shown to a person as it is.
func validName(s string) bool {
	return s != "" && len(s) <= maxName && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Introduced returns the row of a node that is introduced by a card: a new one, or the one that is there with what the card says anew. ours and types
// are what this node's own card says. It returns a Conflict error where another key stands under the name.
func Introduced(card Card, ours bool, types []string, named, keyed store.CarryPeer) (store.CarryPeer, error) {
	if named.ID != "" && named.PublicKey != card.Key {
		return store.CarryPeer{}, syncerr.New(syncerr.Conflict, "introduce", "a node %q with another key, %s, was introduced before", card.Node, Fingerprint(named.PublicKey)).
			WithHint("If that node was set up anew, forget the old one first: `tributary carry forget %s`", card.Node)
	}
	p := keyed
	p.Name, p.PublicKey = card.Node, card.Key
	p.State.Ours, p.State.Theirs = ours, card.Decides
	p.State.Types = both(types, card.Types)
	return p, nil
}

// both returns what two lists of types have in common, as far as it can be listed; nil is all.
func both(a, b []string) []string {
	switch {
	case a == nil:
		return slices.Clone(b)
	case b == nil:
		return slices.Clone(a)
	}
	out := []string{}
	for _, t := range a {
		if slices.Contains(b, t) || fhir.IsREST(t) && fhir.Selected(b, t) {
			out = append(out, t)
		}
	}
	return out
}
