package carry

import (
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The bounds of a bundle.
const (
	maxManifest = 4 << 20   // bytes
	maxParts    = 9_999     // files
	maxSealed   = 160 << 20 // bytes of a file, compressed and encrypted
	maxPlain    = 128 << 20 // bytes of a part as it is read
)

// Kind says what a part of a bundle holds.
type Kind string

// The kinds, in the order in which they stand in a bundle.
const (
	Knowledge Kind = "knowledge" // what the writer knows
	Receipts  Kind = "receipts"  // what became of what the reader sent
	Changes   Kind = "changes"
	Present   Kind = "present" // what the writer has of some types, by name
)

// Manifest says what a bundle is, for whom, and what it builds on. It is signed and not encrypted: it holds nothing about a patient.
type Manifest struct {
	Format  int             `json:"format"`
	Bundle  string          `json:"bundle"` // id
	Serial  uint64          `json:"serial"` // counts the bundles of this writer for this reader
	Made    int64           `json:"made"`   // milliseconds since 1970 UTC
	Node    string          `json:"node"`   // the writer's name
	Key     string          `json:"key"`    // the writer's, base64
	Replica version.Replica `json:"replica"`
	Epoch   string          `json:"epoch"`           // of the writer's log
	Head    string          `json:"head"`            // of the writer's log when it began: epoch:sequence:check
	Floor   uint64          `json:"floor,omitempty"` // up to where rows of the writer's log were collected
	To      string          `json:"to"`              // the reader's name
	Reader  string          `json:"reader"`          // the reader's key
	Decides string          `json:"decides"`         // the key of the one of both that decides

	Sends []string         `json:"sends,omitempty"` // types that go to the reader, nil for all
	Asks  []string         `json:"asks,omitempty"`  // types that the reader asked for when it was last heard
	Basis Basis            `json:"basis,omitzero"`
	Start store.CarryPlace `json:"start,omitzero"`    // from where on the changes go
	End   feed.Cursor      `json:"end,omitzero"`      // of the writer's log, where all that the reader lacked is in the bundle
	Whole bool             `json:"complete,omitzero"` // nothing was left out because the stick was full

	Took  uint64           `json:"took,omitempty"` // the newest bundle of the reader that the writer has taken
	Saw   []string         `json:"saw,omitempty"`  // heads of the reader's log that the writer remembers
	Place store.CarryPlace `json:"place,omitzero"` // how far the writer has come in what the reader writes
	Read  feed.Cursor      `json:"read,omitzero"`  // up to where the writer has the reader's log
	Wants []string         `json:"wants,omitempty"`
	Wrote []string         `json:"wrote,omitempty"` // the bundles of the writer for the reader, this one the last (mark.String)
	Seen  []string         `json:"seen,omitempty"`  // those of the reader that the writer remembers
	Lists []string         `json:"lists,omitempty"` // types of which all is named that the writer has, since it has forgotten what the reader never learnt

	Parts []Part `json:"parts"`
}

// Basis is the knowledge of the reader by which the changes were chosen: the one that its bundle of that serial told, of a log of that epoch. The zero
// Basis is no knowledge at all.
type Basis struct {
	Epoch  string `json:"epoch,omitempty"`
	Serial uint64 `json:"serial,omitempty"`
}

// Part is one file of a bundle.
type Part struct {
	File  int              `json:"file"` // its number, by which it is named
	Kind  Kind             `json:"kind"`
	Size  int64            `json:"size"`         // bytes of the file
	Sum   string           `json:"sum"`          // its SHA-256 in hexadecimal digits
	Plain int64            `json:"plain"`        // bytes when it is decrypted and decompressed
	Lines int              `json:"lines"`        // changes, receipts, or types
	End   store.CarryPlace `json:"end,omitzero"` // the place behind its changes
	Bytes []byte           `json:"-"`            // the file, where it is being written
}

// Size returns the bytes of all files.
func (m Manifest) Size() int64 {
	var n int64
	for _, p := range m.Parts {
		n += p.Size
	}
	return n
}

// Lines returns how many changes, or receipts, the bundle holds.
func (m Manifest) Lines(k Kind) int {
	n := 0
	for _, p := range m.Parts {
		if p.Kind == k {
			n += p.Lines
		}
	}
	return n
}

// ReadManifest checks the signature and form of a manifest, and returns it. Whether its writer is known is for Carrier.Check to say.
func ReadManifest(text []byte) (Manifest, error) {
	const op = "read bundle"
	var m Manifest
	if len(text) > maxManifest {
		return m, syncerr.New(syncerr.Invalid, op, "its manifest has more than %d bytes", maxManifest)
	}
	if err := opened(text, forBundle, &m, func() string { return m.Key }); err != nil {
		return Manifest{}, err
	}
	if m.Format != Format {
		return Manifest{}, syncerr.New(syncerr.Unsupported, op, "its format is %d, this program knows %d", m.Format, Format).
			WithHint("Upgrade the older of the two nodes, and write the stick again")
	}
	if err := m.check(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

func (m Manifest) check() error {
	bad := func(format string, args ...any) error {
		return syncerr.New(syncerr.Invalid, "read bundle", format, args...)
	}
	switch {
	case !version.Replica(m.Bundle).Valid() || m.Serial == 0 || m.Serial > version.MaxTick:
		return bad("it has no id or no number")
	case !validName(m.Node) || !validName(m.To):
		return bad("the name of its writer or its reader cannot be shown")
	case !m.Replica.Valid() || !version.Replica(m.Epoch).Valid():
		return bad("it does not say whose data it is")
	case len(m.Parts) == 0 || len(m.Parts) > maxParts:
		return bad("it has %d files, at least one and at most %d are taken", len(m.Parts), maxParts)
	case m.Parts[0].Kind != Knowledge:
		return bad("it does not begin with what its writer knows")
	case len(m.Saw) > maxHeads:
		return bad("it remembers %d heads of a log, at most %d are taken", len(m.Saw), maxHeads)
	case len(m.Wrote) > maxTrail || len(m.Seen) > maxTrail:
		return bad("it names more than %d bundles", maxTrail)
	}
	for _, text := range slices.Concat(m.Wrote, m.Seen) {
		if _, err := readMark(text); err != nil {
			return err
		}
	}
	if _, err := m.heads(); err != nil {
		return err
	}
	for _, types := range [][]string{m.Sends, m.Asks, m.Wants, m.Lists} {
		for _, t := range types {
			if !fhir.IsSelector(t) {
				return bad("%.60q is no resource type", t)
			}
		}
	}
	seen := map[int]bool{}
	rank := map[Kind]int{Knowledge: 1, Receipts: 2, Changes: 3, Present: 4}
	last := 0
	for i, p := range m.Parts {
		switch r := rank[p.Kind]; {
		case r == 0:
			return bad("%.20q is no kind of file", string(p.Kind))
		case r < last || r == 1 && i > 0:
			return bad("its files are not in order")
		case p.File < 1 || p.File > maxParts || seen[p.File]:
			return bad("it names a file twice, or one that cannot be")
		case p.Size < 1 || p.Size > maxSealed || p.Plain < 1 || p.Plain > maxPlain || p.Lines < 0:
			return bad("a file of %d bytes, %d when it is read, is not taken", p.Size, p.Plain)
		case len(p.Sum) != 64 || strings.Trim(p.Sum, "0123456789abcdef") != "":
			return bad("a file has no sum")
		default:
			last, seen[p.File] = r, true
		}
	}
	return nil
}

// heads returns the heads of logs that a manifest names: the writer's, and those of the reader's that it remembers.
func (m Manifest) heads() ([]store.LogHead, error) {
	out := make([]store.LogHead, 0, 1+len(m.Saw))
	for _, text := range append([]string{m.Head}, m.Saw...) {
		h, err := store.ParseLogHead(text)
		if err != nil {
			return nil, syncerr.Wrap(syncerr.Invalid, "read bundle", err)
		}
		out = append(out, h)
	}
	return out, nil
}
