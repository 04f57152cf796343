package feedreader

import (
	"context"
	"time"

	"github.com/tributary-sync/tributary/fhir"
)

// Item says that a server without stamps has changed a document. Items may repeat, and may tell of nothing new: whoever reads them compares.
type Item struct {
	Key      fhir.Key
	Tag      string // the server's own name of the version, empty where the feed does not say
	Content  []byte // nil: to be read from the server
	Deleted  bool
	Modified time.Time // by the server's clock, zero where the feed does not say
}

// Foreign is a feed without stamps: the Atom feed of an OpenMRS, the history of a FHIR server, or its newest resources by date.
type Foreign interface {
	// Changes gives the items of a page behind after to take, the text that a page before returned as next and "" for the beginning. What
	// was taken counts when the caller has stored next; after an error the same page is read again. more says that there is another page
	// now. An error of take stops it and is returned as it is; a cut stream is a Transient error.
	Changes(ctx context.Context, after string, take func(Item) error) (next string, more bool, err error)
}
