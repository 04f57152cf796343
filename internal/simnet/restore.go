package simnet

import (
	"context"
	"os"
	"path/filepath"
)

// backUpOrRestore copies the node's data folder, as an operator would with a stopped machine, or puts the last copy back.
func (x *Node) backUpOrRestore(ctx context.Context) error {
	n := x.net
	if x.backup == nil || n.rand.IntN(3) == 0 {
		return x.backUp(ctx)
	}
	if x.backupDoubtful && x.doubtful {
		return nil // nobody has met the life that the copy is of, so that nobody could tell
	}
	// The nonce is put back, too: only the parent can tell, and only one that remembers the node. Where both were put back before they
	// met again nobody can, nor where the copy is itself of a life that was not found by then (core-review rule 8 has the residual).
	whole := x.height() == 1 && x.parent != nil && !n.opts.Moves && !x.unmet && n.rand.IntN(2) == 0 && !x.backupDoubtful
	for _, o := range n.nodes {
		if o.parent == x && o.doubtful {
			return nil
		}
	}
	if x.parent != nil && x.parent.awaited {
		return nil // it is the one that can tell
	}
	awaited := x.childTells() && n.above.IntN(2) == 0
	if err := x.restore(ctx, whole || awaited); err != nil {
		return err
	}
	x.awaited = awaited
	for i := n.rand.IntN(8); whole && i > 0; i-- { // a busy clinic does not wait for its parent to find it
		if err := x.unlessFull(x.edit(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// childTells reports whether a child can tell that this node was put back as a whole machine: the only one of a node at the top. Where several
// peers met the node, what one of them takes of the second life before another comes who knows of the first has two contents (core-review rule 8
// has the residual).
func (x *Node) childTells() bool {
	if !x.net.opts.Above || x.parent != nil || x.twin != nil || x.backupDoubtful {
		return false
	}
	var children []*Node
	for _, o := range x.net.nodes {
		if o.parent == x {
			children = append(children, o)
		}
	}
	return len(children) == 1 && !children[0].unmet && children[0].restored == 0 && children[0].twin == nil
}

// heard notes that a pass of a child went well.
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
	x.backup, x.backupDoubtful = &now, x.doubtful
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
