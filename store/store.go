// Package store owns every SQL statement and the commit boundary. One transaction holds a resource, its change-log row, its
// audit row and its cursor (DESIGN.md section 3, invariant 1); the sequence is given in commit order without holes
// (invariant 5). It decides nothing: what is written was decided by engine.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"io"
	"log/slog"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// Options say which database to open and what to inject.
type Options struct {
	Driver string // sqlite or mysql
	DSN    string // SQLite: a file path; MySQL: the form of go-sql-driver

	Clock func() time.Time // nil for the machine's clock
	Rand  io.Reader        // nil for crypto/rand; makes replica ids, epochs and row ids
	Log   *slog.Logger     // nil for none
	// Hook is called before each statement of a write transaction, before its commit ("commit") and after it ("committed"). An
	// error stops the transaction as a crash at that point would. It is the simulator's seam; nil otherwise.
	Hook func(point string) error
	// Volatile gives up durability (SQLite synchronous=OFF). Only for simulated nodes whose power is never cut.
	Volatile bool
}

// Identity says whose data this is. Epoch changes when the log no longer continues its past.
type Identity struct {
	Replica  version.Replica
	Epoch    string
	Name     string
	PageSize int // events on a page of the Atom feed, fixed when the database was made
}

// Store is an open database. Its methods may be called from many goroutines.
type Store struct {
	opts    Options
	dialect dialect
	writer  *gorm.DB
	reader  *gorm.DB
	limit   int // largest content in bytes that the database takes
	limits  searchLimits

	group commits
	// Used by write transactions, of which one runs at a time.
	insertions map[insertKey]string
	classes    map[int64]bool // of audit rows, which the database is known to have; used by the transaction that writes
	kept       *keptCounters
	timed      map[minting]int64 // when a tick of each was last noted with its time
	packer     packer

	mu   sync.Mutex
	id   Identity
	news chan struct{} // closed and replaced at each commit that wrote a change
}

// Open opens the database of opts and brings its schema up to date. It returns a Usage error for a DSN that does not work, and
// refuses a schema that is newer than this program, which says to upgrade it. A missing SQLite file is an error: an empty
// folder is often a card that was not mounted. Create makes one.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s, err := connect(ctx, opts, false)
	if err != nil {
		return nil, err
	}
	if err := s.load(ctx); err != nil {
		return nil, withClose(s, err)
	}
	return s, nil
}

// Create makes a new database for a node of that name, with a fresh replica and epoch, and opens it. It returns a Conflict
// error where the database already belongs to a node.
func Create(ctx context.Context, opts Options, name string, pageSize int) (*Store, error) {
	s, err := connect(ctx, opts, true)
	if err != nil {
		return nil, err
	}
	if err := s.load(ctx); err == nil {
		return nil, withClose(s, syncerr.New(syncerr.Conflict, "create database", "it already belongs to node %q", s.id.Name).
			WithHint("Use it as it is with `tributary serve`, or name another database in store.dsn"))
	} else if syncerr.KindOf(err) != syncerr.NotFound {
		return nil, withClose(s, err)
	}
	if err := s.found(ctx, name, pageSize); err != nil {
		return nil, withClose(s, err)
	}
	return s, nil
}

func withClose(s *Store, err error) error {
	if cerr := s.Close(); cerr != nil {
		s.opts.Log.Warn("close database", "error", cerr)
	}
	return err
}

func connect(ctx context.Context, opts Options, create bool) (*Store, error) {
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	d, err := dialectOf(opts.Driver)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: opts, dialect: d, limits: searchLimits{few: fewRows, time: searchTime}, news: make(chan struct{}), insertions: map[insertKey]string{}, timed: map[minting]int64{}}
	if s.writer, s.reader, err = d.open(opts, create); err != nil {
		return nil, withClose(s, err)
	}
	if s.limit, err = d.check(ctx, s.writer); err != nil {
		return nil, withClose(s, err)
	}
	if err := s.migrate(ctx); err != nil {
		return nil, withClose(s, err)
	}
	return s, nil
}

// load reads the identity; a NotFound error means that the database belongs to no node yet.
func (s *Store) load(ctx context.Context) error {
	var rows []struct{ Name, Value string }
	if err := s.writer.WithContext(ctx).Raw("SELECT name, value FROM node_state").Scan(&rows).Error; err != nil {
		return s.dialect.wrap("read identity", err)
	}
	id := Identity{PageSize: 100}
	for _, r := range rows {
		switch r.Name {
		case "replica":
			id.Replica = version.Replica(r.Value)
		case "epoch":
			id.Epoch = r.Value
		case "name":
			id.Name = r.Value
		case "page_size":
			if n := atoi(r.Value); n > 0 {
				id.PageSize = n
			}
		}
	}
	if id.Replica == "" {
		return syncerr.New(syncerr.NotFound, "open database", "it belongs to no node yet").WithHint("Run `tributary init` first")
	}
	s.mu.Lock()
	s.id = id
	s.mu.Unlock()
	return nil
}

func (s *Store) found(ctx context.Context, name string, pageSize int) error {
	if pageSize <= 0 {
		pageSize = 100
	}
	err := s.Write(ctx, func(tx *Tx) error {
		// The row that writers lock has to be there: of one that is not, MySQL locks the gap, which many can hold and nobody can fill.
		if err := tx.exec("INSERT INTO counter (name, value) VALUES ('sequence', 0)"); err != nil {
			return err
		}
		replica, epoch := tx.NewUUID(), tx.NewUUID()
		for _, r := range [][]any{{"replica", replica}, {"epoch", epoch}, {"name", name}, {"page_size", itoa(pageSize)}} {
			if err := tx.exec("INSERT INTO node_state (name, value) VALUES (?, ?)", r...); err != nil {
				return err
			}
		}
		return tx.NameReplica(version.Replica(replica), name)
	})
	if err != nil {
		return err
	}
	return s.load(ctx)
}

// Identity returns whose data this is.
func (s *Store) Identity() Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Limit returns the largest content in bytes that the database takes.
func (s *Store) Limit() int { return s.limit }

// Driver returns the name of the driver, and what the server says of itself.
func (s *Store) Driver(ctx context.Context) (driver, server string) {
	return s.opts.Driver, s.dialect.server(ctx, s.reader)
}

// News returns a channel that is closed at the next commit that writes a change. Take it before reading, so that no change
// falls between.
func (s *Store) News() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.news
}

func (s *Store) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.news)
	s.news = make(chan struct{})
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	return s.dialect.wrap("reach database", s.reader.WithContext(ctx).Raw("SELECT 1").Scan(&n).Error)
}

// Close closes the database. Nothing may be called afterwards.
func (s *Store) Close() error {
	var first error
	for _, g := range []*gorm.DB{s.reader, s.writer} {
		if g == nil {
			continue
		}
		db, err := g.DB()
		if err == nil {
			err = db.Close()
		}
		if err != nil && first == nil {
			first = s.dialect.wrap("close database", err)
		}
	}
	return first
}

func sqlDB(g *gorm.DB) (*sql.DB, error) { return g.DB() }
