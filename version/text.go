package version

import (
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// Text of a knowledge or delta, of which each has exactly one:
//
//	text      = "" (the zero value) / entries ";" entries ";" exceptions ";" number ";" number
//	entries   = [ entry *( " " entry ) ]            entry = version [ "@" revision ]
//	exceptions= [ exception *( " " exception ) ]    exception = key [ ":" versions ] [ "!" versions ] [ "@" revision ]
//	versions  = [ version *( "," version ) ]
//
// The first entries are the vector, the second what was forgotten. ":" is the vector that a key is limited to, "!" what it lacks.
// Bytes of a key that are neither letters, digits nor one of -._~/#| are written as % and two hexadecimal digits. A revision of 0
// is left out. The numbers are a knowledge's revision and up to where it was pruned, or a delta's To and From.

const plain = "-._~/#|"

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(plain, c) >= 0
}

// String returns the one text of the knowledge, revisions and ended exceptions among it. Knowledge that is Equal may have other text.
func (k Knowledge) String() string { return k.Rows().text() }

// String returns the one text of the delta.
func (d Delta) String() string {
	return Rows{d.Entries, d.Forgotten, d.Exceptions, d.To, d.From}.text()
}

func (r Rows) text() string {
	if len(r.Entries)+len(r.Forgotten)+len(r.Exceptions) == 0 && r.Revision == 0 && r.Floor == 0 {
		return ""
	}
	b := make([]byte, 0, 48*(len(r.Entries)+len(r.Forgotten))+96*len(r.Exceptions)+16)
	for _, list := range [][]Entry{r.Entries, r.Forgotten} {
		for i, e := range list {
			if i > 0 {
				b = append(b, ' ')
			}
			b = appendRevision(appendVersion(b, e.Version), e.Revision)
		}
		b = append(b, ';')
	}
	for i, e := range r.Exceptions {
		if i > 0 {
			b = append(b, ' ')
		}
		b = appendKey(b, e.Key)
		if e.Limited {
			b = appendVersions(append(b, ':'), e.Only)
		}
		if len(e.Lacks) > 0 {
			b = appendVersions(append(b, '!'), e.Lacks)
		}
		b = appendRevision(b, e.Revision)
	}
	b = strconv.AppendUint(append(b, ';'), r.Revision, 10)
	return string(strconv.AppendUint(append(b, ';'), r.Floor, 10))
}

func appendVersion(b []byte, v Version) []byte {
	return append(append(strconv.AppendUint(b, v.Tick, 10), '-'), v.Replica...)
}

func appendVersions(b []byte, vs []Version) []byte {
	for i, v := range vs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendVersion(b, v)
	}
	return b
}

func appendRevision(b []byte, revision uint64) []byte {
	if revision == 0 {
		return b
	}
	return strconv.AppendUint(append(b, '@'), revision, 10)
}

func appendKey(b []byte, key string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(key) {
		if c := key[i]; isPlain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// ParseKnowledge reads what String writes. It returns an Invalid error for anything else, another order or form among it.
func ParseKnowledge(s string) (Knowledge, error) {
	r, err := parseRows(s)
	if err != nil {
		return Knowledge{}, err
	}
	k, err := r.build()
	if err == nil && k.String() != s {
		err = syncerr.New(syncerr.Invalid, "read knowledge", "it is not in the form that is written")
	}
	if err != nil {
		return Knowledge{}, err
	}
	return k, nil
}

// ParseDelta reads what String writes. It returns an Invalid error for anything else.
func ParseDelta(s string) (Delta, error) {
	r, err := parseRows(s)
	if err != nil {
		return Delta{}, err
	}
	d := Delta{r.Entries, r.Forgotten, r.Exceptions, r.Floor, r.Revision}
	if err = d.validate(); err == nil && d.String() != s {
		err = syncerr.New(syncerr.Invalid, "read knowledge", "it is not in the form that is written")
	}
	if err != nil {
		return Delta{}, err
	}
	return d, nil
}

// MarshalText writes String's form.
func (k Knowledge) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads ParseKnowledge's form.
func (k *Knowledge) UnmarshalText(b []byte) error {
	p, err := ParseKnowledge(string(b))
	if err == nil {
		*k = p
	}
	return err
}

// MarshalText writes String's form.
func (d Delta) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads ParseDelta's form.
func (d *Delta) UnmarshalText(b []byte) error {
	p, err := ParseDelta(string(b))
	if err == nil {
		*d = p
	}
	return err
}
