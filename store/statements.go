package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"math"
	"strings"
)

// keeper makes connections that keep the statements they have parsed. database/sql does so for a Stmt that the caller holds, but
// finds it again on a transaction's connection only by a search, and lets two open results of one statement share one handle, of
// which SQLite has one cursor. Here the connection knows which of its statements are in use.
type keeper struct{ driver.Connector }

// keptStatements bounds the statements of one connection. The program has fewer that run often; a statement is some kilobytes of
// SQLite's memory, one of many rows some hundred.
const keptStatements = 250

// Connect opens a connection.
func (k keeper) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	base, ok := c.(sqliteConn)
	if !ok {
		panic("bug: the driver of SQLite lacks what this program needs of a connection")
	}
	return &keptConn{sqliteConn: base, kept: map[string]*keptStmt{}}, nil
}

// sqliteConn is what database/sql uses of a connection to SQLite.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// keptConn is used by one goroutine at a time, as database/sql promises.
type keptConn struct {
	sqliteConn
	kept  map[string]*keptStmt
	clock uint64 // counts uses, to know which statement was used longest ago
}

type keptStmt struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
	last  uint64
	open  bool // a result is being read
}

// statement returns the parsed form of a statement; nil for one that is not worth keeping, or whose last result is still open.
func (c *keptConn) statement(ctx context.Context, text string) (*keptStmt, error) {
	c.clock++
	if s := c.kept[text]; s != nil {
		if s.open {
			return nil, nil
		}
		s.last = c.clock
		return s, nil
	}
	if !recurring(text) {
		return nil, nil
	}
	if err := c.makeRoom(); err != nil {
		return nil, err
	}
	stmt, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s := &keptStmt{Stmt: stmt, last: c.clock}
	var executes, queries bool
	s.exec, executes = stmt.(driver.StmtExecContext)
	s.query, queries = stmt.(driver.StmtQueryContext)
	if !executes || !queries {
		panic("bug: the driver of SQLite lacks what this program needs of a statement")
	}
	c.kept[text] = s
	return s, nil
}

// recurring reports whether a statement is of the kind that runs often; the others (schema, pragmas, VACUUM) run once.
func recurring(text string) bool {
	verb, _, _ := strings.Cut(text, " ")
	switch verb {
	case "SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "SAVEPOINT", "RELEASE", "ROLLBACK", "WITH":
		return true
	}
	return false
}

// makeRoom closes the statement that was used longest ago, if there are as many as may be.
func (c *keptConn) makeRoom() error {
	if len(c.kept) < keptStatements {
		return nil
	}
	oldest := ""
	for text, s := range c.kept {
		if !s.open && (oldest == "" || s.last < c.kept[oldest].last) {
			oldest = text
		}
	}
	s := c.kept[oldest]
	if s == nil {
		return nil // a result of each is being read
	}
	delete(c.kept, oldest)
	return s.Close()
}

// CheckNamedValue brings an argument to the form that SQLite takes. database/sql does so for every type by reflection, and a group commit has hundreds.
func (c *keptConn) CheckNamedValue(v *driver.NamedValue) error {
	switch x := v.Value.(type) {
	case int64, string, []byte, nil:
	case int:
		v.Value = int64(x)
	case int32:
		v.Value = int64(x)
	case uint64:
		if x > math.MaxInt64 {
			return driver.ErrSkip // which says why it cannot be
		}
		v.Value = int64(x)
	default:
		return driver.ErrSkip
	}
	return nil
}

// ExecContext runs a statement that gives no rows.
func (c *keptConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.ExecContext(ctx, text, args)
	}
	return s.exec.ExecContext(ctx, args)
}

// QueryContext runs a statement that gives rows.
func (c *keptConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.QueryContext(ctx, text, args)
	}
	r, err := s.query.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	base, ok := r.(sqliteRows)
	if !ok {
		panic("bug: the driver of SQLite lacks what this program needs of a result")
	}
	s.open = true
	return &keptRows{sqliteRows: base, stmt: s}, nil
}

// Close closes the connection with its statements, without which SQLite would keep the file open.
func (c *keptConn) Close() error {
	var errs []error
	for _, s := range c.kept {
		errs = append(errs, s.Close())
	}
	c.kept = nil
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// sqliteRows is what database/sql uses of a result of SQLite's.
type sqliteRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

type keptRows struct {
	sqliteRows
	stmt *keptStmt
}

// Close ends the reading: the statement may run again.
func (r *keptRows) Close() error {
	r.stmt.open = false
	return r.sqliteRows.Close()
}
