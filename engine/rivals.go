package engine

import (
	"strconv"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/version"
)

// captureRivals takes what lost at a server against the item that was just taken, and was not seen here (FeedSync 3.3: the conflicts of both sides are
// merged). Each is decided about like any other copy, but that it comes from the server does not let it win; who loses is kept. What stands then
// has seen it, so that the server, when it reads that, has it no more among its conflicts (3.4). Where a person has to decide about another one
// first, it is looked at again in the next round.
func (a *acceptance) captureRivals(item captured) error {
	tags, waits := map[string]bool{}, false
	for _, rival := range item.rivals {
		tags[rival.Tag] = true
	}
	for _, rival := range item.rivals {
		later, err := a.captureRival(rival, tags)
		if err != nil {
			return err
		}
		waits = waits || later
	}
	if !waits {
		return nil
	}
	has, _, err := a.tx.ServerCopy(a.link.Server, item.Key)
	if err != nil {
		return err
	}
	has.Tag = item.Alone // what it has beside that is not known for whole
	return a.tx.SetServerCopy(a.link.Server, item.Key, has)
}

// captureRival takes one; later says that it has to wait. A rival has a place among those of its key, each with a replica that its versions are of: two that have not
// seen each other are of two. What stood in a place before has been decided about, so the next one there contains it rightly.
func (a *acceptance) captureRival(rival captured, tags map[string]bool) (later bool, err error) {
	cur, ok, err := a.tx.Current(rival.Key)
	if err != nil || !ok { // deleted there, and never here: nothing that it is a rival of
		return false, err
	}
	if rival.refusal != nil {
		a.tx.Audit(audit.Record{
			Operation: audit.Pull, Outcome: audit.Refused, Action: string(feed.Updated), Key: rival.Key, Peer: a.link.Peer, Run: a.link.Run, URL: rival.Key.Path(),
			ParentURL: a.link.ParentURL, LocalURL: a.e.cfg.URL, LinkType: a.link.client(rival.Key.Type), Details: "a copy that lost at the server: " + rival.refusal.Error(),
		})
		return false, nil
	}
	seen, err := a.credible(rival.Key.Type, rival.Seen)
	if err != nil {
		return false, err
	}
	if seen.Contains(rival.Made) && cur.Stamp.Vector.Contains(rival.Made) && !rival.Made.IsZero() {
		return false, nil
	}
	free := ""
	for i, known := 1, true; known; i++ {
		var had store.ServerCopy
		name := a.link.Server + "#" + strconv.Itoa(i)
		if had, known, err = a.tx.ServerCopy(name, rival.Key); err != nil || known && had.Tag == rival.Tag {
			return false, err // it was taken before
		}
		if free == "" && !tags[had.Tag] {
			free = name
		}
	}
	has := store.ServerCopy{Tag: rival.Tag, Deleted: rival.Deleted, Hash: rival.hash, Vector: seen}
	if has.Same(cur.Stamp) {
		has.Vector = has.Vector.Union(cur.Stamp.Vector)
		return false, a.tx.SetServerCopy(free, rival.Key, has)
	}
	if _, waits, err := a.tx.OpenConflict(rival.Key); err != nil || waits {
		return waits, err
	}
	author, err := a.tx.ServerReplica(free)
	if err != nil {
		return false, err
	}
	a.rival = true
	defer func() { a.rival = false }()
	return false, a.newsOf(free, rival, has, author)
}

// newsOf writes what a server did as a change under the name that stands for it, and decides about it.
func (a *acceptance) newsOf(server string, item captured, has store.ServerCopy, author version.Replica) error {
	v, err := a.tx.NextTickOf(author, item.Key.Type)
	if err != nil {
		return err
	}
	authored := item.Modified
	if authored <= 0 {
		authored = a.tx.Now()
	}
	in := incoming{packed: item.packed}
	in.Event = feed.Event{Key: item.Key, Action: feed.Updated, Content: item.body, Stamp: version.Stamp{
		Version: v, Vector: has.Vector.With(v), Author: author, Authored: authored, Origin: v, Deleted: item.Deleted, Hash: item.hash,
	}}
	if item.Deleted {
		in.Action = feed.Deleted
	}
	r := feed.Receipt{Key: item.Key, Version: v}
	var conflict string
	if r.Result, conflict, err = a.one(in); err != nil {
		return err
	}
	has.Vector = in.Stamp.Vector
	if err := a.tx.SetServerCopy(server, item.Key, has); err != nil {
		return err
	}
	if err := a.unparkCaptured(item.Key); err != nil {
		return err
	}
	return a.record(in, &r, conflict)
}
