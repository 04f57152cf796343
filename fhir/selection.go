package fhir

import (
	"slices"
	"strings"
)

// AnyREST in a list of types stands for every REST type but those that the list has with a minus before them ("-program"): they are
// open-ended, so that who wants all but some types cannot name the rest.
const AnyREST = "rest/*"

// Without returns what takes a REST type out of AnyREST.
func Without(restType string) string { return "-" + restType }

// IsSelector reports whether s may stand in a list of types: a type, AnyREST, or what takes a REST type out of it.
func IsSelector(s string) bool {
	return IsKind(s) || s == AnyREST || strings.HasPrefix(s, "-") && IsREST(s[1:])
}

// Selected reports whether a list of types has a type; nil has all.
func Selected(types []string, t string) bool {
	return types == nil || slices.Contains(types, t) ||
		IsREST(t) && slices.Contains(types, AnyREST) && !slices.Contains(types, Without(t))
}

// Selection returns Selected for a list that is asked often.
func Selection(types []string) func(t string) bool {
	if types == nil {
		return func(string) bool { return true }
	}
	listed := make(map[string]bool, len(types))
	for _, t := range types {
		listed[t] = true
	}
	return func(t string) bool { return listed[t] || listed[AnyREST] && IsREST(t) && !listed[Without(t)] }
}

// SplitSelection returns the types that a list names, whether it has AnyREST, and which REST types it takes out of that.
func SplitSelection(types []string) (named []string, rest bool, without []string) {
	for _, t := range types {
		switch {
		case t == AnyREST:
			rest = true
		case strings.HasPrefix(t, "-"):
			without = append(without, t[1:])
		default:
			named = append(named, t)
		}
	}
	return named, rest, without
}
