package store

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"io"
	"strings"

	"gorm.io/gorm"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// transaction is what the writers of one group share: the connection, the counters, the copies they have looked at, and the rows that wait to be
// written together.
type transaction struct {
	query // reads beside the rows that wait: only for what these cannot touch
	store *Store
	g     *gorm.DB

	shared  bool // several writers are in it
	saved   bool // the present writer has a savepoint
	broken  error
	pending pending

	kept         *keptCounters // of an earlier transaction, nil where another process wrote since
	counters     map[string]uint64
	ticks        map[minting]uint64
	current      map[fhir.Key]*Current
	identity     *Identity      // taken on in this transaction, nil for the store's
	classes      map[int64]bool // of audit rows, which it wrote
	wrote        bool
	anyHeld      bool // false where the tables were empty when the transaction began: most need no look at them
	anyParked    bool
	anyOpen      bool // conflicts that wait for a person
	anyExcepted  bool
	anyForgotten bool
}

// Tx is one writer's part of a write transaction. It is used by one goroutine. What it changes in memory is its own until it has succeeded.
type Tx struct {
	query
	t *transaction
	pending
	counters map[string]uint64
	ticks    map[minting]uint64
	made     map[minting]made // the first tick of each that this writer gave
	current  map[fhir.Key]*Current
	identity *Identity

	revision uint64 // of what this writer changes in the knowledge, 0 before the first change
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
	var sequence, revision, audits uint64
	at := "COALESCE((SELECT value FROM counter WHERE name = '%s'), 0), "
	q := "SELECT " + strings.ReplaceAll(at, "%s", counterSequence) + strings.ReplaceAll(at, "%s", counterRevision) + strings.ReplaceAll(at, "%s", counterAudit)
	for i, table := range []string{"sync_held", "sync_conflict WHERE status = 'open'", "sync_parked", "knowledge_exception", "knowledge_forgotten"} {
		if i > 0 {
			q += ", "
		}
		q += "EXISTS (SELECT 1 FROM " + table + ")"
	}
	if err := t.pool.QueryRowContext(t.ctx, q).Scan(&sequence, &revision, &audits, &t.anyHeld, &t.anyOpen, &t.anyParked, &t.anyExcepted, &t.anyForgotten); err != nil {
		return err
	}
	t.counters[counterSequence], t.counters[counterRevision], t.counters[counterAudit] = sequence, revision, audits
	t.kept = t.store.kept.at(sequence, revision)
	return nil
}

// forget drops what is cached, so that it is read again: after a writer was undone nothing cached can be trusted.
func (t *transaction) forget() {
	t.counters, t.ticks = map[string]uint64{}, map[minting]uint64{}
	t.current = map[fhir.Key]*Current{}
	t.kept = nil
}

// counter returns a counter as this writer leaves it.
func (tx *Tx) counter(name string) (uint64, error) {
	if v, ok := tx.counters[name]; ok {
		return v, nil
	}
	return tx.t.counter(name)
}

func (t *transaction) counter(name string) (uint64, error) {
	if v, ok := t.counters[name]; ok {
		return v, nil
	}
	v, ok := t.kept.counter(name)
	if !ok {
		err := t.pool.QueryRowContext(t.ctx, "SELECT value FROM counter WHERE name = ?", name).Scan(&v)
		if err != nil && !noRows(err) {
			return 0, err
		}
	}
	t.counters[name] = v
	return v, nil
}

func (tx *Tx) raise(name string, to uint64) { put(&tx.counters, name, to) }

// put sets an entry of a map that is made when it is first needed.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}

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
	switch {
	case tx.identity != nil:
		return *tx.identity
	case tx.t.identity != nil:
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
	v, ok := tx.ticks[m]
	if !ok {
		v, ok = t.ticks[m]
	}
	if !ok {
		v, ok = t.kept.tick(m)
	}
	if !ok {
		err := t.pool.QueryRowContext(t.ctx, "SELECT value FROM tick WHERE replica = ? AND type = ?", string(replica), resourceType).Scan(&v)
		if err != nil && !noRows(err) {
			return version.Version{}, err
		}
	}
	v++
	put(&tx.ticks, m, v)
	if _, ok := tx.made[m]; !ok {
		put(&tx.made, m, made{v, tx.Now()})
	}
	return version.Version{Replica: replica, Tick: v}, nil
}

// made is when a tick was given, in milliseconds since 1970 UTC.
type made struct {
	tick uint64
	at   int64
}

// minting names a counter of ticks.
type minting struct {
	resourceType string
	replica      version.Replica
}

func (m minting) compare(o minting) int {
	return cmp.Or(cmp.Compare(m.resourceType, o.resourceType), cmp.Compare(m.replica, o.replica))
}

// Load reads the current copies of keys into the transaction; Current answers from there. Rows that wait to be written are of copies that are there
// already.
func (tx *Tx) Load(keys []fhir.Key) error {
	missing := make([]fhir.Key, 0, len(keys))
	for _, k := range keys {
		if tx.current[k] == nil {
			missing = append(missing, k)
		}
	}
	return tx.t.load(missing)
}

// load reads the current copies of those keys that were not read yet.
func (t *transaction) load(keys []fhir.Key) error {
	missing := make([]fhir.Key, 0, len(keys))
	for _, k := range keys {
		if _, ok := t.current[k]; !ok {
			t.current[k] = nil
			missing = append(missing, k)
		}
	}
	return t.currents(missing, func(k fhir.Key, c Current) { t.current[k] = &c })
}

// Current returns the copy of a key that stands now, also within this transaction; false where there never was one.
func (tx *Tx) Current(k fhir.Key) (Current, bool, error) {
	if c := tx.current[k]; c != nil {
		return *c, true, nil
	}
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

// reload lets the copy of a key, which a statement of this writer changed, be read again.
func (tx *Tx) reload(k fhir.Key) {
	delete(tx.current, k)
	delete(tx.t.current, k)
}

// Put appends a change to the log and makes it the current copy of its key. It returns its sequence.
func (tx *Tx) Put(c Change) (uint64, error) {
	before, existed, err := tx.Current(c.Key)
	if err != nil {
		return 0, err
	}
	seq, err := tx.counter(counterSequence)
	if err != nil {
		return 0, err
	}
	ordinal, err := tx.counter(counterOrdinal + c.Key.Type)
	if err != nil {
		return 0, err
	}
	last, err := tx.counter(counterCommitted)
	if err != nil {
		return 0, err
	}
	seq, ordinal = seq+1, ordinal+1
	committed := max(tx.Now(), int64(last))
	tx.raise(counterSequence, seq)
	tx.raise(counterOrdinal+c.Key.Type, ordinal)
	tx.raise(counterCommitted, uint64(committed))

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
	put(&tx.current, c.Key, &Current{Stamp: s, Seq: seq, ContentSeq: contentSeq, Committed: committed, Delivered: c.Delivered, Created: created, Num: num})
	w := tx.touched[c.Key]
	if w == nil {
		w = &touch{existed: existed, seen: others(before.Stamp)}
		put(&tx.touched, c.Key, w)
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
	c.Delivered = epoch
	put(&tx.current, k, &c)
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
