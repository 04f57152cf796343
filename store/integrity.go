package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// maxProblems is how many problems Integrity lists.
const maxProblems = 20

// Integrity looks for damage and returns what it found as sentences, none where all is well, and how many copies it read. Quick, it asks the database for
// the structure of its pages and holds the counters against the log. Full, the database also checks its indexes against its tables, and every content is
// unpacked and held against its hash, so that it reads all there is. Problems name resources by their key.
func (s *Store) Integrity(ctx context.Context, full bool) (problems []string, copies int64, err error) {
	add := func(format string, args ...any) {
		if len(problems) < maxProblems {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	err = s.Read(ctx, func(r *Reader) error {
		if err := s.askDatabase(r, full, add); err != nil {
			return err
		}
		if len(problems) > 0 {
			return nil // what is read from damaged pages says nothing more
		}
		var last, counter sql.NullInt64
		if _, err := r.one("SELECT MAX(seq) FROM change_log", nil, &last); err != nil {
			return err
		}
		if _, err := r.one("SELECT value FROM counter WHERE name = 'sequence'", nil, &counter); err != nil {
			return err
		}
		if last.Int64 > counter.Int64 {
			add("the log has changes up to %d, and its counter says %d", last.Int64, counter.Int64)
		}
		if !full {
			return nil
		}
		return r.copyRows("resource r LEFT JOIN change_log l ON l.seq = r.seq", "ORDER BY r.type, r.id", nil, func(c Copy) error {
			copies++
			if what := c.damaged(); what != "" {
				add("%s %s", c.Key, what)
			}
			return ctx.Err()
		})
	})
	return problems, copies, err
}

// damaged says what is wrong with a copy, "" where nothing is.
func (c Copy) damaged() string {
	switch {
	case c.Stamp.Deleted:
		return ""
	case c.Body == nil:
		return "has no content"
	}
	doc, err := fhir.ParseAs(c.Key.Type, c.Body, len(c.Body)+1)
	switch {
	case err != nil:
		return "has a content that cannot be read"
	case version.Hash(doc.Hash()) != c.Stamp.Hash:
		return "has a content other than the one that was written"
	}
	return ""
}

// askDatabase lets the database check itself.
func (s *Store) askDatabase(r *Reader, full bool, add func(format string, args ...any)) error {
	if s.dialect.name == "mysql" {
		mode := " QUICK"
		if full {
			mode = " MEDIUM"
		}
		var names []string
		err := r.each("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name", nil, func(rows *sql.Rows) error {
			var name string
			err := rows.Scan(&name)
			names = append(names, name)
			return err
		})
		if err != nil {
			return err
		}
		return r.each("CHECK TABLE "+strings.Join(names, ", ")+mode, nil, func(rows *sql.Rows) error {
			var table, op, kind, text string
			if err := rows.Scan(&table, &op, &kind, &text); err != nil {
				return err
			}
			if kind == "error" || kind == "Error" || kind == "status" && text != "OK" {
				add("table %s: %s", table, text)
			}
			return nil
		})
	}
	check := "PRAGMA quick_check(20)"
	if full {
		check = "PRAGMA integrity_check(20)"
	}
	return r.each(check, nil, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		if text != "ok" {
			add("%s", text)
		}
		return err
	})
}
