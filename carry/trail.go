package carry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// maxTrail is how many bundles of a writer for a reader are named by a manifest, and remembered by each of both.
const maxTrail = 64

// mark names a bundle. A machine that was put back whole gives numbers again which it had given before, as it does with versions, and of what it
// wrote then the heads of its log tell only where two of them stand at one sequence. Two bundles of one chain with one number are of two lives.
type mark struct {
	chain  string // the log of the writer, and the reader as it was introduced there: begins of a hash
	serial uint64
	id     string // of the bundle, its beginning
}

const markDigits = 8

// chainOf names what the bundles for a peer are counted in: the writer's log, and its peer until that is forgotten.
func chainOf(epoch string, p store.CarryPeer) string {
	sum := sha256.Sum256([]byte(epoch + " " + p.ID))
	return hex.EncodeToString(sum[:])[:markDigits]
}

func (m mark) String() string { return fmt.Sprintf("%s.%d.%s", m.chain, m.serial, m.id) }

func readMark(text string) (mark, error) {
	bad := syncerr.New(syncerr.Invalid, "read bundle", "%.60q names no bundle", text)
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(parts[0]) != markDigits || len(parts[2]) != markDigits {
		return mark{}, bad
	}
	serial, err := strconv.ParseUint(parts[1], 10, 63)
	if m := (mark{parts[0], serial, parts[2]}); err == nil && m.String() == text {
		return m, nil
	}
	return mark{}, bad
}

// forked returns the first bundle of a trail in whose place another one stands in what is remembered.
func forked(remembered, told []string) (mark, bool) {
	at := map[string]string{}
	place := func(m mark) string { return fmt.Sprintf("%s.%d", m.chain, m.serial) }
	for _, text := range remembered {
		if m, err := readMark(text); err == nil {
			at[place(m)] = m.id
		}
	}
	for _, text := range told {
		m, err := readMark(text)
		if id, ok := at[place(m)]; err == nil && ok && id != m.id {
			return m, true
		}
	}
	return mark{}, false
}

// unknown returns the first bundle which a peer has of this node that this node does not know to have written: of its present chain, where it has
// written another one under that number or has not come so far.
func unknown(chain string, p store.CarryPeer, has []string) (mark, bool) {
	if m, ok := forked(p.State.Wrote, has); ok && m.chain == chain {
		return m, true
	}
	for _, text := range has {
		if m, err := readMark(text); err == nil && m.chain == chain && m.serial > p.Out {
			return m, true
		}
	}
	return mark{}, false
}

// wrote adds to the bundles that were written for a peer, of which only those of one chain count.
func wrote(before []string, now mark) []string {
	of := slices.DeleteFunc(slices.Clone(before), func(text string) bool { return !strings.HasPrefix(text, now.chain+".") })
	return follow(of, []string{now.String()})
}

// follow adds to a trail what it does not have; the oldest of what is too much go.
func follow(trail, more []string) []string {
	out := slices.Clone(trail)
	for _, text := range more {
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out[max(0, len(out)-maxTrail):]
}
