package version

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// parseRows reads the parts of a text. Order and bounds are checked by whoever builds from them, and its one form by writing it
// again.
func parseRows(s string) (Rows, error) {
	var r Rows
	if s == "" {
		return r, nil
	}
	bad := func(format string, args ...any) (Rows, error) {
		return Rows{}, syncerr.New(syncerr.Invalid, "read knowledge", format, args...)
	}
	parts := strings.SplitN(s, ";", 6)
	if len(parts) != 5 {
		return bad("it has %d parts instead of 5", len(parts))
	}
	var err error
	if r.Entries, err = parseEntries(parts[0]); err != nil {
		return Rows{}, err
	}
	if r.Forgotten, err = parseEntries(parts[1]); err != nil {
		return Rows{}, err
	}
	if n := strings.Count(parts[2], " ") + 1; n > MaxExceptions {
		return bad("%d exceptions, at most %d are allowed", n, MaxExceptions)
	}
	if parts[2] != "" {
		for part := range strings.SplitSeq(parts[2], " ") {
			e, err := parseException(part)
			if err != nil {
				return Rows{}, err
			}
			r.Exceptions = append(r.Exceptions, e)
		}
	}
	if r.Revision, err = strconv.ParseUint(parts[3], 10, 63); err != nil {
		return bad("%.40q is no revision", parts[3])
	}
	if r.Floor, err = strconv.ParseUint(parts[4], 10, 63); err != nil {
		return bad("%.40q is no revision", parts[4])
	}
	return r, nil
}

func parseEntries(s string) ([]Entry, error) {
	if s == "" {
		return nil, nil
	}
	n := strings.Count(s, " ") + 1
	if n > MaxVector {
		return nil, syncerr.New(syncerr.Invalid, "read knowledge", "%d entries, at most %d are allowed", n, MaxVector)
	}
	out := make([]Entry, 0, n)
	for part := range strings.SplitSeq(s, " ") {
		text, revision, err := cutRevision(part)
		if err != nil {
			return nil, err
		}
		v, err := Parse(text)
		if err != nil {
			return nil, err
		}
		out = append(out, Entry{v, revision})
	}
	return out, nil
}

func cutRevision(s string) (string, uint64, error) {
	text, number, ok := strings.Cut(s, "@")
	if !ok {
		return text, 0, nil
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return "", 0, syncerr.New(syncerr.Invalid, "read knowledge", "%.40q is no revision", number)
	}
	return text, n, nil
}

func parseException(s string) (Exception, error) {
	text, revision, err := cutRevision(s)
	if err != nil {
		return Exception{}, err
	}
	e := Exception{Revision: revision}
	text, lacks, _ := strings.Cut(text, "!")
	key, only, limited := strings.Cut(text, ":")
	e.Limited = limited
	if e.Lacks, err = parseVersions(lacks); err != nil {
		return Exception{}, err
	}
	vs, err := parseVersions(only)
	if err != nil {
		return Exception{}, err
	}
	e.Only = vs
	e.Key, err = parseKey(key)
	return e, err
}

func parseVersions(s string) ([]Version, error) {
	if s == "" {
		return nil, nil
	}
	out := make([]Version, 0, strings.Count(s, ",")+1)
	for part := range strings.SplitSeq(s, ",") {
		v, err := Parse(part)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func parseKey(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	first, rest, _ := strings.Cut(s, "%")
	b := []byte(first)
	for part := range strings.SplitSeq(rest, "%") {
		if len(part) < 2 {
			return "", syncerr.New(syncerr.Invalid, "read knowledge", "%% without two hexadecimal digits in key %.80q", s)
		}
		c, err := hex.DecodeString(part[:2])
		if err != nil {
			return "", syncerr.New(syncerr.Invalid, "read knowledge", "%% without two hexadecimal digits in key %.80q", s)
		}
		b = append(append(b, c...), part[2:]...)
	}
	return string(b), nil
}
