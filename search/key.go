package search

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// The longest value that is indexed as it is, and how much of a longer one is kept readable, in bytes. MySQL and MariaDB
// limit the bytes of an index key.
const (
	maxKey  = 200
	keyHead = 160
)

// Key returns the form in which a value is indexed and searched: trailing spaces removed, because MySQL's padded collations
// do not compare them; and a value over 200 bytes as its first 160 (fewer where that would cut a character), "#" and the first 16
// bytes of its SHA-256 in hexadecimal. Key(Key(v)) equals Key(v).
func Key(value string) string {
	value = strings.TrimRight(value, " ")
	if len(value) <= maxKey {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	head := keyHead
	for head > keyHead-utf8.UTFMax && !utf8.RuneStart(value[head]) {
		head--
	}
	return value[:head] + "#" + hex.EncodeToString(sum[:16])
}
