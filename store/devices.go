package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/syncerr"
)

// KindDevice are participants that read by sessions. Their Scope is what search.Scope writes.
const KindDevice = "device"

// Device is one device id under which a registration came, and how far its queue is. Times are milliseconds since 1970 UTC.
type Device struct {
	Num          int64
	Registration string // of the participant
	UUID         string // as the device names itself
	Secret       string // what its acknowledgement keys are made with
	Scope        string // that the queue was filled by
	Epoch        string // of the log that the sequences are of
	Round        uint64 // acknowledgement keys of an earlier one count for nothing
	Seq          uint64 // up to there in the log the queue is up to date
	Target       uint64 // Seq after the walk over everything that is under way
	Resume       string // where that walk is; empty where there is none
	Place        uint64 // the last that was given in the queue
	Created      int64
	LastSeen     int64
}

const deviceColumns = "num, registration, uuid, secret, scope, epoch, round, seq, target, resume, place, created, last_seen"

func scanDevice(rows *sql.Rows) (Device, error) {
	var d Device
	var created, seen string
	err := rows.Scan(&d.Num, &d.Registration, &d.UUID, &d.Secret, &d.Scope, &d.Epoch, &d.Round, &d.Seq, &d.Target, &d.Resume, &d.Place, &created, &seen)
	d.Created, d.LastSeen = parseTime(created), parseTime(seen)
	return d, err
}

// Devices returns the devices of a registration, the one that came last first.
func (q *query) Devices(registration string) ([]Device, error) {
	var out []Device
	err := q.each("SELECT "+deviceColumns+" FROM device WHERE registration = ? ORDER BY last_seen DESC, num DESC", []any{registration}, func(rows *sql.Rows) error {
		d, err := scanDevice(rows)
		out = append(out, d)
		return err
	})
	return out, err
}

// Device returns a device of a registration by the id under which it comes; false where it never came.
func (q *query) Device(registration, uuid string) (out Device, found bool, err error) {
	err = q.each("SELECT "+deviceColumns+" FROM device WHERE registration = ? AND uuid = ?", []any{registration, uuid}, func(rows *sql.Rows) error {
		found = true
		var err error
		out, err = scanDevice(rows)
		return err
	})
	return out, found, err
}

// AddDevice stores a device that came for the first time and gives it its number.
func (tx *Tx) AddDevice(d Device) (Device, error) {
	if _, err := tx.one("SELECT COALESCE(MAX(num), 0) FROM device", nil, &d.Num); err != nil {
		return d, err
	}
	d.Num++
	d.Created, d.LastSeen = tx.Now(), tx.Now()
	return d, tx.SaveDevice(d)
}

// SaveDevice stores what became of a device.
func (tx *Tx) SaveDevice(d Device) error {
	return tx.exec("REPLACE INTO device ("+deviceColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		d.Num, d.Registration, d.UUID, d.Secret, d.Scope, d.Epoch, d.Round, d.Seq, d.Target, d.Resume, d.Place, timeText(d.Created), timeText(d.LastSeen))
}

// ForgetDevice deletes a device with all that was known of it.
func (tx *Tx) ForgetDevice(num int64) error {
	for _, q := range []string{"DELETE FROM device_session WHERE device = ?", "DELETE FROM device_ack WHERE device = ?", "DELETE FROM device WHERE num = ?"} {
		if err := tx.exec(q, num); err != nil {
			return err
		}
	}
	return nil
}

// Unacknowledge takes all acknowledgements of a device back.
func (tx *Tx) Unacknowledge(device int64) error {
	return tx.exec("UPDATE device_ack SET acked = 0 WHERE device = ?", device)
}

// DeviceSession is one session. Started is in milliseconds since 1970 UTC.
type DeviceSession struct {
	ID      string
	Device  int64
	Head    uint64 // of the log when it began
	Place   uint64 // up to where the queue was read
	Given   int64  // items that went out
	Total   int64  // items, as far as they were counted
	Started int64
}

const sessionColumns = "id, device, head, place, given, total, started"

func (q *query) sessions(where string, arg any) ([]DeviceSession, error) {
	var out []DeviceSession
	err := q.each("SELECT "+sessionColumns+" FROM device_session WHERE "+where, []any{arg}, func(rows *sql.Rows) error {
		var s DeviceSession
		var started string
		err := rows.Scan(&s.ID, &s.Device, &s.Head, &s.Place, &s.Given, &s.Total, &started)
		s.Started = parseTime(started)
		out = append(out, s)
		return err
	})
	return out, err
}

// DeviceSessions returns the sessions of a device, the newest first.
func (q *query) DeviceSessions(device int64) ([]DeviceSession, error) {
	return q.sessions("device = ? ORDER BY started DESC, id DESC", device)
}

// DeviceSession returns a session; false where there is none of that id.
func (q *query) DeviceSession(id string) (DeviceSession, bool, error) {
	found, err := q.sessions("id = ?", id)
	if err != nil || len(found) == 0 {
		return DeviceSession{}, false, err
	}
	return found[0], true, nil
}

// SaveDeviceSession stores a session.
func (tx *Tx) SaveDeviceSession(s DeviceSession) error {
	return tx.exec("REPLACE INTO device_session ("+sessionColumns+") VALUES (?, ?, ?, ?, ?, ?, ?)", s.ID, s.Device, s.Head, s.Place, s.Given, s.Total, timeText(s.Started))
}

// EndDeviceSession deletes a session.
func (tx *Tx) EndDeviceSession(id string) error {
	return tx.exec("DELETE FROM device_session WHERE id = ?", id)
}

// DeviceItem is what a device has of a resource, or is to be told of it.
type DeviceItem struct {
	Key   fhir.Key
	Acked uint64 // the sequence of the copy that it acknowledged, 0 for none
	Place uint64 // in its queue; 0 where nothing waits
	Size  int    // of the resource's content in bytes; only from Queue
}

func scanItem(rows *sql.Rows, more ...any) (DeviceItem, error) {
	var i DeviceItem
	var place sql.NullInt64
	err := rows.Scan(append([]any{&i.Key.Type, &i.Key.ID, &i.Acked, &place}, more...)...)
	i.Place = uint64(place.Int64)
	return i, err
}

const (
	queueQuery = "SELECT d.type, d.id, d.acked, d.place, l.size FROM device_ack d LEFT JOIN resource r ON r.type = d.type AND r.id = d.id " +
		"LEFT JOIN change_log l ON l.seq = r.content_seq WHERE d.device = ? AND d.place > ? ORDER BY d.place LIMIT ?"
	itemsQuery  = "SELECT type, id, acked, place FROM device_ack WHERE device = ? AND (type = ? AND id > ? OR type > ?) ORDER BY type, id LIMIT ?"
	waitsQuery  = "SELECT COUNT(*) FROM device_ack WHERE device = ? AND place > 0"
	recentQuery = "SELECT l.type, l.id FROM change_log l JOIN resource r ON r.type = l.type AND r.id = l.id AND r.seq = l.seq WHERE l.seq > ? AND l.seq <= ? ORDER BY l.seq"
	listQuery   = "SELECT id FROM resource WHERE type = ? AND id > ? AND deleted = 0 ORDER BY id LIMIT ?"
)

// Queue returns what waits for a device behind a place, in order.
func (q *query) Queue(device int64, after uint64, limit int) ([]DeviceItem, error) {
	var out []DeviceItem
	err := q.each(queueQuery, []any{device, after, limit}, func(rows *sql.Rows) error {
		var size sql.NullInt64
		i, err := scanItem(rows, &size)
		i.Size = int(size.Int64)
		out = append(out, i)
		return err
	})
	return out, err
}

// Waiting counts what waits for a device.
func (q *query) Waiting(device int64) (n int64, err error) {
	_, err = q.one(waitsQuery, []any{device}, &n)
	return n, err
}

// Items returns what is known of a device behind a key, by type and id.
func (q *query) Items(device int64, after fhir.Key, limit int) ([]DeviceItem, error) {
	var out []DeviceItem
	err := q.each(itemsQuery, []any{device, after.Type, after.ID, after.Type, limit}, func(rows *sql.Rows) error {
		i, err := scanItem(rows)
		out = append(out, i)
		return err
	})
	return out, err
}

// ItemsOf returns what is known of a device for some keys.
func (q *query) ItemsOf(device int64, keys []fhir.Key) (map[fhir.Key]DeviceItem, error) {
	const chunk = 50
	out := make(map[fhir.Key]DeviceItem, len(keys))
	for len(keys) > 0 {
		n := min(len(keys), chunk)
		b := &sqlText{}
		b.add("SELECT type, id, acked, place FROM device_ack WHERE ")
		b.anyOf(n, func(i int) { b.add("device = ? AND type = ? AND id = ?", device, keys[i].Type, keys[i].ID) })
		err := q.each(b.String(), b.args, func(rows *sql.Rows) error {
			i, err := scanItem(rows)
			out[i.Key] = i
			return err
		})
		if err != nil {
			return nil, err
		}
		keys = keys[n:]
	}
	return out, nil
}

// PutItems stores what is known of a device.
func (tx *Tx) PutItems(device int64, items []DeviceItem) error {
	rows := make([][]any, len(items))
	for n, i := range items {
		rows[n] = []any{device, i.Key.Type, i.Key.ID, i.Acked, sql.NullInt64{Int64: int64(i.Place), Valid: i.Place > 0}}
	}
	return tx.insert("REPLACE INTO device_ack (device, type, id, acked, place)", 5, rows)
}

// DropItem forgets what is known of a device for a key.
func (tx *Tx) DropItem(device int64, k fhir.Key) error {
	return tx.exec("DELETE FROM device_ack WHERE device = ? AND type = ? AND id = ?", device, k.Type, k.ID)
}

// Recent returns the keys whose newest row stands above a sequence and not above another.
func (q *query) Recent(after, upTo uint64) ([]fhir.Key, error) {
	var out []fhir.Key
	err := q.each(recentQuery, []any{after, upTo}, func(rows *sql.Rows) error {
		var k fhir.Key
		err := rows.Scan(&k.Type, &k.ID)
		out = append(out, k)
		return err
	})
	return out, err
}

// NextType returns the first resource type behind one that this node has, empty where there is none.
func (q *query) NextType(after string) (string, error) {
	var t sql.NullString
	_, err := q.one("SELECT MIN(type) FROM resource WHERE type > ?", []any{after}, &t)
	return t.String, err
}

// LiveIDs returns ids of live resources of a type behind one, in order.
func (q *query) LiveIDs(resourceType, after string, limit int) ([]string, error) {
	var out []string
	err := q.each(listQuery, []any{resourceType, after, limit}, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		out = append(out, id)
		return err
	})
	return out, err
}

// FindPage returns the keys that a query finds from the place on where its page begins, at most limit; next is the value of _page for what
// follows, empty at the end. The errors are those of Find.
func (q *query) FindPage(sq search.Query, limit int) (keys []fhir.Key, next string, err error) {
	limited, cancel := context.WithTimeout(q.ctx, q.limits.time)
	defer cancel()
	in := *q
	in.ctx = limited
	hits, err := in.searcher(sq).hits(sq.Page, limit)
	for _, h := range hits {
		keys = append(keys, fhir.Key{Type: sq.Type, ID: h.id})
	}
	if len(hits) == limit {
		next = sq.Next(hits[limit-1].page())
	}
	return keys, next, q.limits.inTime(q.ctx, limited, err, "Narrow the criteria, as by organization, identifier or code")
}

// Among returns which of the ids a query finds. They are at most search.MaxCount.
func (q *query) Among(sq search.Query, ids []string) ([]fhir.Key, error) {
	sq.Terms = append(append([]search.Term(nil), sq.Terms...), search.Term{Name: search.ID, Kind: search.TermID, IDs: ids})
	return q.Find(sq, len(ids))
}

// SameVersion reports whether a row of the log bears the version of another; false where either is not there any more.
func (q *query) SameVersion(seq, other uint64) (bool, error) {
	var n int
	return q.one("SELECT 1 FROM change_log a JOIN change_log b ON b.seq = ? AND b.replica = a.replica AND b.tick = a.tick WHERE a.seq = ?", []any{other, seq}, &n)
}

// Fetch returns the current copies of keys with their contents, and what is wrong with those whose content cannot be read.
func (r *Reader) Fetch(keys []fhir.Key) (copies map[fhir.Key]Copy, broken map[fhir.Key]error, err error) {
	const chunk = 50
	copies, broken = make(map[fhir.Key]Copy, len(keys)), map[fhir.Key]error{}
	read := func(keys []fhir.Key) error {
		b := &sqlText{}
		b.add("WHERE ")
		b.anyOf(len(keys), func(i int) { b.add("r.type = ? AND r.id = ?", keys[i].Type, keys[i].ID) })
		return r.copyRows("resource r JOIN change_log l ON l.seq = r.seq", b.String(), b.args, func(c Copy) error {
			if copies[c.Key] = c; !c.Stamp.Deleted && c.Body == nil {
				return syncerr.New(syncerr.Internal, "read resource", "%s has no content in the log", c.Key)
			}
			return nil
		})
	}
	for len(keys) > 0 {
		n := min(len(keys), chunk)
		err := read(keys[:n])
		var damaged *syncerr.Error
		if err != nil && !errors.As(err, &damaged) {
			return nil, nil, err
		}
		for i := 0; err != nil && i < n; i++ { // one of them is damaged: which?
			one := read(keys[i : i+1])
			if one != nil && !errors.As(one, &damaged) {
				return nil, nil, one
			}
			if one != nil {
				broken[keys[i]] = one
				delete(copies, keys[i])
			}
		}
		keys = keys[n:]
	}
	return copies, broken, nil
}

// AddRegistration stores a participant that reads by sessions. It returns a Conflict error where one of that name exists.
func (tx *Tx) AddRegistration(p Participant) error {
	var n int64
	g := tx.gorm()
	if err := g.Model(&participantRow{}).Where("kind = ? AND name = ?", KindDevice, p.Name).Count(&n).Error; err != nil {
		return err
	}
	if n > 0 {
		return syncerr.New(syncerr.Conflict, "add device", "there is a device %q already", p.Name).
			WithHint("`tributary device set %s` changes what it may see; choose another name for another device", p.Name)
	}
	p.Kind, p.Created = KindDevice, tx.Now()
	r := rowOf(p)
	return g.Create(&r).Error
}

// registration returns the id of a participant that reads by sessions, or a NotFound error.
func (tx *Tx) registration(op, name string) (id string, err error) {
	ok, err := tx.one("SELECT id FROM participant WHERE kind = ? AND name = ?", []any{KindDevice, name}, &id)
	if err == nil && !ok {
		err = syncerr.New(syncerr.NotFound, op, "there is no device %q", name).WithHint("`tributary device list` shows them")
	}
	return id, err
}

// SetScope changes what a participant that reads by sessions may see. It returns a NotFound error where there is none of that name.
func (tx *Tx) SetScope(name, scope string) error {
	id, err := tx.registration("set device", name)
	if err != nil {
		return err
	}
	return tx.exec("UPDATE participant SET scope = ? WHERE id = ?", scope, id)
}

// RemoveRegistration deletes a participant that reads by sessions, and all that was known of its devices: its credential stops working.
// It returns a NotFound error where there is none of that name.
func (tx *Tx) RemoveRegistration(name string) error {
	id, err := tx.registration("remove device", name)
	if err != nil {
		return err
	}
	devices, err := tx.Devices(id)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if err := tx.ForgetDevice(d.Num); err != nil {
			return err
		}
	}
	return tx.exec("DELETE FROM participant WHERE id = ?", id)
}

// ScopeOf returns what a participant that reads by sessions may see, and its name; false where it was removed.
func (q *query) ScopeOf(registration string) (name, scope string, ok bool, err error) {
	ok, err = q.one("SELECT name, scope FROM participant WHERE kind = ? AND id = ?", []any{KindDevice, registration}, &name, &scope)
	return name, scope, ok, err
}
