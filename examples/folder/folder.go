// Package folder makes a folder of JSON files, Type/id.json, a participant of a node, both ways. It is the example of docs/participants.md.
package folder

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
)

// Folder is the participant: a feedreader.Whole, which says what there is, and a resourcemanager.Remote, which reads and writes it.
type Folder struct {
	Dir     string
	listing feedreader.Listing
}

// Changes gives every file, each time: the node finds by hashes which changed.
func (f *Folder) Changes(_ context.Context, _ string, take func(feedreader.Item) error) (next string, more bool, err error) {
	f.listing = nil
	listing := feedreader.Listing{}
	files, err := filepath.Glob(filepath.Join(f.Dir, "*", "*.json"))
	for _, name := range files {
		k := fhir.Key{Type: filepath.Base(filepath.Dir(name)), ID: strings.TrimSuffix(filepath.Base(name), ".json")}
		c, err := f.read(k)
		listing.Add(k)
		if err = errors.Join(err, take(feedreader.Item{Key: k, Tag: c.Tag, Content: c.Content})); err != nil {
			return "", false, err
		}
	}
	f.listing = listing
	return "", false, err
}

// Listed says what Changes found: a file that is gone was deleted, where the configuration says so.
func (f *Folder) Listed() (feedreader.Listing, error) { return f.listing, nil }

// Read returns the files of some resources.
func (f *Folder) Read(_ context.Context, wants []resourcemanager.Want) (out []resourcemanager.Copy, err error) {
	for _, w := range wants {
		c, rerr := f.read(w.Key)
		out, err = append(out, c), errors.Join(err, rerr)
	}
	return out, err
}

// Write changes files, but none that was changed since the node last saw it.
func (f *Folder) Write(_ context.Context, edits []resourcemanager.Edit) (out []resourcemanager.Answer, err error) {
	for _, e := range edits {
		now, err := f.read(e.Key)
		fate := resourcemanager.Done
		switch {
		case err != nil:
		case now.Tag != e.Base:
			fate = resourcemanager.Stale
		case e.Content == nil:
			err = os.Remove(f.file(e.Key))
		default:
			part := f.file(e.Key) + ".part"
			err = errors.Join(os.MkdirAll(filepath.Dir(part), 0o700), os.WriteFile(part, e.Content, 0o600), os.Rename(part, f.file(e.Key)))
		}
		if err == nil {
			now, err = f.read(e.Key)
		}
		if err != nil {
			return out, err
		}
		out = append(out, resourcemanager.Answer{Fate: fate, Copy: now})
	}
	return out, nil
}

// Traffic is that on a network: none.
func (f *Folder) Traffic() (in, out int64) { return 0, 0 }
func (f *Folder) file(k fhir.Key) string   { return filepath.Join(f.Dir, k.Type, k.ID+".json") }

func (f *Folder) read(k fhir.Key) (resourcemanager.Copy, error) {
	body, err := os.ReadFile(f.file(k))
	if errors.Is(err, fs.ErrNotExist) {
		return resourcemanager.Copy{Key: k}, nil // its state is Absent
	}
	return resourcemanager.Copy{Key: k, State: resourcemanager.Present, Tag: fmt.Sprintf("%.8x", sha256.Sum256(body)), Content: body}, err
}
