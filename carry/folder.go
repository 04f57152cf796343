package carry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/syncerr"
)

// Node is what a folder needs of a node. A Carrier is one in the process, clients/control one over HTTP.
type Node interface {
	Write(ctx context.Context, peer string, space int64, keep func(serial uint64, p Part) error) ([]byte, Written, error)
	Check(ctx context.Context, manifest []byte) (Manifest, error)
	Take(ctx context.Context, manifest []byte, part func(int) ([]byte, error)) (Taken, error)
}

// Folder is the folder of a stick, or any other. Nothing outside of it is read or written, whatever stands in it.
type Folder struct {
	dir  string
	root *os.Root
}

// OpenFolder opens the folder TRIBUTAR in dir. With create it is made where it is not there; else the error is NotFound. dir itself has to be
// there: it is the stick.
func OpenFolder(dir string, create bool) (*Folder, error) {
	const op = "open the stick"
	outer, err := os.OpenRoot(dir)
	if err != nil {
		return nil, syncerr.New(syncerr.NotFound, op, "%w", cause(err)).WithHint("Is the stick in, and is %s the folder under which it is mounted?", dir)
	}
	defer outer.Close()
	if create {
		if err := outer.Mkdir(baseFolder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, failed(op, err)
		}
	}
	info, err := outer.Lstat(baseFolder)
	if err != nil || !info.IsDir() {
		return nil, syncerr.New(syncerr.NotFound, op, "there is no folder %s in %s", baseFolder, dir).
			WithHint("Nothing was written to this stick yet: `tributary carry introduce %s` begins", dir)
	}
	root, err := outer.OpenRoot(baseFolder)
	if err != nil {
		return nil, failed(op, err)
	}
	return &Folder{dir: dir, root: root}, nil
}

// Close ends the use of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// failed says what a file system's error means to a person. A full one is StorageFull.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	switch {
	case isFull(err):
		return syncerr.New(syncerr.StorageFull, op, "the stick is full: %w", cause(err)).WithHint("Make room on it or take a larger one")
	case errors.Is(err, fs.ErrPermission):
		return syncerr.New(syncerr.Denied, op, "%w", err).WithHint("Is the stick write-protected, or mounted for another user?")
	}
	return syncerr.New(syncerr.Transient, op, "%w", err).WithHint("Is the stick still in? Run the command again: nothing is half done")
}

func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// read reads a regular file of at most limit bytes.
func (f *Folder) read(name string, limit int64) ([]byte, error) {
	const op = "read the stick"
	info, err := f.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, syncerr.New(syncerr.NotFound, op, "the file %s is missing", name).WithHint("Write the stick again: it was pulled out too early, or not all was copied")
	case err != nil:
		return nil, failed(op, err)
	case !info.Mode().IsRegular():
		return nil, syncerr.New(syncerr.Invalid, op, "%s is no ordinary file", name)
	case info.Size() > limit:
		return nil, syncerr.New(syncerr.Invalid, op, "%s has %d bytes, at most %d are read", name, info.Size(), limit)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, failed(op, err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, failed(op, err)
	}
	if int64(len(b)) > limit {
		return nil, syncerr.New(syncerr.Invalid, op, "%s grows while it is read", name)
	}
	return b, nil
}

// write writes a new file and has it on the stick when it returns.
func (f *Folder) write(name string, b []byte) error {
	_ = f.root.Remove(name) // what an earlier run left; a name that leads elsewhere goes, and not what it leads to
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	return errors.Join(err, file.Sync(), file.Close())
}

// replace writes a file under another name and puts it into its place.
func (f *Folder) replace(name string, b []byte) error {
	temp := strings.TrimSuffix(name, path.Ext(name)) + tempSuffix
	if err := f.write(temp, b); err != nil {
		_ = f.root.Remove(temp)
		return err
	}
	if err := f.root.Rename(temp, name); err != nil {
		return err
	}
	return f.sync(path.Dir(name))
}

// sync has the names in a folder on the stick, where its file system can.
func (f *Folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // not every system can do it with a folder
	return d.Close()
}

func (f *Folder) names(dir string) ([]fs.DirEntry, error) {
	d, err := f.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed("read the stick", err)
	}
	defer d.Close()
	list, err := d.ReadDir(maxEntries)
	if err != nil && err != io.EOF {
		return nil, failed("read the stick", err)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// maxEntries bounds the names that are read of one folder.
const maxEntries = 50_000

// PutCard writes a card under the node's own name.
func (f *Folder) PutCard(card []byte) error {
	c, err := ReadCard(card)
	if err != nil {
		return err
	}
	if err := f.replace(Tag(c.Key)+cardSuffix, card); err != nil {
		return failed("write the card", err)
	}
	return f.readme()
}

// Cards returns the texts of the cards in the folder; which of them are good is for ReadCard to say.
func (f *Folder) Cards() ([][]byte, error) {
	list, err := f.names(".")
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for _, e := range list {
		if !isCard(e.Name()) {
			continue
		}
		b, err := f.read(e.Name(), maxCard)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// To is for whom a bundle is: a node's name and key, and the newest of its bundles that this node has taken to its end.
type To struct {
	Name, Key string
	Taken     uint64
}

// Out writes a bundle of a node with the key own for a peer. free returns how many bytes are free on the stick, negative where that cannot be told;
// limit bounds what is written further, 0 for no bound. Where room is short, what the peer sent and this node has taken makes room. The bundle for the peer that stood there stays until the new one is whole, unless there is
// no room for both.
func (f *Folder) Out(ctx context.Context, n Node, own string, to To, free func() int64, limit int64) (Written, error) {
	const op = "write the stick"
	dir := path.Join(Tag(own), Tag(to.Key))
	if err := f.root.MkdirAll(dir, 0o755); err != nil {
		return Written{}, failed(op, err)
	}
	old, had, err := f.tidy(dir, own, to.Key)
	if err != nil {
		return Written{}, err
	}
	space := room(free(), limit)
	if space > 0 && space < leastRoom {
		if err := f.spend(path.Join(Tag(to.Key), Tag(own)), to); err != nil {
			return Written{}, failed(op, err)
		}
		space = room(free(), limit)
	}
	if had && space > 0 && space < old.Size()*5/4+leastRoom {
		if err := f.drop(dir, nil); err != nil { // all of what it holds, and more, is in the new one
			return Written{}, failed(op, err)
		}
		space = room(free(), limit)
	}
	for {
		w, written, err := f.out(ctx, n, dir, to.Name, space)
		if err == nil {
			return w, f.finish(dir, w.Manifest)
		}
		if cerr := f.clean(dir); cerr != nil || !isFull(err) || written <= leastRoom || ctx.Err() != nil {
			return w, failedOut(op, err)
		}
		space = written - leastSpace // there was less room than the system had said
	}
}

// spend removes the bundle of a peer that this node has taken.
func (f *Folder) spend(dir string, from To) error {
	b, err := f.read(path.Join(dir, manifestFile), maxManifest)
	if err != nil {
		return nil // there is none
	}
	m, err := ReadManifest(b)
	if err != nil || m.Key != from.Key || m.Serial > from.Taken {
		return nil // what is not known to be taken stays
	}
	return f.drop(dir, nil)
}

func failedOut(op string, err error) error {
	var known *syncerr.Error
	if errors.As(err, &known) {
		return err
	}
	return failed(op, err)
}

// leastRoom is what a bundle is given at least before an older one makes room for it.
const leastRoom = 4 << 20

// room returns how much a bundle may take on a stick, 0 for no bound. A little is left for the names of the files.
func room(free, limit int64) int64 {
	if free >= 0 {
		free = max(1, free-free/100-512<<10)
		if limit == 0 || free < limit {
			return free
		}
	}
	return limit
}

func (f *Folder) out(ctx context.Context, n Node, dir, peer string, space int64) (Written, int64, error) {
	var written int64
	manifest, w, err := n.Write(ctx, peer, space, func(serial uint64, p Part) error {
		if err := f.write(path.Join(dir, partName(serial, p.File)), p.Bytes); err != nil {
			return err
		}
		written += p.Size
		return nil
	})
	if err != nil {
		return w, written, err
	}
	if err := f.sync(dir); err != nil {
		return w, written, err
	}
	return w, written, f.replace(path.Join(dir, manifestFile), manifest)
}

// finish removes what the bundle that is whole now has replaced, and says on the stick what is on it.
func (f *Folder) finish(dir string, m Manifest) error {
	if err := f.drop(dir, &m); err != nil {
		return failed("write the stick", err)
	}
	return f.readme()
}

// clean removes what belongs to no bundle that is whole.
func (f *Folder) clean(dir string) error {
	b, err := f.read(path.Join(dir, manifestFile), maxManifest)
	if err != nil {
		return f.drop(dir, nil)
	}
	m, err := ReadManifest(b)
	if err != nil {
		return f.drop(dir, nil)
	}
	return f.drop(dir, &m)
}

// tidy removes what a run left that was stopped. It returns the bundle that stands there; false where none does. It returns a Conflict error where
// that is between other nodes.
func (f *Folder) tidy(dir, own, key string) (Manifest, bool, error) {
	b, err := f.read(path.Join(dir, manifestFile), maxManifest)
	if err == nil {
		if m, err := ReadManifest(b); err == nil {
			if m.Key != own || m.Reader != key {
				return m, false, syncerr.New(syncerr.Conflict, "write the stick", "%s holds a bundle from %s for %s", path.Join(baseFolder, dir), m.Node, m.To).
					WithHint("Take another stick for it")
			}
			return m, true, failed("write the stick", f.drop(dir, &m))
		}
	}
	return Manifest{}, false, failed("write the stick", f.drop(dir, nil))
}

// drop removes all files of bundles in a folder but those of one.
func (f *Folder) drop(dir string, but *Manifest) error {
	list, err := f.names(dir)
	if err != nil {
		return err
	}
	var all []error
	remove := func(name string) {
		if err := f.root.Remove(path.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			all = append(all, err)
		}
	}
	if but == nil {
		remove(manifestFile) // first: without it the rest is nothing
	}
	for _, e := range list {
		var serial uint64
		if but != nil {
			serial = but.Serial
		}
		part, mine := isPart(e.Name(), serial)
		if e.Name() == tempFile || part && (but == nil || !mine) {
			remove(e.Name())
		}
	}
	return errors.Join(all...)
}

// Found is a bundle in a folder.
type Found struct {
	Manifest Manifest
	text     []byte
	dir      string
}

// Bundles returns the bundles in the folder that are for a key, "" for any, with what is wrong with those that cannot be read.
func (f *Folder) Bundles(key string) ([]Found, error) {
	writers, err := f.names(".")
	if err != nil {
		return nil, err
	}
	var out []Found
	var wrong []error
	for _, w := range writers {
		if !w.IsDir() || !isTag(w.Name()) {
			continue
		}
		readers, err := f.names(w.Name())
		if err != nil {
			return nil, err
		}
		for _, r := range readers {
			if !r.IsDir() || !isTag(r.Name()) || key != "" && r.Name() != Tag(key) {
				continue
			}
			dir := path.Join(w.Name(), r.Name())
			b, err := f.read(path.Join(dir, manifestFile), maxManifest)
			if syncerr.KindOf(err) == syncerr.NotFound {
				if list, lerr := f.names(dir); lerr == nil && len(list) == 0 {
					continue // nothing was ever written there to its end
				}
			}
			if err == nil {
				found := Found{text: b, dir: dir}
				if found.Manifest, err = ReadManifest(b); err == nil {
					out = append(out, found)
					continue
				}
			}
			wrong = append(wrong, fmt.Errorf("%s: %w", path.Join(baseFolder, dir), err))
		}
	}
	return out, errors.Join(wrong...)
}

// In gives a bundle to a node: its manifest is checked, then every file, and only then the first change is taken.
func (f *Folder) In(ctx context.Context, n Node, b Found) (Taken, error) {
	m, err := n.Check(ctx, b.text)
	if err != nil {
		return Taken{}, err
	}
	file := func(i int) ([]byte, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return f.read(path.Join(b.dir, partName(m.Serial, m.Parts[i].File)), m.Parts[i].Size)
	}
	for i, p := range m.Parts {
		text, err := file(i)
		if err != nil {
			return Taken{}, err
		}
		if err := p.Check(text); err != nil {
			return Taken{}, err
		}
	}
	return n.Take(ctx, b.text, file)
}

// readme says on the stick, for whoever finds it, what is on it.
func (f *Folder) readme() error {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("This folder carries health records between two or more Tributary nodes")
	line("(programs that keep the records of clinics in step). Everything about")
	line("patients in it is encrypted: only the node that it is for can read it.")
	line("")
	line("If you found this stick, please bring it to one of the places below.")
	line("Do not change, rename or delete anything in this folder.")
	line("")
	line("At the node:  tributary carry in FOLDER-OF-THE-STICK")
	line("and then:     tributary carry out FOLDER-OF-THE-STICK")
	line("")
	found, _ := f.Bundles("") // what cannot be read is not spoken of
	for _, x := range found {
		m := x.Manifest
		line("From %s for %s", m.Node, m.To)
		line("  bundle %d, written %s UTC", m.Serial, time.UnixMilli(m.Made).UTC().Format("2006-01-02 15:04"))
		line("  %d changes, %d files, %d KiB, in %s", m.Lines(Changes), len(m.Parts), (m.Size()+1023)>>10, strings.ReplaceAll(x.dir, "/", `\`))
		if !m.Whole {
			line("  The stick was full: the rest follows when this has been taken.")
		}
		line("")
	}
	cards, err := f.Cards()
	if err != nil {
		return err
	}
	for _, text := range cards {
		if c, err := ReadCard(text); err == nil {
			line("Introduced by card: %s, key %s", c.Node, Fingerprint(c.Key))
		}
	}
	return failed("write the stick", f.replace(readmeFile, b.Bytes()))
}
