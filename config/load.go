package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/tributary-sync/tributary/syncerr"
)

const (
	envPrefix = "TRIBUTARY_"
	envFile   = "TRIBUTARY_CONFIG"
	levels    = "__" // parts levels in the name of an environment variable
	maxFile   = 1 << 20
)

// Find returns the path of the configuration file: what TRIBUTARY_CONFIG in env names, else ./tributary.yaml, else
// /etc/tributary/tributary.yaml (DESIGN.md section 9). env has the form of os.Environ. It returns a Usage error where there
// is none; whether a file that TRIBUTARY_CONFIG names exists is found by Load.
func Find(env []string) (string, error) {
	return find(env, "tributary.yaml", "/etc/tributary/tributary.yaml")
}

func find(env []string, candidates ...string) (string, error) {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, envFile+"="); ok && v != "" {
			return v, nil
		}
	}
	for _, c := range candidates {
		if _, err := os.Stat(c); !errors.Is(err, fs.ErrNotExist) {
			return c, nil
		}
	}
	return "", syncerr.New(syncerr.Usage, "find configuration", "there is no %s", strings.Join(candidates, " and no ")).
		WithHint("Run tributary init to make one, or name it with --config or %s", envFile)
}

// Load reads the configuration file and the environment over the defaults, makes relative paths absolute (from the file's
// folder, also those of the environment) and validates the whole. path "" means Find. env has the form of os.Environ:
// TRIBUTARY_PARENT__CREDENTIAL_FILE sets parent.credential_file, values are YAML, groups are merged and lists replaced; a
// value for a text setting is taken as it stands unless it begins with a quote. The error joins a Usage error for every
// problem; the Config beside it holds what could be read, so that it can be shown.
func Load(path string, env []string) (Config, error) {
	abs, err := locate(path, env)
	if err != nil {
		return Default(), err
	}
	c, _, err := load(file.Provider(abs), abs, env)
	return c, err
}

// locate returns the absolute path of a file that can be read.
func locate(path string, env []string) (string, error) {
	if path == "" {
		found, err := Find(env)
		if err != nil {
			return "", err
		}
		path = found
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", syncerr.Wrap(syncerr.Usage, "read configuration", err)
	}
	return abs, readable(abs)
}

func readable(path string) error {
	const op = "read configuration"
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return syncerr.New(syncerr.Usage, op, "there is no file %s", path).WithHint("Run tributary init to make one, or correct the path")
	case err != nil:
		return syncerr.New(syncerr.Usage, op, "%w", err).WithHint("Let the user that runs tributary read it")
	case !info.Mode().IsRegular():
		return syncerr.New(syncerr.Usage, op, "%s is not a file", path).WithHint("Name the YAML file itself")
	case info.Size() > maxFile:
		return syncerr.New(syncerr.Usage, op, "%s is larger than 1 MiB", path).WithHint("Name a configuration file")
	}
	return nil
}

// load does the work of Load on the bytes of a provider; path names the file in messages and gives the folder. It also returns the variables that
// set something.
func load(from koanf.Provider, path string, environ []string) (Config, []variable, error) {
	c := Default()
	c.Store.DSN = "" // its default depends on the driver
	k := koanf.New(levels)
	if err := k.Load(from, parser{path: path}); err != nil {
		var known *syncerr.Error
		if !errors.As(err, &known) {
			err = syncerr.New(syncerr.Usage, "read configuration", "%w", err).WithHint("Let the user that runs tributary read %s", path)
		}
		return Default(), nil, err
	}
	var b binder
	if k.Exists("parent" + levels + "credential") {
		b.add("parent.credential", "Put it in the file that parent.credential_file names, or in the environment as TRIBUTARY_PARENT__CREDENTIAL",
			"a secret does not belong in the configuration file")
		k.Delete("parent" + levels + "credential")
	}
	e := environment{binder: &b}
	if err := k.Load(env.Provider(levels, env.Opt{
		Prefix:        envPrefix,
		TransformFunc: e.setting,
		EnvironFunc:   func() []string { return environ },
	}), nil); err != nil {
		return Default(), nil, syncerr.Wrap(syncerr.Usage, "read environment", err)
	}
	b.bind("", k.Raw(), reflect.ValueOf(&c).Elem())
	c.complete(filepath.Dir(path))
	return c, e.seen, errors.Join(e.name(merge(b.problems, c.check()))...)
}

// merge adds what the check found to what could not be read, and leaves out what follows from it: a setting that could not
// be read has its default.
func merge(unread, found []error) []error {
	all := unread
	for _, err := range found {
		if !slices.ContainsFunc(unread, func(u error) bool { return within(opOf(err), opOf(u)) }) {
			all = append(all, err)
		}
	}
	return all
}

func opOf(err error) string {
	var e *syncerr.Error
	if errors.As(err, &e) {
		return e.Op
	}
	return ""
}

// within reports whether path is the setting or belongs to it.
func within(path, setting string) bool {
	rest, ok := strings.CutPrefix(path, setting)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// complete fills what follows from other settings and makes paths absolute.
func (c *Config) complete(folder string) {
	absolute := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(folder, *p)
		}
	}
	if c.Node.DataDir == "" {
		c.Node.DataDir = Default().Node.DataDir
	}
	if c.Store.Driver == DriverSQLite && c.Store.DSN == "" && c.Store.DSNFile == "" {
		c.Store.DSN = filepath.Join(c.Node.DataDir, "tributary.db")
	}
	absolute(&c.Node.DataDir)
	absolute(&c.Store.DSNFile)
	absolute(&c.Parent.CredentialFile)
	for name, server := range c.Servers {
		absolute(&server.CredentialFile)
		c.Servers[name] = server
	}
	for name, target := range c.SData {
		absolute(&target.CredentialFile)
		c.SData[name] = target
	}
	if c.Store.Driver == DriverSQLite && !notAPath(c.Store.DSN) {
		absolute(&c.Store.DSN)
	}
}

// parser is koanf's YAML parser behind checks for what it would pass over: a second document, and bytes that are no text.
type parser struct{ path string }

// Unmarshal reads one YAML document that is a group of settings, or nothing.
func (p parser) Unmarshal(data []byte) (m map[string]any, err error) {
	op := "read " + p.path
	if !utf8.Valid(data) {
		return nil, syncerr.New(syncerr.Usage, op, "it is not UTF-8 text").WithHint("Save it as UTF-8")
	}
	started := false
	for n, line := range bytes.Split(data, []byte("\n")) {
		line = bytes.TrimRight(line, " \t\r")
		if started && (bytes.Equal(line, []byte("---")) || bytes.HasPrefix(line, []byte("--- "))) {
			return nil, syncerr.New(syncerr.Usage, op, "line %d begins a second document", n+1).WithHint("Keep one and remove the line ---")
		}
		started = started || (len(line) > 0 && line[0] != '#')
	}
	m, err = yaml.Parser().Unmarshal(data)
	if err == nil {
		return m, nil
	}
	text := strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: ")
	if strings.Contains(text, "cannot unmarshal") {
		text = "it holds no settings of the form name: value" // the library's words would quote the content
	}
	return nil, syncerr.New(syncerr.Usage, op, "it is not valid YAML: %s", text).WithHint("Compare it with what tributary init writes")
}

// Marshal is part of koanf's interface.
func (p parser) Marshal(m map[string]any) ([]byte, error) { return yaml.Parser().Marshal(m) }
