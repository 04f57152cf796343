package carry

import (
	"bytes"
	"context"
	"slices"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

const (
	plainPart  = 8 << 20  // bytes of text in a part, about
	rowsAtOnce = 200      // rows read in one snapshot, so that a slow stick never keeps one open
	maxUnit    = 64 << 20 // bytes of a transaction that goes as one
	cluster    = 64 << 10 // bytes by which a file may take more on a stick than it has
	leastSpace = 256 << 10
	maxHeads   = 8 // of a peer's log that are remembered
)

// Written says what a bundle holds.
type Written struct {
	Manifest Manifest  `json:"manifest"`
	Run      audit.Run `json:"run"`
	// Whole is true where everything that the other node lacks is in the bundle. Else the stick was full: the rest goes with the next one, after
	// the other node has taken this one and answered.
	Whole bool `json:"complete"`
}

// Write makes a bundle for a peer that takes at most space bytes on the stick, 0 for no bound, and gives its files to keep one by one. What keep
// returns ends it. It returns the manifest, which goes onto the stick after all files. It returns a Denied error where the peer was not
// introduced, StorageFull where not even what must be in a bundle fits.
func (c *Carrier) Write(ctx context.Context, peer string, space int64, keep func(serial uint64, p Part) error) ([]byte, Written, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, side, err := c.peer(ctx, "write a stick", peer, "")
	if err != nil {
		return nil, Written{}, err
	}
	w := &writer{Carrier: c, p: p, side: side, keep: keep, bounded: space > 0, space: space}
	w.Pass = c.eng.Begin(engine.CarryOut, side.Link.Peer, c.cfg.Clock, w.traffic)
	text, err := w.all(ctx)
	run, err := w.Close(ctx, err)
	return text, Written{Manifest: w.m, Run: run, Whole: w.m.Whole}, err
}

// writer is one run of Write.
type writer struct {
	*Carrier
	*engine.Pass
	p       store.CarryPeer
	side    Side
	keep    func(uint64, Part) error
	bounded bool
	space   int64 // bytes that are left on the stick
	bytes   int64 // written

	m     Manifest
	known feed.Knowledge // the reader's, as it last said
	lacks map[fhir.Key]version.Vector
	units map[string]bool              // transactions that are in the bundle
	dirty map[fhir.Key]version.Version // copies that are in it because one is held here
	names map[version.Replica]bool

	plain bytes.Buffer // of the part that is being made
	enc   *feed.Encoder
	lines int
	end   store.CarryPlace
	full  bool
}

func (w *writer) traffic() (in, out int64) { return 0, w.bytes }

func (w *writer) all(ctx context.Context) ([]byte, error) {
	if err := w.Open(ctx); err != nil {
		return nil, err
	}
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	reserve, err := w.reserve(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.receipts(ctx); err != nil {
		return nil, err
	}
	if err := w.changes(ctx); err != nil {
		return nil, err
	}
	w.space += reserve
	if err := w.knowledge(ctx); err != nil {
		return nil, err
	}
	if err := w.m.check(); err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, "write a stick", err)
	}
	return signed(w.cfg.Key, forBundle, w.m)
}

// begin takes the number of the bundle and reads on what it builds.
func (w *writer) begin(ctx context.Context) error {
	st := w.eng.Store()
	var head store.LogHead
	var floor uint64
	err := st.Read(ctx, func(r *store.Reader) error {
		seq, err := r.Head()
		if err != nil || seq == 0 {
			return err
		}
		if floor, err = r.Floor(); err != nil {
			return err
		}
		head, _, err = r.LogHead(r.Identity().Epoch, seq)
		return err
	})
	if err != nil {
		return err
	}
	bundle := st.NewUUID()
	err = st.Write(ctx, func(tx *store.Tx) error {
		var err error
		if w.p, err = tx.CarryPeer(w.p.ID); err != nil {
			return err
		}
		w.p.Out, w.p.OutAt = w.p.Out+1, tx.Now()
		w.p.State.Wrote = wrote(w.p.State.Wrote, mark{chainOf(st.Identity().Epoch, w.p), w.p.Out, bundle[:markDigits]})
		if err := tx.SendCarryReceipts(w.p.ID, w.p.Out); err != nil {
			return err
		}
		return tx.SaveCarryPeer(w.p)
	})
	if err != nil {
		return err
	}
	id, s := st.Identity(), w.p.State
	w.m = Manifest{
		Format: Format, Bundle: bundle, Serial: w.p.Out, Made: w.cfg.Clock().UnixMilli(), Node: w.cfg.Node, Key: w.Public(), Replica: id.Replica,
		Epoch: id.Epoch, Head: head.String(), Floor: floor, To: w.p.Name, Reader: w.p.PublicKey, Decides: w.decides(w.p, w.side), Sends: w.side.Sends, Asks: s.Said.Asks,
		Took: w.p.In, Place: s.Place, Wants: w.side.Wants, Read: s.Read, Saw: s.Heads,
		Wrote: s.Wrote, Seen: s.Seen,
	}
	if w.known, err = w.told(ctx); err != nil {
		return err
	}
	if s.Said.Serial > 0 {
		w.m.Basis = Basis{Epoch: s.Said.Epoch, Serial: s.Said.Serial}
	}
	w.lacks = map[fhir.Key]version.Vector{}
	for t, k := range w.known {
		for _, l := range k.Lacks {
			w.lacks[fhir.Key{Type: t, ID: l.ID}] = l.Seen
		}
	}
	w.units, w.dirty, w.names = map[string]bool{}, map[fhir.Key]version.Version{}, map[version.Replica]bool{}
	w.end = store.CarryPlace{}
	if at := s.Said.Place; at.Scope == scope(w.m.Sends, w.m.Asks) && at.Epoch == id.Epoch {
		w.m.Start, w.end = at, at
	}
	return nil
}

// told reads what the reader said that it knows.
func (w *writer) told(ctx context.Context) (feed.Knowledge, error) {
	b, err := w.eng.Store().CarryKnown(ctx, w.p.ID)
	if err != nil || b == nil {
		return feed.Knowledge{}, err
	}
	parts, err := unpackKnown(b)
	return feed.KnowledgeOf(parts), err
}

// sends reports whether a type goes to the reader.
func (w *writer) sends(t string) bool {
	return fhir.Selected(w.m.Sends, t) && fhir.Selected(w.m.Asks, t)
}

// tells returns the types of which this node's knowledge is told: those that it gives, and those that it asks for.
func (w *writer) tells(t string) bool {
	return fhir.Selected(w.m.Sends, t) || fhir.Selected(w.m.Wants, t)
}

// own reads what this node knows, as the text of a part, and up to where its log goes then.
func (w *writer) own(ctx context.Context, upTo func(r *store.Reader) (bool, error)) (text []byte, parts []feed.Known, ok bool, err error) {
	err = w.eng.Store().Read(ctx, func(r *store.Reader) error {
		var err error
		if ok, err = upTo(r); err != nil || !ok {
			return err
		}
		parts, err = r.Knowledge(nil)
		return err
	})
	if err != nil || !ok {
		return nil, nil, ok, err
	}
	parts = slices.DeleteFunc(parts, func(k feed.Known) bool { return !w.tells(k.Type) })
	var b bytes.Buffer
	enc := feed.NewEncoder(&b)
	for _, k := range parts {
		if err := enc.Known(k); err != nil {
			return nil, nil, ok, err
		}
	}
	err = enc.End(feed.End{})
	return b.Bytes(), parts, ok, err
}

// reserve sets aside what the knowledge at the end takes. It returns how much.
func (w *writer) reserve(ctx context.Context) (int64, error) {
	if !w.bounded {
		return 0, nil
	}
	text, _, _, err := w.own(ctx, func(*store.Reader) (bool, error) { return true, nil })
	if err != nil {
		return 0, err
	}
	sealed, err := seal(text, w.p.PublicKey)
	if err != nil {
		return 0, err
	}
	n := int64(len(sealed))*5/4 + 2*cluster
	if w.space -= n; w.space < leastSpace {
		return 0, noSpace(w.space+n, n+leastSpace)
	}
	return n, nil
}

func noSpace(has, needs int64) error {
	return syncerr.New(syncerr.StorageFull, "write a stick", "there are %d KiB on it for this node, and at least %d KiB are needed", max(0, has)>>10, (needs+1023)>>10).
		WithHint("Make room on the stick or take a larger one; nothing was written")
}

// receipts writes what became of what the reader sent.
func (w *writer) receipts(ctx context.Context) error {
	var all []feed.Receipt
	err := w.eng.Store().Read(ctx, func(r *store.Reader) error {
		all = all[:0]
		return r.CarryReceipts(w.p.ID, w.m.Serial, func(rec feed.Receipt) error {
			all = append(all, rec)
			return nil
		})
	})
	if err != nil {
		return err
	}
	half := w.space / 2
	for _, r := range all {
		if w.plain.Len() >= w.target() {
			if err := w.flush(Receipts); err != nil {
				return err
			}
			if w.full || w.bounded && w.space < half { // the rest of the room is for changes, and these are told by the next one
				return w.eng.Store().Write(ctx, func(tx *store.Tx) error { return tx.UnsendCarryReceipts(w.p.ID, r.Key) })
			}
		}
		if err := w.encoder().Receipt(r); err != nil {
			return err
		}
		w.lines++
	}
	return w.flush(Receipts)
}

func (w *writer) encoder() *feed.Encoder {
	if w.enc == nil {
		w.plain.Reset()
		w.enc = feed.NewEncoder(&w.plain)
	}
	return w.enc
}

// target is how many bytes of text the part may have that is being made. What is encrypted takes a little more than its text where it cannot be
// compressed, so that what fits as text fits.
func (w *writer) target() int {
	if !w.bounded {
		return plainPart
	}
	return int(min(plainPart, max(0, w.space-2*cluster-w.space/50)))
}

// flush ends the part that is being made and gives it to keep.
func (w *writer) flush(kind Kind) error {
	if w.enc == nil {
		return nil
	}
	if err := w.enc.End(feed.End{}); err != nil {
		return err
	}
	part := Part{Kind: kind, Plain: int64(w.plain.Len()), Lines: w.lines}
	if kind == Changes {
		part.End = w.end
	}
	w.enc, w.lines = nil, 0
	if err := w.give(part, w.plain.Bytes()); err != nil {
		return err
	}
	w.full = w.bounded && w.space < leastSpace
	w.names = map[version.Replica]bool{} // each part tells the names that it needs
	return nil
}

func (w *writer) give(part Part, plain []byte) error {
	sealed, err := seal(plain, w.p.PublicKey)
	if err != nil {
		return err
	}
	part.File, part.Size, part.Sum, part.Bytes = len(w.m.Parts)+1, int64(len(sealed)), digest(sealed), sealed
	if w.bounded && (part.Size+cluster > w.space || len(w.m.Parts)+2 > maxParts) {
		return noSpace(w.space, part.Size+cluster)
	}
	if err := w.keep(w.m.Serial, part); err != nil {
		return err
	}
	w.space -= (part.Size/cluster+1)*cluster + 256 // and its line in the manifest
	w.bytes += part.Size
	part.Bytes = nil
	w.m.Parts = append(w.m.Parts, part)
	return nil
}

// knowledge writes, as the first part, what this node knows: where all changes are in the bundle, at the end of these.
func (w *writer) knowledge(ctx context.Context) error {
	for {
		var head uint64
		text, known, ok, err := w.own(ctx, func(r *store.Reader) (bool, error) {
			var err error
			head, err = r.Head()
			return err != nil || w.full || w.end.Resume == "" && head == w.end.Seq, err
		})
		if err != nil {
			return err
		}
		if !ok { // something was written meanwhile
			if err := w.tail(ctx); err != nil {
				return err
			}
			if err := w.flush(Changes); err != nil {
				return err
			}
			continue
		}
		if !w.full {
			if w.m.Whole, err = w.present(ctx, known); err != nil {
				return err
			}
		}
		if w.m.Whole {
			w.m.End = feed.Cursor{Epoch: w.eng.Store().Identity().Epoch, Seq: head}
		}
		parts := w.m.Parts
		if err := w.give(Part{Kind: Knowledge, Plain: int64(len(text)), Lines: len(known)}, text); err != nil {
			return err
		}
		last := w.m.Parts[len(parts)]
		w.m.Parts = append([]Part{last}, parts...)
		return nil
	}
}
