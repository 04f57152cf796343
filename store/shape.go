package store

import (
	"context"
	"database/sql"
	"os"
	"strings"
)

// Table is one table as the database has it.
type Table struct {
	Name       string `json:"name"`
	Rows       int64  `json:"rows"`
	Definition string `json:"definition"` // of the table and its indexes, as SQL
}

// Shape returns the tables by name, with how many rows each has. It reads every table once: for a report, not for a page.
func (s *Store) Shape(ctx context.Context) ([]Table, error) {
	names := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
	if s.dialect.name == "mysql" {
		names = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name"
	}
	var out []Table
	err := s.Read(ctx, func(r *Reader) error {
		if err := r.each(names, nil, func(rows *sql.Rows) error {
			var t Table
			err := rows.Scan(&t.Name)
			out = append(out, t)
			return err
		}); err != nil {
			return err
		}
		for i := range out {
			t := &out[i]
			if _, err := r.one("SELECT COUNT(*) FROM "+t.Name, nil, &t.Rows); err != nil {
				return err
			}
			var err error
			if t.Definition, err = s.definition(r, t.Name); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func (s *Store) definition(r *Reader, table string) (string, error) {
	if s.dialect.name == "mysql" {
		var name, text string
		_, err := r.one("SHOW CREATE TABLE "+table, nil, &name, &text)
		return text, err
	}
	var parts []string
	err := r.each("SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type DESC, name", []any{table}, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		parts = append(parts, text)
		return err
	})
	return strings.Join(parts, ";\n"), err
}

// Sizes are those of the database in bytes. Log is that of SQLite's write-ahead log, 0 elsewhere; Free is what is inside the file and holds nothing.
type Sizes struct {
	Database int64 `json:"database"`
	Log      int64 `json:"log"`
	Free     int64 `json:"free"`
}

// Sizes returns how much room the database takes. It reads no table.
func (s *Store) Sizes(ctx context.Context) (Sizes, error) {
	var out Sizes
	if s.dialect.name == "mysql" {
		err := s.Read(ctx, func(r *Reader) error {
			_, err := r.one("SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS SIGNED), CAST(COALESCE(SUM(data_free), 0) AS SIGNED) "+
				"FROM information_schema.tables WHERE table_schema = DATABASE()", nil, &out.Database, &out.Free)
			return err
		})
		return out, err
	}
	err := s.Read(ctx, func(r *Reader) error {
		var size, pages, free int64
		for text, into := range map[string]*int64{"PRAGMA page_size": &size, "PRAGMA page_count": &pages, "PRAGMA freelist_count": &free} {
			if _, err := r.one(text, nil, into); err != nil {
				return err
			}
		}
		out.Database, out.Free = pages*size, free*size
		return nil
	})
	if info, serr := os.Stat(s.opts.DSN + "-wal"); serr == nil {
		out.Log = info.Size()
	}
	return out, err
}
