package fhir

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// ValueEnd returns the offset behind the JSON value that begins at i of compact, valid JSON.
func ValueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		for depth := 0; ; i++ {
			switch b[i] {
			case '"':
				i = stringEnd(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}

// Unquote returns what a valid JSON string says.
func Unquote(s []byte) string {
	if bytes.IndexByte(s, '\\') < 0 {
		return string(s[1 : len(s)-1])
	}
	b, _ := jsontext.AppendUnquote(nil, s)
	return string(b)
}
