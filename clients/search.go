package clients

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/syncerr"
)

// Search is the feed of a FHIR server that tells of no changes at all, or whose deletions are to be found without a history: every round reads
// all resources of its types by search (FHIR R4 http.html#search), and whoever takes them finds by their hashes which changed. It is a
// feedreader.Whole. It must not be used by two goroutines at once. A round that is interrupted begins anew.
type Search struct {
	fhir  *FHIR
	types []string
	round searchRound
}

// searchRound is what a round has listed so far.
type searchRound struct {
	place   string // that the next page follows
	listing feedreader.Listing
	doubt   error
	ended   bool
}

var _ feedreader.Whole = (*Search)(nil)

// NewSearch returns the feed of all resources of types (none of them a REST type).
func NewSearch(f *FHIR, types []string) *Search {
	types = slices.Clone(types)
	slices.Sort(types)
	return &Search{fhir: f, types: types}
}

// searchPlace is what Changes returns as next: the type that was read, empty between rounds.
type searchPlace struct {
	Search string `json:"search"`
}

// Changes reads all resources of one type (feedreader.Foreign).
func (s *Search) Changes(ctx context.Context, after string, take func(feedreader.Item) error) (string, bool, error) {
	var at searchPlace
	if json.Unmarshal([]byte(after), &at) != nil || at.Search == "" || after != s.round.place {
		at = searchPlace{}
		s.round = searchRound{listing: feedreader.Listing{}}
	}
	i, found := slices.BinarySearch(s.types, at.Search)
	if found {
		i++
	}
	if err := s.read(ctx, s.types[i], take); err != nil {
		s.fhir.doubt(err)
		s.round = searchRound{}
		return after, false, err
	}
	if i+1 < len(s.types) {
		s.round.place = placeText(searchPlace{s.types[i]})
		return s.round.place, true, nil
	}
	s.round.ended, s.round.place = true, ""
	return placeText(searchPlace{}), false, nil
}

// Listed returns what the last round listed (feedreader.Whole).
func (s *Search) Listed() (feedreader.Listing, error) {
	if !s.round.ended {
		return nil, nil
	}
	return s.round.listing, s.round.doubt
}

// read reads all pages of a type.
func (s *Search) read(ctx context.Context, t string, take func(feedreader.Item) error) error {
	l := s.fhir.link
	path := t + "?" + url.Values{"_count": {strconv.Itoa(foreignCount)}}.Encode()
	var date time.Time
	seen := map[string]bool{}
	listed, total := 0, 0
	for path != "" {
		if seen[path] || len(seen) >= maxAtomPages {
			return syncerr.New(syncerr.Invalid, l.op(), "the pages of its %s lead in a circle, or are more than %d", t, maxAtomPages)
		}
		seen[path] = true
		page, err := l.page(ctx, path, "searchset", &date, func(e fhirEntry) error {
			it, ok := itemOf(e)
			switch {
			case ok && it.Key.Type == t && !it.Deleted:
			case e.kind() == "OperationOutcome":
				return nil // what the server has to say
			default:
				s.round.doubt = syncerr.New(syncerr.Invalid, l.op(), "its answer to a search of %s has an entry that is none", t)
				return nil
			}
			if !s.round.listing.Has(it.Key) {
				listed++
			}
			s.round.listing.Add(it.Key)
			return take(it)
		})
		if err != nil {
			return err
		}
		total = max(total, page.total)
		if path = ""; page.next != "" {
			if path, err = l.same(page.next); err != nil {
				return err
			}
		}
	}
	if total > listed {
		s.round.doubt = syncerr.New(syncerr.Invalid, l.op(), "it says that it has %d %s and gave %d", total, t, listed)
	}
	return nil
}

// kind returns the type of the document in an entry.
func (e fhirEntry) kind() string { return gjson.GetBytes(e.Resource, "resourceType").String() }
