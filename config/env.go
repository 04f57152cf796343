package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// environment turns variables into settings.
type environment struct {
	binder *binder
	seen   []variable
}

type variable struct{ name, key string }

// name adds to the problems of settings that come from a variable which one it is.
func (e *environment) name(problems []error) []error {
	for i, err := range problems {
		var known *syncerr.Error
		if !errors.As(err, &known) {
			continue
		}
		for _, v := range e.seen {
			if within(known.Op, strings.ReplaceAll(v.key, levels, ".")) {
				problems[i] = known.WithHint("%s (it is set by %s)", known.Hint, v.name)
			}
		}
	}
	return problems
}

// setting returns the key and value of a variable, or "" where it is none.
func (e *environment) setting(name, value string) (string, any) {
	rest := strings.TrimPrefix(name, envPrefix)
	if !strings.Contains(rest, levels) && !alone(rest) {
		return "", nil
	}
	parts, text, err := resolve(name, strings.Split(rest, levels))
	if err != nil {
		e.binder.problems = append(e.binder.problems, err)
		return "", nil
	}
	key := strings.Join(parts, levels)
	for _, other := range e.seen {
		if key == other.key || strings.HasPrefix(key, other.key+levels) || strings.HasPrefix(other.key, key+levels) {
			e.binder.add(name, "Keep one of them", "%s sets the same setting", other.name)
			return "", nil
		}
	}
	e.seen = append(e.seen, variable{name: name, key: key})
	if text && !strings.HasPrefix(value, `"`) && !strings.HasPrefix(value, "'") {
		return key, value
	}
	m, err := yaml.Parser().Unmarshal([]byte("v: " + value))
	if err != nil || len(m) != 1 {
		e.binder.add(name, "Values are YAML; put text with special characters in quotes", "its value is not valid YAML")
		return "", nil
	}
	return key, m["v"]
}

// alone reports whether a name without levels is that of a setting which is in no group; other such variables are not for the configuration.
func alone(name string) bool {
	t := reflect.TypeFor[Config]()
	i := slices.Index(fieldNames(t), strings.ToLower(name))
	return i >= 0 && t.Field(i).Type.Kind() == reflect.String
}

// resolve finds the setting that a variable names; text says that the setting is a plain text.
func resolve(name string, parts []string) (key []string, text bool, err error) {
	t := reflect.TypeFor[Config]()
	for i, part := range parts {
		switch t.Kind() {
		case reflect.Struct:
			names, word := fieldNames(t), strings.ToLower(part)
			at := slices.Index(names, word)
			if at < 0 {
				return nil, false, unknownVariable(name, key, word, names)
			}
			key, t = append(key, word), t.Field(at).Type
		case reflect.Map:
			key, t = append(key, mapKey(key, part)), t.Elem()
		default:
			return nil, false, problem(name, fmt.Sprintf("Set %s as a whole", envName(key)), "there is no such setting")
		}
		if part == "" || (i == len(parts)-1 && len(key) == 0) {
			return nil, false, problem(name, "Remove it", "there is no such setting")
		}
	}
	return key, t.Kind() == reflect.String, nil
}

// envName returns the variable that sets a key.
func envName(key []string) string { return envPrefix + strings.ToUpper(strings.Join(key, levels)) }

func unknownVariable(name string, key []string, word string, names []string) error {
	hint := "Remove it, or rename it if it is not meant for tributary"
	if s := suggest(word, names); s != "" {
		hint = "Did you mean " + envName(append(slices.Clone(key), s)) + "?"
	}
	return problem(name, hint, "there is no such setting")
}

// mapKey returns the last part of a variable as a key of a group: variables are often written in capitals, types are not.
func mapKey(group []string, part string) string {
	if slices.Equal(group, []string{"conflicts", "types"}) {
		if t, ok := fhir.CanonicalType(part); ok {
			return t
		}
	}
	return part
}
