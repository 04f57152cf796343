package capture

import (
	"context"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Push gives the server what it lacks of the own log, and tries again what was parked and is due. It returns the counts, a zero Run where
// there was nothing to do. After an error the place in the log stands behind the last batch that was noted.
func (l *Link) Push(ctx context.Context) (audit.Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.begin(engine.Gifts)
	return s.Close(ctx, s.push(ctx))
}

func (s *pass) push(ctx context.Context) error {
	if len(s.cfg.Pushes) == 0 {
		return nil
	}
	st := s.eng.Store()
	var err error
	if s.pos, err = st.Position(ctx, s.cfg.Name, "push"); err != nil {
		return err
	}
	scope, epoch := strings.Join(slices.Sorted(slices.Values(s.cfg.Pushes)), ","), st.Identity().Epoch
	if s.pos.Epoch != epoch || s.pos.Scope != scope {
		s.pos = store.Position{Scope: scope, Cursor: feed.Cursor{Epoch: epoch}} // another log, or other types: what the server has is known all the same
	}
	if err := s.retry(ctx, "push", func(ctx context.Context, keys []fhir.Key) error { return s.give(ctx, keys, nil) }); err != nil {
		return err
	}
	for {
		var keys []fhir.Key
		at := s.pos
		rows := 0
		at.Seq, err = st.ServerChanges(ctx, s.pos.Seq, s.cfg.Batch, func(k fhir.Key) error {
			if rows++; fhir.Selected(s.cfg.Pushes, k.Type) {
				keys = append(keys, k)
			}
			return nil
		})
		if err != nil || at == s.pos {
			return err
		}
		if err := s.give(ctx, keys, &at); err != nil {
			return err
		}
		if s.pos = at; rows < s.cfg.Batch {
			return nil
		}
	}
}

// give offers keys to the server and notes what became of them, with the place behind them.
func (s *pass) give(ctx context.Context, keys []fhir.Key, at *store.Position) error {
	offers, err := s.eng.Offers(ctx, s.cfg.Name, keys)
	if err != nil {
		return err
	}
	if len(offers) == 0 {
		if at == nil {
			return nil
		}
		return s.eng.Gave(ctx, s.link(), nil, at, s.Counts())
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	given, stale, err := s.write(ctx, offers)
	if err != nil {
		return err
	}
	if err := s.eng.Gave(ctx, s.link(), given, nil, s.Counts()); err != nil {
		return err
	}
	if given, err = s.again(ctx, stale); err != nil {
		return err
	}
	return s.eng.Gave(ctx, s.link(), given, at, s.Counts())
}

// again captures what the server had changed itself, and offers once more what it lacks then.
func (s *pass) again(ctx context.Context, stale []fhir.Key) ([]engine.Given, error) {
	if len(stale) == 0 {
		return nil, nil
	}
	if err := s.recapture(ctx, stale); err != nil {
		return nil, err
	}
	offers, err := s.eng.Offers(ctx, s.cfg.Name, stale)
	if err != nil {
		return nil, err
	}
	given, still, err := s.write(ctx, offers)
	if err != nil {
		return nil, err
	}
	moving := map[fhir.Key]bool{}
	for _, k := range still {
		moving[k] = true
	}
	for _, o := range offers {
		if moving[o.Event.Key] {
			given = append(given, engine.Given{
				Event: o.Event, Kind: syncerr.Transient,
				Refused: "the server says that it has another copy than the one that it showed a moment ago: it is tried again later",
			})
		}
	}
	return given, nil
}

// write sends offers. Those that stand on another copy than the server has by now come back as stale.
func (s *pass) write(ctx context.Context, offers []engine.Offer) (given []engine.Given, stale []fhir.Key, err error) {
	by := map[fhir.Key]engine.Offer{}
	keys := make([]fhir.Key, len(offers))
	for i, o := range offers {
		by[o.Event.Key], keys[i] = o, o.Event.Key
	}
	err = s.byRemote(keys, func(remote resourcemanager.Remote, keys []fhir.Key) error {
		edits := make([]resourcemanager.Edit, len(keys))
		for i, k := range keys {
			edits[i] = editOf(by[k])
		}
		answers, err := remote.Write(ctx, edits)
		for i, a := range answers {
			o := by[keys[i]]
			switch a.Fate {
			case resourcemanager.Stale:
				stale = append(stale, keys[i])
			case resourcemanager.Refused:
				given = append(given, engine.Given{Event: o.Event, Refused: a.Reason, Kind: syncerr.Invalid, Status: a.Status})
			case resourcemanager.Done:
				content, rerr := s.made(ctx, remote, o, a)
				if rerr != nil {
					return rerr
				}
				given = append(given, engine.Given{Event: o.Event, Tag: a.Copy.Tag, Content: content, Status: a.Status})
			}
		}
		if err != nil && len(given) > 0 {
			if gerr := s.eng.Gave(ctx, s.link(), given, nil, s.Counts()); gerr == nil {
				given = nil // what is done is noted, so that it is not sent again
			}
		}
		return err
	})
	return given, stale, err
}

func editOf(o engine.Offer) resourcemanager.Edit {
	e := resourcemanager.Edit{Key: o.Event.Key, Content: o.Event.Content, Create: !o.Known, Base: o.Base.Tag, Revive: o.Base.Deleted}
	if o.Event.Stamp.Deleted {
		e.Content = nil
	}
	return e
}

// made returns what the server made of a document: what its answer says, or what it has under the tag of its answer. Under another tag it is
// somebody else's change by now, and without tags nobody can say.
func (s *pass) made(ctx context.Context, remote resourcemanager.Remote, o engine.Offer, a resourcemanager.Answer) ([]byte, error) {
	if o.Event.Stamp.Deleted || a.Copy.Content != nil || a.Copy.Tag == "" {
		return a.Copy.Content, nil
	}
	copies, err := remote.Read(ctx, []resourcemanager.Want{{Key: o.Event.Key}})
	if unavailable(err) {
		return nil, err
	}
	if err != nil || len(copies) != 1 || copies[0].State != resourcemanager.Present || copies[0].Tag != a.Copy.Tag {
		return nil, nil
	}
	return copies[0].Content, nil
}
