package capture

import (
	"context"

	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Absent says what it means that a document which a source had is not in its list any more. The zero value: nothing.
type Absent struct {
	Delete bool // it was deleted there
	// Limit is up to which share of what the source had, in percent, may be missing at once. What is more is taken for a fault of the source,
	// unless it is a few documents.
	Limit int
	Told  bool // Limit holds also for deletions that the source tells of
}

// tooMany reports whether so many documents of those that the source had are not likely to be gone at once.
func (a Absent) tooMany(gone, had int) bool { return gone > fewAbsent && gone*100 > had*a.Limit }

// fewAbsent is how many documents may be missing at once whatever their share is.
const fewAbsent = 5

// absent deletes what a whole round did not list. It deletes nothing where the round cannot be taken for whole, is empty, or misses more
// than is likely: these are errors, and nothing else of the round is undone.
func (s *pass) absent(ctx context.Context, source feedreader.Whole) error {
	listing, doubt := source.Listed()
	if listing != nil && doubt == nil {
		if err := s.readableAgain(ctx); err != nil {
			return err
		}
	}
	if !s.cfg.Absent.Delete || listing == nil && doubt == nil {
		return nil
	}
	refuse := func(format string, args ...any) *syncerr.Error {
		return syncerr.New(syncerr.Unprocessable, "look for what was deleted at "+s.cfg.Name, format, args...)
	}
	if doubt != nil {
		return refuse("nothing is deleted, because its list is not whole: %w", doubt).
			WithHint("What it has of news was taken; it is asked again by itself")
	}
	had, missing := 0, []feedreader.Item(nil)
	err := s.eng.Store().Read(ctx, func(r *store.Reader) error {
		for _, t := range s.cfg.Pulls {
			for after := ""; ; {
				keys, err := r.ServerKeys(s.cfg.Name, t, after, 1000)
				if err != nil {
					return err
				}
				if len(keys) == 0 {
					break
				}
				for _, k := range keys {
					if had++; !listing.Has(k) {
						missing = append(missing, feedreader.Item{Key: k, Deleted: true})
					}
				}
				after = keys[len(keys)-1].ID
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(missing) == 0:
		return nil
	case len(listing) == 0:
		return refuse("it has nothing any more, and had %d documents: that is taken for a fault of it, and nothing is deleted", had).
			WithHint("Look at it. If it is meant, delete the documents here")
	case s.cfg.Absent.tooMany(len(missing), had):
		return refuse("%d of %d documents are missing in its list: that is taken for a fault of it, and nothing is deleted", len(missing), had).
			WithHint("Look at it. If it is meant, set servers.%s.absent_limit above %d for one pass", s.cfg.Name, len(missing)*100/had)
	}
	for len(missing) > 0 {
		n := min(len(missing), s.cfg.Batch)
		if err := s.capture(ctx, missing[:n], nil); err != nil {
			return err
		}
		missing = missing[n:]
	}
	return nil
}

// likely refuses to take deletions that a source tells of where they are more than is likely.
func (s *pass) likely(ctx context.Context, items []feedreader.Item) error {
	told := 0
	for _, it := range items {
		if it.Deleted {
			told++
		}
	}
	if told == 0 || !s.cfg.Absent.Told {
		return nil
	}
	if s.gone == 0 {
		err := s.eng.Store().Read(ctx, func(r *store.Reader) error {
			var err error
			s.had, err = r.ServerCount(s.cfg.Name)
			return err
		})
		if err != nil {
			return err
		}
	}
	if s.gone += told; s.cfg.Absent.tooMany(s.gone, s.had) {
		return syncerr.New(syncerr.Unprocessable, "take what was deleted at "+s.cfg.Name, "it says that %d of %d documents were deleted: that is taken for a fault of it, and they are not",
			s.gone, s.had).WithHint("Look at it. If it is meant, set servers.%s.absent_limit above %d for one pass", s.cfg.Name, s.gone*100/max(s.had, 1))
	}
	return nil
}

// readableAgain ends what was parked for records that could not be told from each other: there are none any more.
func (s *pass) readableAgain(ctx context.Context) error {
	for _, t := range s.cfg.Pulls {
		k := fhir.Key{Type: t, ID: feedreader.Unreadable}
		waits := false
		err := s.eng.Store().Read(ctx, func(r *store.Reader) error {
			var err error
			waits, err = r.IsParked(s.cfg.Name, "pull", k)
			return err
		})
		if err != nil {
			return err
		}
		if !waits {
			continue
		}
		if err := s.eng.Store().Write(ctx, func(tx *store.Tx) error { return tx.UnparkServer(s.cfg.Name, "pull", k) }); err != nil {
			return err
		}
	}
	return nil
}
