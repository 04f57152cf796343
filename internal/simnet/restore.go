package simnet

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
)

// backUpOrRestore copies the node's data folder, as an operator would with a stopped machine, or puts the last copy back.
func (x *Node) backUpOrRestore(ctx context.Context) error {
	n := x.net
	if x.backup == nil || n.rand.IntN(3) == 0 {
		return x.backUp(ctx)
	}
	if x.backupDoubtful && (x.doubtful || x.twin != nil) {
		return nil // nobody has met the life that the copy is of, so that nobody could tell
	}
	// The nonce is put back, too: only the parent can tell, and only one that remembers the node. Where both were put back before they
	// met again nobody can, nor where the copy is itself of a life that was not found by then (core-review rule 8 has the residual).
	whole := x.height() == 1 && x.parent != nil && !n.opts.Moves && !x.unmet && n.rand.IntN(2) == 0 && !x.backupDoubtful
	for _, o := range n.nodes {
		if o.parent == x && (o.doubtful || o.twin != nil) {
			return nil
		}
	}
	if x.parent != nil && x.parent.awaited {
		return nil // it is the one that can tell
	}
	tell, err := x.peersTell(ctx)
	if err != nil {
		return err
	}
	awaited := tell && n.above.IntN(2) == 0
	if err := x.restore(ctx, whole || awaited); err != nil {
		return err
	}
	x.awaited = awaited
	x.renamed = x.renamed || awaited && x.parent != nil // a child may find it first, and has not what the parent was given since the copy was made
	edits := n.rand.IntN(8)                             // a busy clinic does not wait for its parent to find it
	if !whole {
		edits = 0
	}
	if awaited && len(x.peers()) > 1 {
		edits = n.above.IntN(8)
	}
	for range edits {
		if err := x.unlessFull(x.edit(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// peers returns who exchanges with a node: its children and its parent.
func (x *Node) peers() []*Node {
	var out []*Node
	for _, o := range x.net.nodes {
		if o.parent == x || o == x.parent {
			out = append(out, o)
		}
	}
	return out
}

// peersTell reports whether whoever comes first can tell that this node, which has children, was put back as a whole machine: the only child of a
// node at the top, or several peers that all remember more of its log than the copy has. What one who remembers less takes of the second life
// before another one comes who remembers more has two contents, and nobody can keep them apart: that peer has no means to know that the
// version stood for something else, and the other one nobody to ask before it took that (docs/decisions.md names the case).
func (x *Node) peersTell(ctx context.Context) (bool, error) {
	if !x.net.opts.Above || x.height() == 1 || x.twin != nil || x.backupDoubtful {
		return false, nil
	}
	peers := x.peers()
	if len(peers) == 1 {
		return !peers[0].unmet && peers[0].restored == 0 && peers[0].twin == nil, nil
	}
	now, err := x.live.Engine().Store().Head(ctx)
	if err != nil || x.unmet {
		return false, err
	}
	for _, o := range peers {
		if o.twin != nil || o.busy > 0 || o.unmet && o.parent == x { // an answer may be under way to it
			return false, nil
		}
		c, err := o.remembers(ctx, x)
		if err != nil || c.Epoch != now.Epoch || c.Epoch != x.backupHead.Epoch || c.Seq <= x.backupHead.Seq {
			return false, err
		}
	}
	return true, nil
}

// remembers returns the place in the log of its parent or of a child up to which a node remembers it.
func (x *Node) remembers(ctx context.Context, of *Node) (feed.Cursor, error) {
	st := x.live.Engine().Store()
	if of.parent == x {
		var h store.LogHead
		err := st.Read(ctx, func(r *store.Reader) error {
			var err error
			h, err = r.Remembered(of.tokens[x.name].id, of.as, of.live.Engine().Store().Identity().Replica)
			return err
		})
		return h.Cursor, err
	}
	text, err := st.State(ctx, engine.StateSaw) // what only the parent reads: its epoch, sequence and more, separated by colons
	if parts := strings.SplitN(text, ":", 3); err == nil && len(parts) == 3 {
		return feed.ParseCursor(parts[0] + ":" + parts[1])
	}
	return feed.Cursor{}, err
}

// heard notes that an exchange with a peer went well.
func (x *Node) heard() {
	if x.awaited {
		x.awaited, x.doubtful = false, false
	}
}

// restore puts the last copy of the node's data folder back; whole says that its nonce is put back, too.
func (x *Node) restore(ctx context.Context, whole bool) error {
	n, to := x.net, x.dir+".backup"
	now, err := x.view(ctx)
	if err != nil {
		return err
	}
	n.logf("%s is restored from its backup, whole machine: %v", x.name, whole)
	if err := x.loses(ctx, now); err != nil {
		return err
	}
	for r := range x.own {
		x.forgot[r] = x.forgot[r] || !x.backupOwn[r]
	}
	err = x.restart(ctx, func() error {
		if err := copyFolder(to, x.dir); err != nil || !whole {
			return err
		}
		return copyFile(to+".nonce", x.nonce())
	})
	if err != nil {
		return err
	}
	x.doubtful, x.renamed = whole || x.backupDoubtful, x.renamed || x.backupDoubtful
	for _, o := range n.nodes { // its operator adds the children again that it does not know
		if o.parent == x {
			o.unmet = true
			if err := o.enrol(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *Node) backUp(ctx context.Context) error {
	if x.busy > 0 || x.crashed {
		return nil
	}
	now, err := x.view(ctx)
	if err != nil {
		return err
	}
	x.net.logf("%s is backed up", x.name)
	x.backup, x.backupDoubtful, x.backupOwn = &now, x.doubtful || x.twin != nil, maps.Clone(x.own)
	if x.backupHead, err = x.live.Engine().Store().Head(ctx); err != nil {
		return err
	}
	return x.restart(ctx, func() error {
		if err := copyFolder(x.dir, x.dir+".backup"); err != nil {
			return err
		}
		return copyFile(x.nonce(), x.dir+".backup.nonce")
	})
}

// loses notes what is gone when the node goes back from now to its backup: what nobody else has.
func (x *Node) loses(ctx context.Context, now view) error {
	n := x.net
	x.restored++
	n.noteLives(x, now)
	views := []view{*x.backup}
	for _, o := range n.nodes {
		if o == x {
			continue
		}
		v, err := o.view(ctx)
		if err != nil {
			return err
		}
		views = append(views, v)
	}
	n.gone(now, views)
	return nil
}

// gone notes what is lost with a database, of which views are all others.
func (n *Net) gone(now view, views []view) {
	n.restored++
	n.lostConflicts = append(n.lostConflicts, now.conflicts...)
	n.collect([]view{now})
	n.remember(append(views[:len(views):len(views)], now)) // for the names that writes got meanwhile
	n.remember(views)
}

func (x *Node) nonce() string {
	return filepath.Join(filepath.Dir(x.dir), "."+filepath.Base(x.dir)+".nonce")
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

func copyFolder(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
