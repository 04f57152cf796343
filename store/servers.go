package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// ServerCopy is what a server that knows no stamps has of a resource, as this node last saw it: the content by its hash, the server's own
// tag of it, and what that copy has seen of the changes of nodes.
type ServerCopy struct {
	Tag     string
	Deleted bool
	Hash    version.Hash // zero where it is deleted
	Vector  version.Vector
}

// Same reports whether the server's copy is that of a stamp.
func (c ServerCopy) Same(s version.Stamp) bool {
	return c.Deleted == s.Deleted && (c.Deleted || c.Hash == s.Hash)
}

const serverCopyQuery = "SELECT tag, deleted, hash, vector FROM server_copy WHERE server = ? AND type = ? AND id = ?"

// ServerCopy returns what a server has of a key; false where nothing is known of it.
func (q *query) ServerCopy(server string, k fhir.Key) (ServerCopy, bool, error) {
	var c ServerCopy
	var deleted int
	var hash []byte
	var vector string
	ok, err := q.one(serverCopyQuery, []any{server, k.Type, k.ID}, &c.Tag, &deleted, &hash, &vector)
	if err != nil || !ok {
		return c, false, err
	}
	copy(c.Hash[:], hash)
	c.Deleted = deleted != 0
	c.Vector, err = version.ParseVector(vector)
	return c, true, err
}

// SetServerCopy stores what a server has of a key.
func (tx *Tx) SetServerCopy(server string, k fhir.Key, c ServerCopy) error {
	return tx.exec("REPLACE INTO server_copy (server, type, id, tag, deleted, hash, vector) VALUES (?, ?, ?, ?, ?, ?, ?)",
		server, k.Type, k.ID, clip(c.Tag, 255), boolInt(c.Deleted), c.Hash[:], c.Vector.String())
}

const serverKeysQuery = "SELECT type, id FROM server_copy WHERE server = ? AND type = ? AND id > ? AND deleted = 0 ORDER BY id LIMIT ?"

// ServerKeys returns what a server was last seen to have of a type, behind an id, by id.
func (q *query) ServerKeys(server, resourceType, after string, limit int) ([]fhir.Key, error) {
	var out []fhir.Key
	err := q.each(serverKeysQuery, []any{server, resourceType, after, limit}, func(rows *sql.Rows) error {
		var k fhir.Key
		err := rows.Scan(&k.Type, &k.ID)
		out = append(out, k)
		return err
	})
	return out, err
}

// VectorOf returns what the newest own row of a key with a content had seen; false where the key never had it here.
func (q *query) VectorOf(k fhir.Key, h version.Hash) (version.Vector, bool, error) {
	var text string
	err := q.each("SELECT vector FROM change_log WHERE type = ? AND id = ? AND hash = ? AND deleted = 0 ORDER BY seq DESC LIMIT 1",
		[]any{k.Type, k.ID, h[:]}, func(rows *sql.Rows) error { return rows.Scan(&text) })
	if err != nil || text == "" {
		return nil, false, err
	}
	v, err := version.ParseVector(text)
	return v, true, err
}

// HadContent reports whether a key once had a content here.
func (s *Store) HadContent(ctx context.Context, k fhir.Key, h version.Hash) (bool, error) {
	d := s.direct(ctx)
	_, ok, err := d.VectorOf(k, h)
	return ok, s.dialect.wrap("read history", err)
}

// ServerChanges gives the keys whose newest row stands above a sequence, by that, at most limit of them, and returns the sequence up to
// which the log was looked at.
func (s *Store) ServerChanges(ctx context.Context, after uint64, limit int, key func(fhir.Key) error) (upTo uint64, err error) {
	err = s.Read(ctx, func(r *Reader) error {
		head, err := r.Head()
		if err != nil {
			return err
		}
		n := 0
		upTo = after
		err = r.each("SELECT l.type, l.id, l.seq FROM change_log l JOIN resource r ON r.type = l.type AND r.id = l.id "+
			"WHERE l.seq > ? AND l.seq = r.seq ORDER BY l.seq LIMIT ?", []any{after, limit}, func(rows *sql.Rows) error {
			var k fhir.Key
			if err := rows.Scan(&k.Type, &k.ID, &upTo); err != nil {
				return err
			}
			n++
			return key(k)
		})
		if err == nil && n < limit {
			upTo = head
		}
		return err
	})
	return upTo, err
}

// ServerCount counts what a server was last seen to have.
func (q *query) ServerCount(server string) (n int, err error) {
	_, err = q.one("SELECT COUNT(*) FROM server_copy WHERE server = ? AND deleted = 0", []any{server}, &n)
	return n, err
}

// IsParked reports whether something of a key waits between this node and a server in a direction.
func (q *query) IsParked(server, direction string, k fhir.Key) (bool, error) {
	var n int
	return q.one("SELECT 1 FROM sync_parked WHERE peer = ? AND direction = ? AND type = ? AND id = ?", []any{server, direction, k.Type, k.ID}, &n)
}

// UnparkServer removes what is parked of a key between this node and a server.
func (tx *Tx) UnparkServer(server, direction string, k fhir.Key) error {
	if !tx.t.anyParked {
		return nil
	}
	return tx.unpark(server, direction, k)
}

// serverReplica is the name of the fact that holds under which replica a server's changes stand.
const serverReplica = "server/"

// ServerReplica returns the replica under which the changes of a server stand that knows no ticks. It is made at the first change, bears
// the server's name, and is replaced whenever this node's own is: its ticks are minted here.
func (tx *Tx) ServerReplica(server string) (version.Replica, error) {
	id, err := tx.State(serverReplica + server)
	if err != nil || id != "" {
		return version.Replica(id), err
	}
	r := version.Replica(tx.NewUUID())
	if err := tx.SetState(serverReplica+server, string(r)); err != nil {
		return "", err
	}
	return r, tx.NameReplica(r, server)
}

// ServerReplicas returns the replicas under which the changes of servers stand.
func (q *query) ServerReplicas() ([]version.Replica, error) {
	var out []version.Replica
	err := q.each("SELECT value FROM node_state WHERE name LIKE 'server/%' ORDER BY name", nil, func(rows *sql.Rows) error {
		var r string
		err := rows.Scan(&r)
		out = append(out, version.Replica(r))
		return err
	})
	return out, err
}

func (tx *Tx) renameServers() error {
	return tx.exec("DELETE FROM node_state WHERE name LIKE 'server/%'")
}

// ServerNames returns the servers that have changed something here, in alphabetical order.
func (q *query) ServerNames() ([]string, error) {
	var out []string
	err := q.each("SELECT name FROM node_state WHERE name LIKE 'server/%' ORDER BY name", nil, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		out = append(out, strings.TrimPrefix(name, serverReplica))
		return err
	})
	return out, err
}
