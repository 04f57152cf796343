package search

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Spaces of values that are in no system. A hash of a system is neither.
const (
	spaceNone    int64 = 0 // no system
	spaceImplied int64 = 1 // a code without a system of its own in JSON: its element says which one it is in
)

// maxFolded bounds a string in the index, in bytes.
const maxFolded = 48

// space returns the number that stands for a system, a type or a unit in the index: 63 bits of its SHA-256.
func space(text string) int64 {
	if text == "" {
		return spaceNone
	}
	sum := sha256.Sum256([]byte(text))
	return int64(binary.BigEndian.Uint64(sum[:8])>>1) | 2
}

// exactly returns the number that tells a string from others that fold to the same.
func exactly(text string) int64 { return space("=" + text) }

// cut shortens a folded string to what is in the index, at a letter.
func cut(folded string) string {
	if len(folded) <= maxFolded {
		return folded
	}
	n := maxFolded
	for !utf8.RuneStart(folded[n]) {
		n--
	}
	return strings.TrimRight(folded[:n], " ")
}

// Fold returns a string without case and accents, as names are compared (FHIR R4 search.html#string): letters and digits only,
// everything else parts words, which one space separates. An apostrophe parts nothing.
func Fold(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	gap := false
	letter := func(r rune) {
		if gap && b.Len() > 0 {
			b.WriteByte(' ')
		}
		gap = false
		b.WriteRune(r)
	}
	plain := true
	for i := 0; i < len(text); i++ {
		if text[i] >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if !plain {
		text = norm.NFKD.String(text)
	}
	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			letter(r)
		case r >= 'A' && r <= 'Z':
			letter(r + 'a' - 'A')
		case r == '\'' || r == '’' || r == 'ʼ' || r == '‘' || unicode.Is(unicode.Mn, r):
		case r < utf8.RuneSelf:
			gap = true
		default:
			if plain := undecomposed(r); plain != "" {
				for _, p := range plain {
					letter(p)
				}
			} else if r = unicode.ToLower(r); unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
				letter(r)
			} else {
				gap = true
			}
		}
	}
	return b.String()
}

// undecomposed returns the plain form of the Latin letters that Unicode does not take apart.
func undecomposed(r rune) string {
	switch r {
	case 'ø', 'Ø':
		return "o"
	case 'ł', 'Ł':
		return "l"
	case 'đ', 'Đ', 'ð', 'Ð', 'ɖ', 'Ɖ', 'ɗ', 'Ɗ':
		return "d"
	case 'ß', 'ẞ':
		return "ss"
	case 'æ', 'Æ':
		return "ae"
	case 'œ', 'Œ':
		return "oe"
	case 'þ', 'Þ':
		return "th"
	case 'ı':
		return "i"
	case 'ɓ', 'Ɓ':
		return "b"
	case 'ƙ', 'Ƙ':
		return "k"
	case 'ŋ', 'Ŋ':
		return "n"
	case 'ɛ', 'Ɛ':
		return "e"
	case 'ɔ', 'Ɔ':
		return "o"
	case 'ħ', 'Ħ':
		return "h"
	}
	return ""
}

// contact returns the form in which telephone numbers and addresses of mail are compared: a number without what people write
// between its digits, an address in lower case.
func contact(text string) string {
	if strings.ContainsRune(text, '@') {
		return strings.ToLower(strings.TrimSpace(text))
	}
	out := strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '.', '(', ')', '/', '\u00a0', '\u2011', '\u2013':
			return -1
		}
		return r
	}, text)
	if out == "" {
		return strings.TrimSpace(text)
	}
	return out
}
