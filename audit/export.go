package audit

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// The formats of an export.
const (
	CSV    = "csv"    // a table for other programs (RFC 4180)
	NDJSON = "ndjson" // a record a line as JSON
)

// Export returns what writes records to w in a format, and what ends it.
func Export(w io.Writer, format string) (write func(Record) error, end func() error) {
	if format == NDJSON {
		e := json.NewEncoder(w)
		return func(r Record) error { return e.Encode(r) }, func() error {
			_, err := w.Write(nil) // of nothing, too
			return err
		}
	}
	c, headed := csv.NewWriter(w), false
	head := func() error {
		if headed {
			return nil
		}
		headed = true
		return c.Write(Columns())
	}
	return func(r Record) error { return errors.Join(head(), c.Write(r.Cells())) }, func() error {
		err := head()
		c.Flush()
		return errors.Join(err, c.Error())
	}
}

// ContentType returns the media type of an export.
func ContentType(format string) string {
	if format == NDJSON {
		return "application/x-ndjson"
	}
	return "text/csv; charset=utf-8"
}

// Columns returns the names of the cells of a row of a table, those of the records' JSON.
func Columns() []string {
	return []string{
		"id", "uuid", "timestamp", "operation", "outcome", "success", "action", "resource", "version", "peer", "run", "usedResourceUrl", "parentUrl", "localUrl", "linkType",
		"creatorInstanceId", "mergeConflictUuid", "httpStatus", "bytes", "durationMs", "details",
	}
}

// Cells returns a record as the cells of a row of a table, in the order of Columns. The time is UTC after RFC 3339; what is not there is empty.
// No cell begins like a formula: what callers name themselves must do nothing in the program that opens the table.
func (r Record) Cells() []string {
	num := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	ver := ""
	if !r.Version.IsZero() {
		ver = r.Version.String()
	}
	out := []string{
		strconv.FormatInt(r.ID, 10), r.UUID, time.UnixMilli(r.Time).UTC().Format("2006-01-02T15:04:05.000Z07:00"), string(r.Operation), string(r.Outcome), strconv.FormatBool(r.Success),
		r.Action, r.Key.String(), ver, r.Peer, r.Run, r.URL, r.ParentURL, r.LocalURL, r.LinkType, r.Creator, r.Conflict, num(int64(r.HTTPStatus)), num(r.Bytes), num(r.Duration), r.Details,
	}
	for i, cell := range out {
		out[i] = Harmless(cell)
	}
	return out
}

// Harmless returns a text as a cell of a table that spreadsheet programs show and do not calculate: one that begins with =, +, -, @, a tab or a
// carriage return, also behind blanks, gets an apostrophe before it (OWASP, CSV Injection).
func Harmless(cell string) string {
	if first := strings.TrimLeft(cell, " \n\u00a0"); first != "" && strings.ContainsRune("=+-@\t\r", rune(first[0])) {
		return "'" + cell
	}
	return cell
}
