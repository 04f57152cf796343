package sdata

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/tributary-sync/tributary/syncerr"
)

// Endpoint is one end of a pass as the engine sees it: documents go through as bytes. Addresses are those that the other end gave.
type Endpoint interface {
	// Kinds returns the resource kinds that it synchronizes, in their order. It returns a NotFound error where it does not advertise them.
	Kinds(ctx context.Context) ([]string, error)
	// Digest returns the digest of a kind.
	Digest(ctx context.Context, resourceType string) ([]byte, error)
	// Select asks a source for what a digest lacks, and returns the first page.
	Select(ctx context.Context, resourceType string, run Run, digest []byte) (Page, error)
	// Next returns the page at an address.
	Next(ctx context.Context, address string) (Page, error)
	// Release tells a source that a pass is over.
	Release(ctx context.Context, location string) error
	// Apply gives a target a page and returns its results.
	Apply(ctx context.Context, resourceType string, run Run, page []byte) ([]byte, error)
	// Report gives results to a source. It returns a NotFound error where it does not take them.
	Report(ctx context.Context, resourceType string, run Run, results []byte) error
}

// Manager takes the results of a pass for those who run the network: the event manager.
type Manager interface {
	Report(ctx context.Context, resourceType string, run Run, results []byte) error
}

// Page is a page as the source wrote it. Location is what a Release names, empty where the source keeps nothing.
type Page struct {
	Body     []byte
	Location string
}

// Count is what passes did.
type Count struct {
	Type       string `json:"type,omitempty"`
	Direction  string `json:"direction,omitempty"`
	Pages      int    `json:"pages"`
	Entries    int    `json:"entries"`
	Failed     int    `json:"failed"`           // entries that the target did not take, open conflicts among them
	Bytes      int64  `json:"bytes"`            // of pages
	Unreported int    `json:"unreported"`       // results that an event manager did not take
	Error      string `json:"error,omitempty"`  // why the pass ended early
	Reason     string `json:"reason,omitempty"` // of the first entry that was not taken
}

// Runner is SData's engine (3.2): it carries a digest to a source and the pages to a target, and keeps nothing: it may be ended anywhere and run
// again from elsewhere.
type Runner struct {
	Source   Endpoint
	Target   Endpoint
	Managers []Manager
	Run      Run
	// Progress is told after each page; nil is told nothing.
	Progress func(Count)
}

// maxEmpty is how many pages without an entry may follow one another.
const maxEmpty = 1000

// Pass brings what the source has of a kind to the target (SData sync 5.1 to 5.7). The results of every page go to all event managers and to the
// source; where one does not take them that is counted, and the pass goes on. An error leaves the target with the pages that it has
// taken: the next pass goes on from there.
func (r Runner) Pass(ctx context.Context, resourceType string) (Count, error) {
	n := Count{Type: resourceType}
	digest, err := r.Target.Digest(ctx, resourceType)
	if err != nil {
		return n, fmt.Errorf("target digest: %w", err)
	}
	page, err := r.Source.Select(ctx, resourceType, r.Run, digest)
	if err != nil {
		return n, fmt.Errorf("source: %w", err)
	}
	location := page.Location
	err = r.pages(ctx, resourceType, page, &n)
	if location != "" && ctx.Err() == nil {
		if rerr := r.Source.Release(ctx, location); err == nil {
			err = rerr // it says that the source is away; where the pass failed, that is the clearer complaint
		}
	}
	return n, err
}

func (r Runner) pages(ctx context.Context, resourceType string, page Page, n *Count) error {
	seen := map[string]bool{}
	for empty := 0; ; {
		f, err := ReadFeed(page.Body)
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
		n.Pages++
		n.Entries += len(f.Entries)
		n.Bytes += int64(len(page.Body))
		results, err := r.Target.Apply(ctx, resourceType, r.Run, page.Body)
		if err != nil {
			return fmt.Errorf("target: %w", err)
		}
		if err := r.results(ctx, resourceType, results, n); err != nil {
			return err
		}
		if r.Progress != nil {
			r.Progress(*n)
		}
		if f.Next == "" {
			return nil
		}
		if empty++; len(f.Entries) > 0 {
			empty = 0
		}
		if seen[f.Next] || empty > maxEmpty {
			return syncerr.New(syncerr.Invalid, "source", "its pages have no end: %.200s follows again, or %d pages are empty", f.Next, empty)
		}
		seen[f.Next] = true
		if page, err = r.Source.Next(ctx, f.Next); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
}

// results counts what a target answered and passes it on.
func (r Runner) results(ctx context.Context, resourceType string, results []byte, n *Count) error {
	f, err := ReadFeed(results)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	for _, e := range f.Entries {
		if e.Outcome.Status >= http.StatusBadRequest {
			n.Failed++
			if n.Reason == "" {
				n.Reason = e.Outcome.Message
				if len(e.Trouble) > 0 {
					n.Reason = e.Trouble[0].Message
				}
			}
		}
	}
	if len(f.Entries) == 0 {
		return nil
	}
	for _, m := range r.Managers {
		if err := m.Report(ctx, resourceType, r.Run, results); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			n.Unreported++
		}
	}
	err = r.Source.Report(ctx, resourceType, r.Run, results)
	switch syncerr.KindOf(err) {
	case syncerr.NotFound, syncerr.Unsupported: // a source may do without
		return nil
	}
	if err != nil && ctx.Err() == nil {
		n.Unreported++
		return nil
	}
	return err
}

// All runs passes over kinds, one after the other in the order given. A kind that fails does not keep the others back unless nobody answers. It
// returns the counts of each and the errors together.
func (r Runner) All(ctx context.Context, kinds []string) ([]Count, error) {
	var out []Count
	var failed []error
	for _, k := range kinds {
		n, err := r.Pass(ctx, k)
		if err != nil {
			n.Error = err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", k, err))
		}
		out = append(out, n)
		if ctx.Err() != nil || syncerr.KindOf(err).Retry() && err != nil || syncerr.KindOf(err) == syncerr.Denied {
			break
		}
	}
	return out, errors.Join(failed...)
}
