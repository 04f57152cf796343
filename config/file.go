package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// File is a configuration file with the environment that goes before it.
type File struct {
	path string
	env  []string
}

// Open names the file that Load(path, env) reads, so that it can be changed. Its errors are those of Load about the file.
func Open(path string, env []string) (*File, error) {
	abs, err := locate(path, env)
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return &File{path: abs, env: env}, readable(real)
	}
	return &File{path: abs, env: env}, nil
}

// Path returns the absolute path of the file.
func (f *File) Path() string { return f.path }

// Contents is a file as it was read: Config is what Load makes of it.
type Contents struct {
	Text   []byte
	Config Config
	file   *File
	env    []variable
}

// Read reads the file. Its errors are those of Load.
func (f *File) Read() (Contents, error) {
	if err := readable(f.path); err != nil {
		return Contents{}, err
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return Contents{}, syncerr.New(syncerr.Usage, "read configuration", "%w", err).WithHint("Let the user that runs tributary read %s", f.path)
	}
	c := Contents{Text: text, file: f}
	c.Config, c.env, err = load(content(text), f.path, f.env)
	return c, err
}

// content is a koanf.Provider of bytes.
type content []byte

// ReadBytes returns the bytes.
func (t content) ReadBytes() ([]byte, error) { return t, nil }

// Read is for providers that parse by themselves.
func (t content) Read() (map[string]any, error) { return nil, errors.New("bug: it is text") }

// Variable returns the environment variable that gives one of the settings which begin with a path (pull.types, conflicts.types), empty where none
// does.
func (c Contents) Variable(path string) string {
	for _, v := range c.env {
		if key := strings.ReplaceAll(v.key, levels, "."); within(key, path) || within(path, key) {
			return v.name
		}
	}
	return ""
}

// With returns the file's contents with something else synchronised: the same text but for the settings that differ (Edit). It returns a Usage error
// for each problem that Load would find with it, a Conflict error where a setting that would change comes from the environment, which would go before
// the file, and those of Edit.
func (c Contents) With(to Sync) (Contents, error) {
	was := c.Config.Sync()
	var problems []error
	for _, d := range differing(was, to) {
		if name := c.Variable(d); name != "" {
			problems = append(problems, syncerr.New(syncerr.Conflict, d, "it is set by the environment variable %s, which goes before the file", name).
				WithHint("Change it where the variable is set, for example in the unit file of the service, and start the node again; or take it out there and set it here"))
		}
	}
	if err := errors.Join(append(problems, c.Config.WithSync(to).check()...)...); err != nil {
		return Contents{}, err
	}
	text, err := Edit(c.Text, was, to)
	if err != nil {
		return Contents{}, err
	}
	out := Contents{Text: text, file: c.file}
	if out.Config, out.env, err = load(content(text), c.file.path, c.file.env); err != nil {
		return Contents{}, byHand(c.file.path, err)
	}
	if !out.Config.Sync().Equal(to) || !reflect.DeepEqual(out.Config.WithSync(was), c.Config.WithSync(was)) {
		return Contents{}, byHand(c.file.path, nil)
	}
	return out, nil
}

func byHand(path string, why error) error {
	e := syncerr.New(syncerr.Unsupported, "write configuration", "%s is written in a form that is not changed by a program", path)
	if why != nil {
		e = syncerr.New(syncerr.Unsupported, "write configuration", "%s is written in a form that is not changed by a program: %w", path, why)
	}
	return e.WithHint("Change pull, push or conflicts there by hand and start the node again")
}

// differing returns the settings in which two differ.
func differing(a, b Sync) []string {
	var out []string
	add := func(path string, same bool) {
		if !same {
			out = append(out, path)
		}
	}
	types := func(w Way) Sync { return Sync{Pull: Way{Types: w.Types}} }
	add("pull.enabled", a.Pull.Enabled == b.Pull.Enabled)
	add("pull.types", types(a.Pull).Equal(types(b.Pull)))
	add("push.enabled", a.Push.Enabled == b.Push.Enabled)
	add("push.types", types(a.Push).Equal(types(b.Push)))
	add("conflicts.default", a.Conflicts.Default == b.Conflicts.Default)
	both := map[string]bool{}
	for _, m := range []ConflictPolicy{a.Conflicts, b.Conflicts} {
		for t := range m.Types {
			both[t] = true
		}
	}
	for _, t := range sorted(both) {
		add(join("conflicts.types", t), a.Conflicts.Types[t] == b.Conflicts.Types[t])
	}
	return out
}

// Writable returns why the file cannot be changed, as a Denied error that says what to do; nil where it can.
func (f *File) Writable() error {
	_, _, err := f.target()
	return err
}

// target returns the file itself, behind links, and what it is.
func (f *File) target() (string, fs.FileInfo, error) {
	deny := func(why any) error {
		return syncerr.New(syncerr.Denied, "write configuration", "%s cannot be changed by this node: %v", f.path, why).
			WithHint("Let the user that runs tributary write the file and its folder; or change the file by hand and start the node again")
	}
	path, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return "", nil, deny(err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", nil, deny(err)
	case info.Mode().Perm()&0o222 == 0:
		return "", nil, deny("it is read-only")
	}
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return "", nil, deny(bare(err))
	}
	if err := w.Close(); err != nil {
		return "", nil, deny(bare(err))
	}
	probe, err := os.CreateTemp(filepath.Dir(path), ".tributary-*.yaml")
	if err != nil {
		return "", nil, deny(bare(err))
	}
	return path, info, errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// bare returns what an error of a file says without its path.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Replace writes what With returned in place of what was read: whole or not at all, also where the power fails, with the mode of the file. It returns
// a Conflict error where the file was changed since it was read, and a Denied one where it cannot be written.
func (c Contents) Replace(with Contents) error {
	path, info, err := c.file.target()
	if err != nil {
		return err
	}
	full := func(err error) error {
		return syncerr.New(syncerr.StorageFull, "write configuration", "%w", err).WithHint("The file is as it was; make room on its disk")
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tributary-*.yaml")
	if err != nil {
		return full(err)
	}
	defer os.Remove(tmp.Name()) // after the renaming there is none
	_, err = tmp.Write(with.Text)
	if err == nil {
		err = tmp.Chmod(info.Mode().Perm())
	}
	if err == nil {
		keepOwner(tmp, info)
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return full(err)
	}
	now, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(now, c.Text) {
		return syncerr.New(syncerr.Conflict, "write configuration", "%s was changed by somebody else at the same time", c.file.path).WithHint("Look at what it says now, and change it again")
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return full(err)
	}
	syncFolder(filepath.Dir(path))
	return nil
}
