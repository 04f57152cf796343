package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// incarnate compares the nonce in the database with the one in the file, and replaces both (DESIGN.md 4.3, restore and clone). Where
// they differ the database is an older copy of itself: it takes a new replica and a new epoch before anything is written, so that
// no version is minted twice, and what it lost comes back from its peers, who read and offer everything again.
func (n *Node) incarnate(ctx context.Context) error {
	path := n.cfg.NoncePath()
	inFile, late, err := readNonce(path)
	if err != nil {
		return err
	}
	now, before, err := n.store.Nonces(ctx)
	if err != nil {
		return err
	}
	if now != "" && inFile != now && inFile != before {
		if err := n.olderCopy(ctx, "its nonce is not the one in "+path, slices.Contains(late, n.store.Identity().Replica)); err != nil {
			return err
		}
		n.deps.Log.Warn("the database is an older copy: it goes on under a new replica", "replica", string(n.store.Identity().Replica))
	}
	if err := n.rotate(ctx); err != nil {
		if !syncerr.KindOf(err).Retry() {
			return err
		}
		n.deps.Log.Warn("a restore would not be noticed", "error", err) // a full disk must not keep readers out
	}
	return nil
}

// olderCopy gives a database that its nonce shows to be an older copy a new replica and a new log. Late says that this replica was itself found to be
// an older copy once, so that its last changes may bear names which were given twice: the parent is asked about them, and without one all that no child
// was seen to have is written again.
func (n *Node) olderCopy(ctx context.Context, why string, late bool) error {
	if !late {
		return n.engine.Restored(ctx, why, nil)
	}
	pushed, err := n.pushed(ctx)
	if err != nil {
		return err
	}
	if n.cfg.Parent.URL != "" {
		return n.engine.Restored(ctx, why, &engine.Suspect{Replica: n.store.Identity().Replica, Pushed: pushed})
	}
	var agreed uint64
	err = n.store.Read(ctx, func(r *store.Reader) error {
		var err error
		agreed, err = r.AgreedMost()
		return err
	})
	if err != nil {
		return err
	}
	return n.engine.RestoredLate(ctx, why, "", max(agreed, pushed), nobody)
}

// nobody confirms nothing.
func nobody(context.Context, []feed.Ref) ([]feed.Event, error) { return nil, nil }

// pushed returns up to which sequence the parent has this node's log.
func (n *Node) pushed(ctx context.Context) (uint64, error) {
	pos, err := n.store.Position(ctx, "parent", control.Push)
	if err != nil || pos.Epoch != n.store.Identity().Epoch {
		return 0, err
	}
	return pos.Seq, nil
}

// foundByChild gives the database a new replica and a new log, because a child remembers what the log does not have. Who else has what was
// written since then cannot be asked before anything is exchanged: all of it is written again, but for what lies below agreed, up to where
// children were seen to have the same log, or below what the parent has confirmed. The machine was put back with both, and whoever
// remembers more than it had then would have found it before.
func (n *Node) foundByChild(ctx context.Context, why, epoch string, agreed uint64) error {
	pushed, err := n.pushed(ctx)
	if err != nil {
		return err
	}
	agreed = max(agreed, pushed)
	if err := n.foundLate(); err != nil {
		return err
	}
	if err := n.engine.RestoredLate(ctx, why, epoch, agreed, nobody); err != nil {
		return err
	}
	n.deps.Log.Warn("the database is an older copy: it goes on under a new replica", "replica", string(n.store.Identity().Replica))
	return nil
}

// foundLate notes in the file that this replica's last changes have other names now. A backup that was made before that was found out
// still has them under the old ones.
func (n *Node) foundLate() error {
	n.nonce.Lock()
	defer n.nonce.Unlock()
	path := n.cfg.NoncePath()
	nonce, late, err := readNonce(path)
	if now := n.store.Identity().Replica; err == nil && !slices.Contains(late, now) {
		err = replaceNonce(path, nonce, append(late, now))
	}
	return err
}

// rotate gives database and file a new nonce. The database keeps the one before, so that a crash between the two is no restore. It is
// done at each start and every hour, so that a copy of the database soon has a nonce that is past.
func (n *Node) rotate(ctx context.Context) error {
	n.nonce.Lock()
	defer n.nonce.Unlock()
	path, next := n.cfg.NoncePath(), n.store.NewUUID()
	_, late, err := readNonce(path)
	if err != nil {
		return err
	}
	if err := writeNonce(path+".new", next, late); err != nil {
		return err // nothing is changed: the file and the database still agree
	}
	if err := n.store.Write(ctx, func(tx *store.Tx) error { return tx.SetNonce(next) }); err != nil {
		return err
	}
	return unwritable(path, os.Rename(path+".new", path))
}

// readNonce returns the first word of the file and, from the lines behind it, the replicas that were found to be older copies late.
func readNonce(path string) (nonce string, late []version.Replica, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	for i, line := range strings.Fields(string(b)) {
		if i == 0 {
			nonce = line
		} else {
			late = append(late, version.Replica(line))
		}
	}
	return nonce, late, syncerr.Wrap(syncerr.Usage, "read the nonce of the database", err)
}

func replaceNonce(path, nonce string, late []version.Replica) error {
	if err := writeNonce(path+".new", nonce, late); err != nil {
		return err
	}
	return unwritable(path, os.Rename(path+".new", path))
}

func writeNonce(path, nonce string, late []version.Replica) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return unwritable(path, err)
	}
	text := nonce + "\n"
	for _, r := range late {
		text += string(r) + "\n"
	}
	_, err = f.WriteString(text)
	return unwritable(path, errors.Join(err, f.Sync(), f.Close()))
}

func unwritable(path string, err error) error {
	if err == nil {
		return nil
	}
	return &syncerr.Error{
		Kind: syncerr.StorageFull, Op: "write " + path, Err: err,
		Hint: "The node needs this file to notice when its database was restored: make the folder writable for it",
	}
}
