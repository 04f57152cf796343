package feedreader

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// Item says that a server without stamps has changed a document. Items may repeat, and may tell of nothing new: whoever reads them compares.
type Item struct {
	Key      fhir.Key
	Tag      string // the server's own name of the version, empty where the feed does not say
	Content  []byte // nil: to be read from the server
	Deleted  bool
	Modified time.Time       // by the server's clock, zero where the feed does not say
	Seen     version.Vector  // what it has seen of the changes of nodes, where the feed says it
	Err      error           // why it cannot be read; it is to be parked
	Made     version.Version // the change of a node that it is, where the feed says so
	Alone    string          // the tag without the rivals
	Rivals   []Item          // copies that lost against it there, and that nobody has decided about yet
}

// Foreign is a feed without stamps: the Atom feed of an OpenMRS, the history of a FHIR server, or its newest resources by date.
type Foreign interface {
	// Changes gives the items of a page behind after to take, the text that a page before returned as next and "" for the beginning. What
	// was taken counts when the caller has stored next; after an error the same page is read again. more says that there is another page
	// now. An error of take stops it and is returned as it is; a cut stream is a Transient error.
	Changes(ctx context.Context, after string, take func(Item) error) (next string, more bool, err error)
}

// Whole is a Foreign whose rounds list everything that there is, so that what is missing may be taken for deleted.
type Whole interface {
	Foreign
	// Listed returns what the round listed that ended with the last Changes (more was false). It is nil where the server said that nothing
	// had changed. An error says why the list may not be taken for whole: it was cut, counts wrong, or has records that cannot be read.
	Listed() (Listing, error)
}

// Unreadable is the id under which records stand that cannot be told from each other. A round that is whole has none of them.
const Unreadable = "unreadable-record"

// Listing is a set of keys.
type Listing map[[16]byte]struct{}

// Add adds a key.
func (l Listing) Add(k fhir.Key) { l[short(k)] = struct{}{} }

// Has reports whether a key is in the set.
func (l Listing) Has(k fhir.Key) bool {
	_, ok := l[short(k)]
	return ok
}

// short names a key in 16 bytes: lists may have a million.
func short(k fhir.Key) [16]byte {
	sum := sha256.Sum256([]byte(k.String()))
	return [16]byte(sum[:16])
}
