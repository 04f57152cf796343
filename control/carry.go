package control

import (
	"context"
	"slices"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Sticks says with whom this node exchanges sticks.
type Sticks struct {
	Node        string      `json:"node"`
	PublicKey   string      `json:"publicKey"`
	Fingerprint string      `json:"fingerprint"`
	Peers       []StickPeer `json:"peers"`
}

// StickPeer is a node with which sticks are exchanged.
type StickPeer struct {
	store.CarryPeer
	Fingerprint string `json:"fingerprint"`
	Is          string `json:"is"`      // parent, child, or peer
	Decides     string `json:"decides"` // the name of the one that decides conflicts between both
}

// Introduction is what came of cards.
type Introduction struct {
	Card       []byte      `json:"card"` // this node's own, for the others
	Introduced []StickPeer `json:"introduced"`
	// Unconfirmed are cards whose fingerprint nobody has confirmed: they were not taken.
	Unconfirmed []Unconfirmed `json:"unconfirmed,omitempty"`
}

// Unconfirmed is a card that a person has still to compare.
type Unconfirmed struct {
	Node        string `json:"node"`
	Fingerprint string `json:"fingerprint"`
}

// Introduce is what an operator asks for.
type Introduce struct {
	Cards   [][]byte `json:"cards"`
	Accept  []string `json:"accept,omitempty"`  // fingerprints that a person has compared
	Decides bool     `json:"decides,omitempty"` // this node decides conflicts with those that it is introduced to now
	Types   []string `json:"types,omitempty"`   // resource types that go by sticks, nil for all
}

// minFingerprint is how much of a fingerprint has to be given, behind "SHA256:".
const minFingerprint = 16

// Carrier writes and takes bundles for sticks. It returns an Unsupported error where this Control has none.
func (c *Control) Carrier() (*carry.Carrier, error) {
	if c.deps.Carrier == nil {
		return nil, syncerr.New(syncerr.Unsupported, "sticks", "this node does not exchange sticks")
	}
	return c.deps.Carrier, nil
}

// Sticks returns with whom this node exchanges sticks, by name.
func (c *Control) Sticks(ctx context.Context) (Sticks, error) {
	car, err := c.Carrier()
	if err != nil {
		return Sticks{}, err
	}
	out := Sticks{Node: c.Name(), PublicKey: car.Public(), Fingerprint: Fingerprint(car.Public()), Peers: []StickPeer{}}
	peers, err := c.eng.Store().CarryPeers(ctx)
	if err != nil {
		return out, err
	}
	for _, p := range peers {
		v, err := c.stickPeer(ctx, car, p)
		if err != nil {
			return out, err
		}
		out.Peers = append(out.Peers, v)
	}
	return out, nil
}

func (c *Control) stickPeer(ctx context.Context, car *carry.Carrier, p store.CarryPeer) (StickPeer, error) {
	v := StickPeer{CarryPeer: p, Fingerprint: Fingerprint(p.PublicKey), Is: "peer", Decides: p.Name}
	side, decides, err := car.Side(ctx, p)
	if err != nil {
		return v, err
	}
	if decides == car.Public() {
		v.Decides = c.Name()
	}
	switch {
	case side.Parent:
		v.Is = "parent"
	case side.Child:
		v.Is = "child"
	}
	return v, nil
}

// Introduce takes over the cards that a person has compared, and those of nodes whose key was exchanged over the network, and returns this node's
// own card. It returns an Invalid error for what is no card, and takes none then; a Conflict error where another key stands under a name.
func (c *Control) Introduce(ctx context.Context, call Introduce) (Introduction, error) {
	const op = "introduce"
	car, err := c.Carrier()
	if err != nil {
		return Introduction{}, err
	}
	for _, t := range call.Types {
		if !fhir.IsSelector(t) {
			return Introduction{}, syncerr.New(syncerr.Usage, op, "%.60q is not a resource type", t)
		}
	}
	for _, a := range call.Accept {
		if text, ok := strings.CutPrefix(a, "SHA256:"); !ok || len(text) < minFingerprint {
			return Introduction{}, syncerr.New(syncerr.Usage, op, "%.80q is no fingerprint", a).
				WithHint("Give it as it is shown at the other node: SHA256: and at least %d characters behind it", minFingerprint)
		}
	}
	var out Introduction
	out.Introduced = []StickPeer{}
	var others []carry.Card
	for _, text := range call.Cards {
		card, err := carry.ReadCard(text)
		if err != nil {
			return out, err
		}
		if card.Key != car.Public() {
			others = append(others, card)
			continue
		}
		if call.Decides = call.Decides || card.Decides; call.Types == nil {
			call.Types = card.Types // as this node said when it began
		}
	}
	if out.Card, err = car.Card(call.Decides, call.Types); err != nil {
		return out, err
	}
	met, err := c.metKeys(ctx)
	if err != nil {
		return out, err
	}
	for _, card := range others {
		if err := c.introduce(ctx, car, call, card, met, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// metKeys returns the names under which keys came over the network, by key.
func (c *Control) metKeys(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	for _, kind := range []string{store.KindParent, store.KindChild} {
		rows, err := c.eng.Store().Participants(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, p := range rows {
			if p.PublicKey != "" {
				out[p.PublicKey] = p.Name
			}
		}
	}
	return out, nil
}

func (c *Control) introduce(ctx context.Context, car *carry.Carrier, call Introduce, card carry.Card, met map[string]string, out *Introduction) error {
	st := c.eng.Store()
	print := Fingerprint(card.Key)
	keyed, known, err := st.CarryPeer(ctx, "", card.Key)
	if err != nil {
		return err
	}
	named, _, err := st.CarryPeer(ctx, card.Node, "")
	if err != nil {
		return err
	}
	confirmed := slices.ContainsFunc(call.Accept, func(a string) bool { return strings.HasPrefix(print, a) })
	if _, wire := met[card.Key]; !known && !wire && !confirmed {
		out.Unconfirmed = append(out.Unconfirmed, Unconfirmed{card.Node, print})
		return nil
	}
	for key, name := range met {
		if name == card.Node && key != card.Key {
			return syncerr.New(syncerr.Conflict, "introduce", "the card says %s with the key %s, and that node has the key %s over the network", card.Node, print, Fingerprint(key)).
				WithHint("The card is not that node's, or the node was set up anew: compare by telephone")
		}
	}
	p, err := carry.Introduced(card, call.Decides, call.Types, named, keyed)
	if err != nil {
		return err
	}
	err = st.Write(ctx, func(tx *store.Tx) error {
		if p.ID == "" {
			p.ID = tx.NewUUID()
		}
		p.Introduced = tx.Now()
		tx.Audit(audit.Record{
			Operation: audit.Admin, Outcome: audit.Done, Action: "INTRODUCE", Peer: c.actor, LinkType: carry.LinkType, Details: "node " + p.Name + " with the key " + print,
		})
		return tx.SaveCarryPeer(p)
	})
	if err != nil {
		return err
	}
	v, err := c.stickPeer(ctx, car, p)
	out.Introduced = append(out.Introduced, v)
	return err
}

// ForgetPeer ends the exchange of sticks with a node: its sticks are refused from now on, what it delivered stays, and what waits here for its
// decision is decided by this node. It returns a NotFound error where there is none of that name.
func (c *Control) ForgetPeer(ctx context.Context, name string) error {
	p, ok, err := c.eng.Store().CarryPeer(ctx, name, "")
	if err != nil {
		return err
	}
	if !ok {
		return syncerr.New(syncerr.NotFound, "forget", "no node %q was introduced", name).WithHint("`tributary carry list` shows them")
	}
	err = c.eng.Store().Write(ctx, func(tx *store.Tx) error {
		tx.Audit(audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: "FORGET", Peer: c.actor, LinkType: carry.LinkType, Details: "sticks of node " + name + " are not taken any more"})
		return tx.RemoveCarryPeer(p.ID)
	})
	if err != nil {
		return err
	}
	return c.eng.DecideHolds(ctx, engine.Link{Peer: store.StickPeer(p.Name), Stick: p.ID})
}
