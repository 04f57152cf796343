package store

import (
	"hash/fnv"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
)

// counterAudit is the id of the last audit row. It is read in every transaction: a row moves neither the sequence nor the revision.
const counterAudit = "audit"

// auditBlock is how many ids a row of audit_block is about.
const auditBlock = 256

// auditClass is what filters of the audit ask for and what there are few of: rows of a class are found by an index, newest first, and any filter is
// a choice of classes.
type auditClass struct {
	operation, outcome, resourceType, peer string
}

// classOf returns the class of a row. What a caller without a credential says of himself makes no classes: there is no end to it.
func classOf(r audit.Record) auditClass {
	c := auditClass{operation: string(r.Operation), outcome: string(r.Outcome), resourceType: clip(r.Key.Type, 40), peer: clip(r.Peer, 100)}
	if !fhir.IsKind(c.resourceType) {
		c.resourceType = ""
	}
	if r.Operation == audit.Refuse {
		c.peer = ""
	}
	return c
}

// id names the class in every database: 47 bits of a hash, above the numbers that the migration gave.
func (c auditClass) id() int64 {
	h := fnv.New64a()
	for _, s := range []string{c.operation, c.outcome, c.resourceType, c.peer} {
		_, _ = h.Write([]byte(s)) // it never fails
		_, _ = h.Write([]byte{0})
	}
	return int64(h.Sum64()>>17) | 1<<47
}

// The places in a row of auditColumns that are filled when it is written.
const (
	auditIDAt    = 0
	auditClassAt = 1
)

// pendingAudit is an audit row that waits to be written.
type pendingAudit struct {
	row   []any // auditColumns
	class auditClass
	time  int64 // milliseconds since 1970 UTC
}

// writeAudits gives the rows their ids, in the order in which they were made, and writes them with what they are found by.
func (t *transaction) writeAudits(p *pending) error {
	if len(p.audits) == 0 {
		return nil
	}
	last, err := t.counter(counterAudit)
	if err != nil {
		return err
	}
	rows := make([][]any, len(p.audits))
	var classes, blocks [][]any
	for i, a := range p.audits {
		last++
		id := a.class.id()
		a.row[auditIDAt], a.row[auditClassAt] = last, id
		rows[i] = a.row
		if !t.store.classes[id] && !t.classes[id] {
			put(&t.classes, id, true)
			classes = append(classes, []any{id, a.class.operation, a.class.outcome, a.class.resourceType, a.class.peer})
		}
		if n := len(blocks); n == 0 || blocks[n-1][0] != last/auditBlock {
			blocks = append(blocks, []any{last / auditBlock, a.time, a.time})
		} else {
			b := blocks[n-1]
			b[1], b[2] = min(b[1].(int64), a.time), max(b[2].(int64), a.time)
		}
	}
	t.counters[counterAudit] = last
	put(&p.raised, counterAudit, true)
	if err := t.insert("INSERT INTO sync_audit_message ("+auditColumns+")", "", 25, rows); err != nil {
		return err
	}
	if err := t.insert(t.store.dialect.ignore+" INTO audit_class (id, operation, outcome, resource_name, peer)", "", 5, classes); err != nil {
		return err
	}
	return t.insert("INSERT INTO audit_block (block, first_at, last_at)", t.store.dialect.widen, 3, blocks)
}

// keepClasses remembers, after the commit, which classes the database has.
func (t *transaction) keepClasses() {
	for id := range t.classes {
		put(&t.store.classes, id, true)
	}
}
