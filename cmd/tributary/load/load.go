// Package load owns reading FHIR files into a node: finding them, streaming bundles and NDJSON, resolving references across
// files, and writing through the node's FHIR API like any other client. It must not touch a database.
//
// It reads everything twice. The first time it notes what each resource will be called, so that the second time a reference may
// point forward, backward and into other files. Only names are held in memory, never contents, but for one batch.
package load

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/tributary-sync/tributary/fhir"
)

// Options say where resources go and how.
type Options struct {
	Base   string       // the node's FHIR base URL, without a slash at its end
	Client *http.Client // carries the credential
	AsIs   bool         // store every Bundle as a document
	// Take limits the writing to those files of all that are found for whose index it answers true, so that several nodes share
	// files among them; references are resolved across all files. nil takes all.
	Take   func(file int) bool
	DryRun bool      // read and resolve everything, write nothing
	Rand   io.Reader // makes the ids of resources that have none; nil for crypto/rand
	// Clock is that of the node's machine, where a load is run (nil for this one): what the node says it wrote before the load began was there already.
	Clock func() time.Time
	// Progress is called after each piece of work, never by two goroutines at once; nil for none.
	Progress func(Progress)
}

// Progress says how far a load is. Bytes are counted twice, because everything is read twice.
type Progress struct {
	Writing   bool // the second reading, which writes
	Bytes     int64
	Total     int64
	Resources int
}

// Counts is what became of the resources of one type.
type Counts struct {
	Type      string `json:"type"`
	Loaded    int    `json:"loaded"`    // a new version was written
	Unchanged int    `json:"unchanged"` // the node had this very content
	Refused   int    `json:"refused"`
}

// Refusal names something that was not loaded.
type Refusal struct {
	File   string `json:"file"`
	Place  string `json:"place,omitempty"` // entry 3, line 17
	What   string `json:"what,omitempty"`  // Type/id where it is known
	Reason string `json:"reason"`
}

// Reference is a reference that was kept as it is, because nothing answers to it.
type Reference struct {
	File string `json:"file"`
	From string `json:"from"` // Type/id
	To   string `json:"to"`
	Why  string `json:"why"`
}

// Report is what a load did.
type Report struct {
	Files    int         `json:"files"`
	Types    []Counts    `json:"types"`
	Refusals []Refusal   `json:"refusals"` // the first maxListed of them
	Refused  int         `json:"refused"`
	Skipped  int         `json:"skipped"` // entries that only read, such as GET in a batch
	Rewrote  int         `json:"rewrote"` // references that were pointed at the key under which their target was loaded
	Kept     []Reference `json:"kept"`    // the first maxListed of those that could not be resolved
	Unsolved int         `json:"unresolved"`
	Outside  int         `json:"outside"` // references to Type/id that is not among the files; the node may have it
}

// maxListed bounds the details in a report; the counts are complete.
const maxListed = 1000

// Total returns the sums over all types.
func (r Report) Total() Counts {
	t := Counts{Type: "all"}
	for _, c := range r.Types {
		t.Loaded += c.Loaded
		t.Unchanged += c.Unchanged
		t.Refused += c.Refused
	}
	return t
}

// Run loads files and folders. What the node refuses stands in the report and stops nothing; an error ends the load: a path that
// does not exist (Usage), a node that cannot be reached or cannot write now (Transient, StorageFull, Denied). Running it again
// continues: what is there already is unchanged.
func Run(ctx context.Context, paths []string, o Options) (Report, error) {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	files, total, err := Find(paths)
	if err != nil {
		return Report{}, err
	}
	l := &loader{opts: o, names: newNames(), types: map[string]*Counts{}, made: map[place]string{}, broken: map[int]bool{}, asked: map[string]fhir.Key{}}
	l.report.Files = len(files)
	l.began = o.Clock()
	l.sending = newSending()
	l.progress.Total = 2 * total
	for i, f := range files {
		if err := l.read(ctx, i, f, l.note); err != nil {
			return l.finish(), err
		}
	}
	l.progress.Writing, l.progress.Resources = true, 0
	for i, f := range files {
		if o.Take != nil && !o.Take(i) {
			l.tell(f.Size, 0)
			continue
		}
		if err := l.read(ctx, i, f, l.write); err != nil {
			_ = l.drain() // what it says is what stopped the reading
			return l.finish(), err
		}
	}
	err = l.flush(ctx)
	if derr := l.drain(); err == nil {
		err = derr
	}
	return l.finish(), err
}

// place names an item by the order in which it is read, which is the same both times.
type place struct{ file, item int }

type loader struct {
	opts     Options
	names    *names
	report   Report
	types    map[string]*Counts
	made     map[place]string // ids of resources that came without one
	broken   map[int]bool     // files that are not JSON throughout: nothing of them is written
	asked    map[string]fhir.Key
	progress Progress
	batch    batch
	began    time.Time
	sending  *sending
	mu       sync.Mutex // guards report, types and progress while bundles are under way
}

// tell says that so much was read. What is to be written counts when it is: with the bundle in which it travels.
func (l *loader) tell(bytes int64, resources int) {
	if l.progress.Writing {
		l.batch.bytesRead += bytes
		l.batch.itemsRead += resources
		return
	}
	l.move(bytes, resources)
}

func (l *loader) move(bytes int64, resources int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress.Bytes += bytes
	l.progress.Resources += resources
	if l.opts.Progress != nil {
		l.opts.Progress(l.progress)
	}
}
