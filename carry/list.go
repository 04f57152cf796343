package carry

import (
	"context"
	"slices"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// changes writes what the reader lacks: own and held copies of the keys that it has to decide about, the list of copies that its knowledge does
// not contain, and what was written behind that.
func (w *writer) changes(ctx context.Context) error {
	if err := w.fits(ctx); err != nil {
		return err
	}
	if err := w.held(ctx); err != nil {
		return err
	}
	if w.end.Resume != "" && !w.full {
		if err := w.list(ctx); err != nil {
			return err
		}
	}
	if w.end.Resume == "" && !w.full {
		if err := w.tail(ctx); err != nil {
			return err
		}
	}
	return w.flush(Changes)
}

// fits begins a list where the place that the reader has reached is not one of this log any more.
func (w *writer) fits(ctx context.Context) error {
	return w.eng.Store().Read(ctx, func(r *store.Reader) error {
		head, err := r.Head()
		if err != nil {
			return err
		}
		floor, err := r.Floor()
		if err != nil {
			return err
		}
		at, from := w.m.Start, w.m.Start.Seq
		if at.Resume != "" {
			place, err := store.ParsePlace(at.Resume)
			if err != nil {
				return err
			}
			from = place.Head
		}
		if at.IsZero() || from > head || from < floor {
			w.m.Start = store.CarryPlace{}
			w.end = w.place(store.Place{Head: head}.String(), 0)
		}
		return nil
	})
}

// place returns a place in what this node writes for the reader.
func (w *writer) place(resume string, seq uint64) store.CarryPlace {
	return store.CarryPlace{Scope: scope(w.m.Sends, w.m.Asks), Epoch: w.eng.Store().Identity().Epoch, Resume: resume, Seq: seq}
}

// held writes, for a reader that decides, the own copy of each key of which a copy is held, and the held copies that it does not know, as they
// came (DESIGN.md 4.2, holds).
func (w *writer) held(ctx context.Context) error {
	if w.m.Decides != w.p.PublicKey {
		return nil
	}
	held, err := w.eng.Store().Held(ctx, 0)
	if err != nil {
		return err
	}
	for _, h := range held {
		if !w.sends(h.Key.Type) {
			continue
		}
		if _, done := w.dirty[h.Key]; !done {
			var own store.Row
			err := w.eng.Store().Read(ctx, func(r *store.Reader) error {
				var err error
				own, _, err = r.Event(feed.Ref{Key: h.Key})
				return err
			})
			if err != nil {
				return err
			}
			own.Unit, own.UnitSize = "", 0
			if w.dirty[h.Key] = own.Stamp.Version; !own.Stamp.IsZero() {
				if err := w.add(ctx, []feed.Event{own.Event}, w.end); err != nil || w.full {
					return err
				}
			}
		}
		if h.Peer != w.side.Link.Peer || w.has(store.Row{Event: h.Event()}) {
			continue // it came from another one, who decides about it
		}
		if err := w.add(ctx, []feed.Event{h.Event()}, w.end); err != nil || w.full {
			return err
		}
	}
	return nil
}

// list writes the copies that the reader's knowledge does not contain, from the place on. The place is behind the list at its end.
func (w *writer) list(ctx context.Context) error {
	at, err := store.ParsePlace(w.end.Resume)
	if err != nil {
		return err
	}
	type found struct {
		rows []store.Row
		at   store.Place
	}
	for done := false; !done; {
		var all []found
		next := at
		err := w.eng.Store().Read(ctx, func(r *store.Reader) error {
			all = all[:0]
			var err error
			next, done, err = r.Missing(w.known, w.m.Sends, at, rowsAtOnce, func(row store.Row, p store.Place) error {
				if !w.sends(row.Key.Type) {
					return nil
				}
				rows, err := w.whole(r, row)
				all = append(all, found{rows, p})
				return err
			})
			return err
		})
		if err != nil {
			return err
		}
		for _, f := range all {
			if err := w.add(ctx, events(f.rows), w.place(f.at.String(), 0)); err != nil || w.full {
				return err
			}
		}
		at = next
		if w.end = w.place(at.String(), 0); done {
			w.end = w.place("", at.Head)
		}
	}
	return nil
}

// whole returns the transaction of a copy, as it was written, the first time that one of its copies is met; the copy alone where it was written
// alone, or where not all of its transaction is kept.
func (w *writer) whole(r *store.Reader, row store.Row) ([]store.Row, error) {
	alone := []store.Row{row}
	if w.dirty[row.Key] == row.Stamp.Version {
		alone = nil // it is in the bundle already
	}
	if row.InUnit == "" {
		return alone, nil
	}
	if w.units[row.InUnit] {
		return nil, nil
	}
	rows, err := r.Unit(row.InUnit, row.At)
	if err != nil {
		return nil, err
	}
	bytes, size := 0, len(rows)
	kept := !slices.ContainsFunc(rows, func(m store.Row) bool {
		bytes += len(m.Content)
		return m.Content == nil && !m.Stamp.Deleted || m.UnitSize != size
	})
	if !kept || bytes > maxUnit {
		return alone, nil
	}
	w.units[row.InUnit] = true
	return w.members(rows), nil
}

// members returns the rows of a transaction whose types go to the reader, which then are the whole of it.
func (w *writer) members(rows []store.Row) []store.Row {
	rows = slices.DeleteFunc(rows, func(m store.Row) bool { return !w.sends(m.Key.Type) })
	for i := range rows {
		if rows[i].UnitSize = len(rows); len(rows) == 1 {
			rows[i].Unit, rows[i].UnitSize = "", 0
		}
	}
	return rows
}

func events(rows []store.Row) []feed.Event {
	out := make([]feed.Event, len(rows))
	for i, r := range rows {
		out[i] = r.Event
	}
	return out
}

// tail writes what stands in the log behind the place, as far as the reader does not know it.
func (w *writer) tail(ctx context.Context) error {
	for more := true; more; {
		var rows []store.Row
		var upTo uint64
		err := w.eng.Store().Read(ctx, func(r *store.Reader) error {
			rows = rows[:0]
			var err error
			upTo, more, _, err = r.Changes(w.end.Seq, w.m.Sends, rowsAtOnce, func(row store.Row) error {
				rows = append(rows, row)
				return nil
			})
			return err
		})
		if err != nil {
			return err
		}
		for i := 0; i < len(rows); {
			n := i + 1
			for rows[i].Unit != "" && n < len(rows) && rows[n].Unit == rows[i].Unit {
				n++
			}
			group, last := slices.Clone(rows[i:n]), rows[n-1].Seq
			i = n
			if group = w.news(group); len(group) == 0 {
				continue
			}
			if err := w.add(ctx, events(group), w.place("", last)); err != nil || w.full {
				return err
			}
		}
		w.end = w.place("", upTo)
	}
	return nil
}

// news returns what goes of a row, or of the rows of a transaction: nothing where the reader knows all of it. Of a transaction whose older
// contents are not kept, the copies go that stand.
func (w *writer) news(rows []store.Row) []store.Row {
	kept := !slices.ContainsFunc(rows, func(m store.Row) bool { return m.Content == nil && !m.Stamp.Deleted })
	if !kept {
		rows = slices.DeleteFunc(rows, func(m store.Row) bool { return !m.Latest })
		for i := range rows {
			rows[i].Unit, rows[i].UnitSize = "", 0
		}
	}
	rows = w.members(rows)
	if kept && slices.ContainsFunc(rows, func(m store.Row) bool { return !w.has(m) }) {
		return rows
	}
	return slices.DeleteFunc(rows, w.has)
}

// has reports whether the reader's knowledge contains a copy: all of its vector, or what the reader's own copy has seen where it has an exception.
func (w *writer) has(row store.Row) bool {
	if seen, excepted := w.lacks[row.Key]; excepted {
		return seen.ContainsAll(row.Stamp.Vector)
	}
	return w.known[row.Key.Type].Vector.ContainsAll(row.Stamp.Vector)
}

// add adds what goes together to the part that is being made; end is the place behind it. Where there is no room left it sets full and leaves the
// place.
func (w *writer) add(ctx context.Context, evs []feed.Event, end store.CarryPlace) error {
	if len(evs) == 0 {
		w.end = end
		return nil
	}
	size := 0
	var authors []version.Replica
	for _, ev := range evs {
		size += len(ev.Content) + 600 + 60*len(ev.Stamp.Vector)
		if !w.names[ev.Stamp.Author] {
			w.names[ev.Stamp.Author] = true
			authors = append(authors, ev.Stamp.Author)
		}
	}
	if w.enc != nil && w.plain.Len()+size > w.target() {
		if err := w.flush(Changes); err != nil {
			return err
		}
		return w.addFresh(ctx, evs, end, size)
	}
	if w.enc == nil {
		return w.addFresh(ctx, evs, end, size)
	}
	return w.put(ctx, evs, end, authors)
}

// addFresh begins a part with what goes together.
func (w *writer) addFresh(ctx context.Context, evs []feed.Event, end store.CarryPlace, size int) error {
	if w.full = w.full || w.bounded && int64(size+size/50)+2*cluster > w.space; w.full {
		return nil
	}
	var authors []version.Replica
	for _, ev := range evs {
		w.names[ev.Stamp.Author] = true
		authors = append(authors, ev.Stamp.Author)
	}
	return w.put(ctx, evs, end, authors)
}

func (w *writer) put(ctx context.Context, evs []feed.Event, end store.CarryPlace, authors []version.Replica) error {
	names, err := w.eng.Store().Names(ctx, authors)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := w.encoder().Name(n); err != nil {
			return err
		}
	}
	for _, ev := range evs {
		ev.Seq = 0 // the order in a bundle is not that of the log
		if err := w.encoder().Event(ev); err != nil {
			return err
		}
		w.lines++
		w.Run.Read, w.Run.Applied = w.Run.Read+1, w.Run.Applied+1
	}
	w.end = end
	return nil
}
