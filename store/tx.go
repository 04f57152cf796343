package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/version"
)

// transaction is what the writers of one group share: the connection, the counters, and the copies they have looked at.
type transaction struct {
	store *Store
	ctx   context.Context
	g     *gorm.DB
	pool  gorm.ConnPool

	counters      map[string]uint64
	ticks         map[minting]uint64
	dirtyCounters map[string]bool
	dirtyTicks    map[minting]bool
	current       map[fhir.Key]*Current
	identity      *Identity // taken on in this transaction, nil for the store's
	wrote         bool
	anyHeld       bool // false where the tables were empty when the transaction began: most need no look at them
	anyParked     bool
	anyOpen       bool // conflicts that wait for a person
	anyExcepted   bool
	anyForgotten  bool
}

// Tx is one writer's part of a write transaction. It is used by one goroutine.
type Tx struct {
	query
	t       *transaction
	log     [][]any
	audits  [][]any
	touched map[fhir.Key]*touch
	order   []fhir.Key

	revision uint64 // of what this writer changes in the knowledge, 0 before the first change
}

// touch is what one writer did to a key: the resource row is written once, at the end.
type touch struct {
	existed bool
	reindex bool
	values  []search.Value
	seen    version.Vector // what the vector that stood before contained of other replicas than its version's
}

// Current is a copy as the resource table holds it.
type Current struct {
	Stamp      version.Stamp
	Seq        uint64
	ContentSeq uint64
	Committed  int64           // milliseconds since 1970 UTC
	Delivered  string          // epoch in which the parent has this very version and all that it has seen; empty otherwise
	Created    version.Version // by which the key came to be here, or came back after a deletion
	Num        uint64          // the key's number in this database, under which its search values stand
}

// Change is one row to be written to the log.
type Change struct {
	Key      fhir.Key
	Action   feed.Action
	Stamp    version.Stamp
	Content  *Packed // nil keeps the content of the copy that is there: only the stamp changed
	Unit     string
	UnitSize int
	Source   string // participant that delivered it, empty for this node
	// Delivered is the epoch in which the parent has this very version and all that it has seen; a push to it skips the key.
	Delivered string
}

func (t *transaction) point(name string) error {
	if t.store.opts.Hook == nil {
		return nil
	}
	return t.store.opts.Hook(name)
}

func (t *transaction) exec(q string, args ...any) error {
	if err := t.point(q); err != nil {
		return err
	}
	_, err := t.pool.ExecContext(t.ctx, q, args...)
	return err
}

func (t *transaction) start() error {
	t.pool = t.g.Statement.ConnPool
	if q := t.store.dialect.lock; q != "" {
		var n uint64
		if err := t.pool.QueryRowContext(t.ctx, q).Scan(&n); err != nil && !noRows(err) {
			return err
		}
	}
	t.forget()
	var err error
	if t.anyHeld, err = t.exists("sync_held"); err != nil {
		return err
	}
	if t.anyOpen, err = t.exists("sync_conflict WHERE status = 'open'"); err != nil {
		return err
	}
	if t.anyParked, err = t.exists("sync_parked"); err != nil {
		return err
	}
	if t.anyExcepted, err = t.exists("knowledge_exception"); err != nil {
		return err
	}
	t.anyForgotten, err = t.exists("knowledge_forgotten")
	return err
}

func (t *transaction) exists(table string) (bool, error) {
	var n int
	err := t.pool.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM "+table+")").Scan(&n)
	return n != 0, err
}

// forget drops what is cached, so that it is read again: after a writer was undone nothing cached can be trusted.
func (t *transaction) forget() {
	t.counters, t.ticks = map[string]uint64{}, map[minting]uint64{}
	t.dirtyCounters, t.dirtyTicks = map[string]bool{}, map[minting]bool{}
	t.current = map[fhir.Key]*Current{}
	t.identity = nil
}

func (t *transaction) counter(name string) (uint64, error) {
	if v, ok := t.counters[name]; ok {
		return v, nil
	}
	var v uint64
	err := t.pool.QueryRowContext(t.ctx, "SELECT value FROM counter WHERE name = ?", name).Scan(&v)
	if err != nil && !noRows(err) {
		return 0, err
	}
	t.counters[name] = v
	return v, nil
}

func (t *transaction) raise(name string, to uint64) {
	t.counters[name] = to
	t.dirtyCounters[name] = true
}

func (t *transaction) finish() error { return nil }

// exec runs one statement of this writer.
func (tx *Tx) exec(q string, args ...any) error { return tx.t.exec(q, args...) }

// NewUUID returns a random version 4 UUID (RFC 9562 section 5.4) from the injected randomness.
func (tx *Tx) NewUUID() string { return tx.t.store.NewUUID() }

// NewUUID returns a random version 4 UUID from the injected randomness.
func (s *Store) NewUUID() string {
	var b [16]byte
	s.mu.Lock()
	_, err := io.ReadFull(s.opts.Rand, b[:])
	s.mu.Unlock()
	if err != nil {
		panic("bug: the source of randomness failed: " + err.Error())
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return formatUUID(b)
}

// rowUUID returns a version 7 UUID (RFC 9562 section 5.7): rows made together stand together in an index.
func (tx *Tx) rowUUID() string {
	var b [16]byte
	s := tx.t.store
	s.mu.Lock()
	_, err := io.ReadFull(s.opts.Rand, b[6:])
	s.mu.Unlock()
	if err != nil {
		panic("bug: the source of randomness failed: " + err.Error())
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(tx.Now()))
	copy(b[:6], ms[2:])
	b[6], b[8] = b[6]&0x0f|0x70, b[8]&0x3f|0x80
	return formatUUID(b)
}

func formatUUID(b [16]byte) string {
	var d [36]byte
	hex.Encode(d[0:8], b[0:4])
	hex.Encode(d[9:13], b[4:6])
	hex.Encode(d[14:18], b[6:8])
	hex.Encode(d[19:23], b[8:10])
	hex.Encode(d[24:36], b[10:16])
	d[8], d[13], d[18], d[23] = '-', '-', '-', '-'
	return string(d[:])
}

// Now returns the injected clock's time in milliseconds since 1970 UTC.
func (tx *Tx) Now() int64 { return tx.t.store.opts.Clock().UnixMilli() }

// Identity returns whose data this is, as this transaction leaves it.
func (tx *Tx) Identity() Identity {
	if tx.t.identity != nil {
		return *tx.t.identity
	}
	return tx.t.store.Identity()
}

// NextTick mints the next version of a resource type for this node's replica. Ticks of a (replica, type) are contiguous from
// 1: one that is minted in a transaction which fails was never given.
func (tx *Tx) NextTick(resourceType string) (version.Version, error) {
	return tx.NextTickOf(tx.Identity().Replica, resourceType)
}

// NextTickOf does the same for a replica for which this node alone speaks, because it knows nothing of ticks (a server without stamps).
func (tx *Tx) NextTickOf(replica version.Replica, resourceType string) (version.Version, error) {
	t, m := tx.t, minting{resourceType, replica}
	v, ok := t.ticks[m]
	if !ok {
		err := t.pool.QueryRowContext(t.ctx, "SELECT value FROM tick WHERE replica = ? AND type = ?", string(replica), resourceType).Scan(&v)
		if err != nil && !noRows(err) {
			return version.Version{}, err
		}
	}
	v++
	t.ticks[m] = v
	t.dirtyTicks[m] = true
	return version.Version{Replica: replica, Tick: v}, nil
}

// minting names a counter of ticks.
type minting struct {
	resourceType string
	replica      version.Replica
}

func (m minting) compare(o minting) int {
	return cmp.Or(cmp.Compare(m.resourceType, o.resourceType), cmp.Compare(m.replica, o.replica))
}

// Load reads the current copies of keys into the transaction; Current answers from there.
func (tx *Tx) Load(keys []fhir.Key) error {
	missing := make([]fhir.Key, 0, len(keys))
	for _, k := range keys {
		if _, ok := tx.t.current[k]; !ok {
			tx.t.current[k] = nil
			missing = append(missing, k)
		}
	}
	return tx.currents(missing, func(k fhir.Key, c Current) { tx.t.current[k] = &c })
}

// Current returns the copy of a key that stands now, also within this transaction; false where there never was one.
func (tx *Tx) Current(k fhir.Key) (Current, bool, error) {
	if _, ok := tx.t.current[k]; !ok {
		if err := tx.Load([]fhir.Key{k}); err != nil {
			return Current{}, false, err
		}
	}
	c := tx.t.current[k]
	if c == nil {
		return Current{}, false, nil
	}
	return *c, true, nil
}

// Put appends a change to the log and makes it the current copy of its key. It returns its sequence.
func (tx *Tx) Put(c Change) (uint64, error) {
	before, existed, err := tx.Current(c.Key)
	if err != nil {
		return 0, err
	}
	t := tx.t
	seq, err := t.counter("sequence")
	if err != nil {
		return 0, err
	}
	ordinal, err := t.counter("ordinal/" + c.Key.Type)
	if err != nil {
		return 0, err
	}
	last, err := t.counter("committed")
	if err != nil {
		return 0, err
	}
	seq, ordinal = seq+1, ordinal+1
	committed := max(tx.Now(), int64(last))
	t.raise("sequence", seq)
	t.raise("ordinal/"+c.Key.Type, ordinal)
	t.raise("committed", uint64(committed))

	contentSeq, size, enc, blob := before.ContentSeq, 0, 0, []byte(nil)
	if c.Content != nil {
		contentSeq, size, enc, blob = seq, c.Content.Size, c.Content.enc, c.Content.blob
	}
	s := c.Stamp
	if s.Deleted {
		contentSeq = 0
	}
	tx.log = append(tx.log, []any{
		seq, c.Key.Type, c.Key.ID, ordinal, string(c.Action), string(s.Version.Replica), s.Version.Tick,
		s.Vector.String(), string(s.Author), s.Authored, s.Origin.String(), boolInt(s.Deleted), hashBytes(s), committed, c.Unit,
		c.UnitSize, c.Source, contentSeq, size, enc, blob,
	})
	created, num := before.Created, before.Num
	if !existed || before.Stamp.Deleted && !s.Deleted {
		created = s.Version
	}
	if !existed {
		num = seq
	}
	t.current[c.Key] = &Current{Stamp: s, Seq: seq, ContentSeq: contentSeq, Committed: committed, Delivered: c.Delivered, Created: created, Num: num}
	if tx.touched == nil {
		tx.touched = map[fhir.Key]*touch{}
	}
	w := tx.touched[c.Key]
	if w == nil {
		w = &touch{existed: existed, seen: others(before.Stamp)}
		tx.touched[c.Key] = w
		tx.order = append(tx.order, c.Key)
	}
	if c.Content != nil || s.Deleted {
		w.reindex, w.values = true, nil
		if c.Content != nil {
			w.values = c.Content.Values
		}
	}
	return seq, nil
}

// SealUnit counts the rows that were put for a unit and writes their number into each: a reader knows from it when it has all.
// Members that led to no row here (they were seen already) are not counted; a single row is no unit.
func (tx *Tx) SealUnit(unit string) {
	const unitAt, sizeAt = 14, 15 // places in logColumns
	n := 0
	for _, row := range tx.log {
		if row[unitAt] == unit {
			n++
		}
	}
	for _, row := range tx.log {
		if row[unitAt] != unit {
			continue
		}
		if row[sizeAt] = n; n == 1 {
			row[unitAt], row[sizeAt] = "", 0
		}
	}
}

// MarkDelivered notes that the parent in that epoch has the current version of a key, so that a push to it skips the key.
func (tx *Tx) MarkDelivered(k fhir.Key, epoch string) error {
	c, ok, err := tx.Current(k)
	if err != nil || !ok || c.Delivered == epoch {
		return err
	}
	tx.t.current[k].Delivered = epoch
	if tx.touched[k] != nil {
		return nil
	}
	return tx.exec("UPDATE resource SET delivered = ? WHERE type = ? AND id = ?", epoch, k.Type, k.ID)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func hashBytes(s version.Stamp) []byte {
	if s.Deleted {
		return []byte{}
	}
	return s.Hash[:]
}

const logColumns = "seq, type, id, ordinal, action, replica, tick, vector, author, authored, origin, deleted, hash, committed, unit, unit_size, source, content_seq, size, enc, content"

const resourceColumns = "type, id, replica, tick, vector, author, authored, origin, deleted, hash, committed, seq, content_seq, delivered, created, num"

// flush writes what the writer left in memory: log, resources, index, audit, counters.
func (tx *Tx) flush() error {
	if err := tx.insert("INSERT INTO change_log ("+logColumns+") VALUES ", 21, tx.log); err != nil {
		return err
	}
	rows := make([][]any, 0, len(tx.order))
	var index, seen [][]any
	for _, k := range tx.order {
		w, c := tx.touched[k], tx.t.current[k]
		s := c.Stamp
		rows = append(rows, []any{
			k.Type, k.ID, string(s.Version.Replica), s.Version.Tick, s.Vector.String(), string(s.Author),
			s.Authored, s.Origin.String(), boolInt(s.Deleted), hashBytes(s), c.Committed, c.Seq, c.ContentSeq, c.Delivered, c.Created.String(), c.Num,
		})
		var err error
		if seen, err = tx.reseen(k, w.seen, others(s), seen); err != nil {
			return err
		}
		if !w.reindex {
			continue
		}
		if index, err = tx.reindexed(c.Num, w.existed, w.values, index); err != nil {
			return err
		}
	}
	if err := tx.insert("REPLACE INTO resource ("+resourceColumns+") VALUES ", 16, rows); err != nil {
		return err
	}
	if err := tx.insert(tx.t.store.dialect.ignore+" INTO resource_index (num, param, value, space) VALUES ", 4, index); err != nil {
		return err
	}
	if err := tx.insert(tx.t.store.dialect.ignore+" INTO resource_seen (type, replica, tick, id) VALUES ", 4, seen); err != nil {
		return err
	}
	if err := tx.insert("INSERT INTO sync_audit_message ("+auditColumns+") VALUES ", 23, tx.audits); err != nil {
		return err
	}
	return tx.flushCounters()
}

func (tx *Tx) flushCounters() error {
	t := tx.t
	var counters, ticks, known [][]any
	for _, m := range slices.SortedFunc(maps.Keys(t.dirtyTicks), minting.compare) {
		revision, err := tx.revised(true)
		if err != nil {
			return err
		}
		ticks = append(ticks, []any{string(m.replica), m.resourceType, t.ticks[m]})
		known = append(known, []any{m.resourceType, string(m.replica), t.ticks[m], revision, revision}) // whoever makes a change knows it
	}
	for _, name := range sortedKeys(t.dirtyCounters) {
		counters = append(counters, []any{name, t.counters[name]})
	}
	if len(tx.log) > 0 {
		t.wrote = true
	}
	clear(t.dirtyCounters)
	clear(t.dirtyTicks)
	if err := tx.insert("REPLACE INTO tick (replica, type, value) VALUES ", 3, ticks); err != nil {
		return err
	}
	if err := tx.insert("REPLACE INTO knowledge (type, replica, tick, revision, up) VALUES ", 5, known); err != nil {
		return err
	}
	return tx.insert("REPLACE INTO counter (name, value) VALUES ", 2, counters)
}

// others returns what a copy has seen of other replicas than that of its version.
func others(s version.Stamp) version.Vector {
	if len(s.Vector) <= 1 {
		return nil
	}
	out := make(version.Vector, 0, len(s.Vector)-1)
	for _, v := range s.Vector {
		if v.Replica != s.Version.Replica {
			out = append(out, v)
		}
	}
	return out
}

// reseen brings resource_seen of a key from what it was to what it is, and adds the rows to be written.
func (tx *Tx) reseen(k fhir.Key, was, is version.Vector, rows [][]any) ([][]any, error) {
	if is.Equal(was) {
		return rows, nil
	}
	for _, v := range was {
		if is.Tick(v.Replica) == v.Tick {
			continue
		}
		if err := tx.exec("DELETE FROM resource_seen WHERE type = ? AND replica = ? AND tick = ? AND id = ?", k.Type, string(v.Replica), v.Tick, k.ID); err != nil {
			return nil, err
		}
	}
	for _, v := range is {
		if was.Tick(v.Replica) != v.Tick {
			rows = append(rows, []any{k.Type, string(v.Replica), v.Tick, k.ID})
		}
	}
	return rows, nil
}

// insert runs a multi-row INSERT in chunks of two sizes, so that few statements have to be prepared.
func (tx *Tx) insert(head string, columns int, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	size := tx.t.store.dialect.rows
	one := "(?" + strings.Repeat(", ?", columns-1) + ")"
	many := head + one + strings.Repeat(", "+one, size-1)
	args := make([]any, 0, size*columns)
	for len(rows) > 0 {
		n, q := 1, head+one
		if len(rows) >= size {
			n, q = size, many
		}
		args = args[:0]
		for _, r := range rows[:n] {
			if len(r) != columns {
				panic("bug: a row has the wrong number of columns: " + head)
			}
			args = append(args, r...)
		}
		if err := tx.exec(q, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}
