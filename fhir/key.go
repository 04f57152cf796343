package fhir

import (
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// Key names a resource: Type/id. FHIR R4 section 2.1.3 (id: [A-Za-z0-9\-\.]{1,64}). Types of FHIR begin with a capital, REST types
// (IsREST) do not.
type Key struct {
	Type string
	ID   string
}

// String returns "Type/id".
func (k Key) String() string {
	if k == (Key{}) {
		return ""
	}
	return k.Type + "/" + k.ID
}

// Path returns where the document is at a node: "/fhir/R4/Type/id", or "/rest/v1/type/id" for a REST document.
func (k Key) Path() string {
	if IsREST(k.Type) {
		return "/rest/v1/" + k.String()
	}
	return "/fhir/R4/" + k.String()
}

// Compare orders keys by type, then id, byte by byte.
func (k Key) Compare(o Key) int {
	if c := strings.Compare(k.Type, o.Type); c != 0 {
		return c
	}
	return strings.Compare(k.ID, o.ID)
}

// ParseKey reads "Type/id". It returns an Invalid error where the type is neither an R4 type nor a REST type or the id is malformed.
func ParseKey(s string) (Key, error) {
	t, id, ok := strings.Cut(s, "/")
	if !ok {
		return Key{}, syncerr.New(syncerr.Invalid, "read key", "%.100q is not Type/id", s)
	}
	k := Key{Type: t, ID: id}
	return k, k.Validate()
}

// Validate returns an Invalid error where the type is neither an R4 type nor a REST type or the id is malformed.
func (k Key) Validate() error {
	if !IsKind(k.Type) {
		return syncerr.New(syncerr.Invalid, "read key", "%.60q is neither a resource type of FHIR R4 nor a REST type", k.Type)
	}
	if !ValidID(k.ID) {
		return syncerr.New(syncerr.Invalid, "read key", "%.100q is not a FHIR id (1 to 64 of A-Z a-z 0-9 - .)", k.ID)
	}
	return nil
}

// ValidID reports whether s is a FHIR id (FHIR R4 datatypes, id).
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// MarshalText writes String's form.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads ParseKey's form.
func (k *Key) UnmarshalText(b []byte) error {
	p, err := ParseKey(string(b))
	if err != nil {
		return err
	}
	*k = p
	return nil
}
