package feed

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/version"
)

func appendVersion(b []byte, v version.Version) []byte {
	b = strconv.AppendUint(b, v.Tick, 10)
	b = append(b, '-')
	return append(b, v.Replica...)
}

func appendVector(b []byte, x version.Vector) []byte {
	for i, v := range x {
		if i > 0 {
			b = append(b, ' ')
		}
		b = appendVersion(b, v)
	}
	return b
}

func appendHex(b, data []byte) []byte { return hex.AppendEncode(b, data) }

func appendRef(b []byte, r Ref) []byte {
	b = append(b, `"key":"`...)
	b = append(b, r.Key.Type...)
	b = append(b, '/')
	b = append(b, r.Key.ID...)
	b = append(b, `","version":"`...)
	if !r.Version.IsZero() {
		b = appendVersion(b, r.Version)
	}
	return append(b, '"')
}

func appendNonZero(b []byte, name string, n uint64) []byte {
	if n == 0 {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return strconv.AppendUint(b, n, 10)
}

// appendText writes a JSON string. Invalid UTF-8 becomes U+FFFD, because a line that carries it is refused by readers.
func appendText(b []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	out, err := jsontext.AppendQuote(b, s)
	if err != nil {
		panic("bug: valid UTF-8 cannot be quoted: " + err.Error())
	}
	return out
}
