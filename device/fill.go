package device

import (
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// line is a device's queue within one transaction.
type line struct {
	tx    *store.Tx
	d     store.Device
	saved store.Device // as the database has it
	name  string       // of the registration
	scope search.Scope
	added int64 // to the queue, in this transaction
	head  uint64
}

// open returns the queue of a device, brought to the scope and the epoch of now. create makes one for a device that comes for the first
// time; false where there is none. It returns a Denied error where the registration was removed meanwhile.
func open(tx *store.Tx, reg Registration, uuid string, create bool) (*line, bool, error) {
	name, text, ok, err := tx.ScopeOf(reg.ID)
	if err != nil {
		return nil, false, err
	}
	if !ok {
		return nil, false, syncerr.New(syncerr.Denied, "sync", "device %q was removed", reg.Name)
	}
	q := &line{tx: tx, name: name}
	if q.scope, err = search.ParseScope(strings.Fields(text)); err != nil {
		return nil, false, err
	}
	if q.head, err = tx.Head(); err != nil {
		return nil, false, err
	}
	found := false
	if q.d, found, err = tx.Device(reg.ID, uuid); err != nil || !found && !create {
		return q, false, err
	}
	q.saved = q.d
	epoch := tx.Identity().Epoch
	if !found {
		if err := q.makeRoom(reg); err != nil {
			return nil, false, err
		}
		if q.d, err = tx.AddDevice(store.Device{Registration: reg.ID, UUID: uuid, Secret: tx.NewUUID(), Scope: text, Epoch: epoch}); err != nil {
			return nil, false, err
		}
		tx.Audit(audit.Record{Operation: audit.Device, Outcome: audit.Done, Action: "NEW", Peer: name, Details: "it came under a new device id: everything that it may see is sent"})
	}
	if q.d.Epoch != epoch { // the database was put back: what the device acknowledged since then is not known
		if err := tx.Unacknowledge(q.d.Num); err != nil {
			return nil, false, err
		}
	}
	if !found || q.d.Epoch != epoch || q.d.Scope != text {
		q.d.Epoch, q.d.Scope, q.d.Round = epoch, text, q.d.Round+1
		q.walkAgain()
	}
	return q, true, nil
}

// makeRoom forgets the devices of a registration that came least lately, as far as there are too many: one that changes its id with each
// session must not fill the database.
func (q *line) makeRoom(reg Registration) error {
	known, err := q.tx.Devices(reg.ID)
	if err != nil || len(known) < maxDevices {
		return err
	}
	for _, d := range known[maxDevices-1:] {
		if err := q.tx.ForgetDevice(d.Num); err != nil {
			return err
		}
	}
	q.tx.Audit(audit.Record{
		Operation: audit.Device, Outcome: audit.Done, Action: "FORGET", Peer: q.name,
		Details: "it came under more than " + strconv.Itoa(maxDevices) + " device ids: the one least lately used is forgotten",
	})
	return nil
}

// save stores the device where it changed.
func (q *line) save() error {
	if q.d == q.saved {
		return nil
	}
	return q.tx.SaveDevice(q.d)
}

// walkAgain lets the queue be filled from everything that there is, instead of from what changed.
func (q *line) walkAgain() { q.d.Target, q.d.Resume = q.head, rowsPhase }

// A walk goes through what the device is known to have, then through each part of the scope. Resume says where it is: the phase, and what
// was last looked at.
const (
	rowsPhase = "rows "
	partPhase = "part "
)

// fill brings the queue one step nearer to the log at a sequence, and reports whether there is more to do.
func (q *line) fill(upTo uint64) (more bool, err error) {
	if q.d.Resume != "" {
		return true, q.walk()
	}
	if q.d.Seq >= upTo {
		return false, nil
	}
	to := min(upTo, q.d.Seq+step)
	keys, err := q.tx.Recent(q.d.Seq, to)
	if err != nil {
		return false, err
	}
	q.d.Seq = to
	return to < upTo, q.consider(keys)
}

// walk takes one step of a walk over everything. What changes behind it is above Target in the log, from where fill goes on.
func (q *line) walk() error {
	if at, ok := strings.CutPrefix(q.d.Resume, rowsPhase); ok {
		t, id, _ := strings.Cut(at, "/")
		items, err := q.tx.Items(q.d.Num, fhir.Key{Type: t, ID: id}, step)
		if err != nil {
			return err
		}
		keys := make([]fhir.Key, len(items))
		for i, item := range items {
			keys[i] = item.Key
		}
		if len(keys) < step {
			q.d.Resume = partPhase + "0 "
		} else {
			q.d.Resume = rowsPhase + keys[step-1].String()
		}
		return q.consider(keys)
	}
	number, at, _ := strings.Cut(strings.TrimPrefix(q.d.Resume, partPhase), " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, "read place of a walk", err)
	}
	if n >= len(q.scope) {
		q.d.Seq, q.d.Resume = q.d.Target, ""
		return nil
	}
	keys, next, err := q.part(q.scope[n], at)
	if err != nil {
		return err
	}
	if next == "" {
		n++
	}
	q.d.Resume = partPhase + strconv.Itoa(n) + " " + next
	return q.consider(keys)
}

// part returns keys of a part of the scope from a place on, and the next place, empty at the end.
func (q *line) part(p search.Part, at string) (keys []fhir.Key, next string, err error) {
	if len(p.Query.Terms) > 0 {
		sq := p.Query
		if at != "" {
			if sq, err = sq.From(at); err != nil {
				return nil, "", err
			}
		}
		return q.tx.FindPage(sq, step)
	}
	t, id, _ := strings.Cut(at, "/")
	if t == "" {
		if t = p.Type; t == search.AllTypes {
			if t, err = q.tx.NextType(""); err != nil || t == "" {
				return nil, "", err
			}
		}
	}
	ids, err := q.tx.LiveIDs(t, id, step)
	if err != nil {
		return nil, "", err
	}
	for _, id := range ids {
		keys = append(keys, fhir.Key{Type: t, ID: id})
	}
	if len(ids) == step {
		return keys, t + "/" + ids[step-1], nil
	}
	if p.Type != search.AllTypes {
		return keys, "", nil
	}
	if t, err = q.tx.NextType(t); err != nil || t == "" {
		return keys, "", err
	}
	return keys, t + "/", nil
}

// consider queues those of the keys of which the device does not have what it should. What waits already keeps its place, and only an
// acknowledgement takes it away.
func (q *line) consider(keys []fhir.Key) error {
	if err := q.tx.Load(keys); err != nil {
		return err
	}
	items, err := q.tx.ItemsOf(q.d.Num, keys)
	if err != nil {
		return err
	}
	var alive []fhir.Key
	current := make(map[fhir.Key]store.Current, len(keys))
	for _, k := range keys {
		c, ok, err := q.tx.Current(k)
		if err != nil {
			return err
		}
		if ok && !c.Stamp.Deleted {
			alive = append(alive, k)
			current[k] = c
		}
	}
	visible, err := within(q.tx, q.scope, alive)
	if err != nil {
		return err
	}
	var put []store.DeviceItem
	for _, k := range keys {
		item, known := items[k]
		if item.Place > 0 || !known && !visible[k] {
			continue
		}
		if visible[k] && item.Acked > 0 {
			same, err := q.same(item.Acked, current[k].Seq)
			if err != nil {
				return err
			}
			if same {
				continue
			}
		}
		q.d.Place++
		put = append(put, store.DeviceItem{Key: k, Acked: item.Acked, Place: q.d.Place})
	}
	q.added += int64(len(put))
	return q.tx.PutItems(q.d.Num, put)
}

// same reports whether a copy that was acknowledged is the current one: a row of the log may only note what else the copy has seen.
func (q *line) same(acked, seq uint64) (bool, error) {
	if acked == seq {
		return true, nil
	}
	return q.tx.SameVersion(acked, seq)
}

// finder finds which ids are in the result of a query: a transaction or a snapshot.
type finder interface {
	Among(q search.Query, ids []string) ([]fhir.Key, error)
}

// within returns which of the keys of live resources are in the scope.
func within(f finder, scope search.Scope, keys []fhir.Key) (map[fhir.Key]bool, error) {
	out := make(map[fhir.Key]bool, len(keys))
	byType := map[string][]string{}
	for _, k := range keys {
		if scope.All(k.Type) {
			out[k] = true
		} else {
			byType[k.Type] = append(byType[k.Type], k.ID)
		}
	}
	const chunk = 200
	for _, p := range scope {
		for ids := byType[p.Type]; len(ids) > 0; ids = ids[min(len(ids), chunk):] {
			found, err := f.Among(p.Query, ids[:min(len(ids), chunk)])
			if err != nil {
				return nil, err
			}
			for _, k := range found {
				out[k] = true
			}
		}
	}
	return out, nil
}
