package config

import (
	"bytes"
	"encoding"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"

	"github.com/tributary-sync/tributary/syncerr"
)

// Redacted returns a copy in which the credential, the password of the database and those of URLs are masked.
func (c Config) Redacted() Config {
	r := c.clone()
	if r.Parent.Credential != "" {
		r.Parent.Credential = mask
	}
	if r.Store.Driver != DriverSQLite || notAPath(r.Store.DSN) {
		r.Store.DSN = maskDSN(r.Store.DSN)
	}
	r.Parent.URL, r.Node.URL = maskURL(r.Parent.URL), maskURL(r.Node.URL)
	for name, s := range r.Servers {
		s.URL, s.OpenMRS = maskURL(s.URL), maskURL(s.OpenMRS)
		s.Feed = slices.Clone(s.Feed)
		for i, feed := range s.Feed {
			s.Feed[i] = maskURL(feed)
		}
		r.Servers[name] = s
	}
	for name, t := range r.SData {
		t.URL = maskURL(t.URL)
		r.SData[name] = t
	}
	return r
}

// maskURL takes out what stands before an @, which a valid configuration does not have.
func maskURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case !strings.Contains(s, "@"):
		return s
	case err != nil || u.Host == "":
		return mask
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return strings.Replace(u.String(), "://", "://"+mask+"@", 1)
}

// Print writes the configuration without its secrets, as YAML that Load reads again. Settings that are empty are left out.
func (c Config) Print(w io.Writer) error {
	r := c.Redacted()
	var b bytes.Buffer
	if r.Parent.Credential != "" {
		b.WriteString("# parent.credential comes from the environment and is not shown\n")
	}
	v := reflect.ValueOf(r)
	for i, name := range fieldNames(v.Type()) {
		if v.Field(i).Kind() == reflect.String {
			fmt.Fprintf(&b, "%s: %s\n", name, quote(v.Field(i).String()))
			continue
		}
		if v.Field(i).Kind() == reflect.Map {
			if err := printTable(&b, name, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		var group bytes.Buffer
		if err := printGroup(&group, v.Field(i)); err != nil {
			return err
		}
		if group.Len() > 0 {
			fmt.Fprintf(&b, "%s:\n%s", name, group.Bytes())
		}
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return nil
}

// printGroup writes the settings of a group one by one, because the library would sort them by name.
func printGroup(w *bytes.Buffer, v reflect.Value) error {
	t := v.Type()
	for i, name := range fieldNames(t) {
		if t.Field(i).Tag.Get("secret") == "env" {
			continue
		}
		p := plain(v.Field(i))
		if p == nil {
			continue
		}
		text, err := yaml.Parser().Marshal(map[string]any{name: p})
		if err != nil {
			return syncerr.Wrap(syncerr.Internal, "print "+name, err)
		}
		for line := range bytes.Lines(text) {
			w.WriteString("  ")
			w.Write(line)
		}
	}
	return nil
}

// printTable writes a group whose settings have names that were chosen, sorted by them.
func printTable(w *bytes.Buffer, name string, v reflect.Value) error {
	p := plain(v)
	if p == nil {
		return nil
	}
	text, err := yaml.Parser().Marshal(map[string]any{name: p})
	w.Write(text)
	return syncerr.Wrap(syncerr.Internal, "print "+name, err)
}

// plain turns a setting into what the YAML library writes; nil is a setting to leave out.
func plain(v reflect.Value) any {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return nil
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Struct:
		out := map[string]any{}
		for i, name := range fieldNames(v.Type()) {
			if p := plain(v.Field(i)); p != nil {
				out[name] = p
			}
		}
		return out
	case reflect.Map:
		out := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			out[it.Key().String()] = plain(it.Value())
		}
		return orNil(out, v.Len())
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = plain(v.Index(i))
		}
		return orNil(out, v.Len())
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.String:
		return orNil(v.String(), v.Len())
	default:
		return v.Interface()
	}
}

func orNil(v any, length int) any {
	if length == 0 {
		return nil
	}
	return v
}
