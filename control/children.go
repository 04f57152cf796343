package control

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// maxName is the longest name of a node, as for node.name.
const maxName = 64

// credentialPrefix begins every credential, so that a person or a scanner who finds one knows what it is.
const credentialPrefix = "trib_"

// HashCredential returns the form in which a credential is stored and looked up: its SHA-256 in hexadecimal digits.
func HashCredential(credential string) string {
	sum := sha256.Sum256([]byte(credential))
	return hex.EncodeToString(sum[:])
}

// newCredential makes 32 bytes of randomness readable.
func newCredential(random io.Reader) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", syncerr.Wrap(syncerr.Internal, "make credential", err)
	}
	return credentialPrefix + base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// Children returns the nodes that may read from and push to this one, by name.
func (c *Control) Children(ctx context.Context) ([]Child, error) {
	rows, err := c.eng.Store().Participants(ctx, store.KindChild)
	if err != nil {
		return nil, err
	}
	head, err := c.eng.Store().Head(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Child, len(rows))
	err = c.eng.Store().Read(ctx, func(r *store.Reader) error {
		for i, p := range rows {
			lives, err := r.Lives(p.ID)
			if err != nil {
				return err
			}
			out[i] = childOf(p, head.Seq)
			out[i].Cloned = lives.Cloned
		}
		return nil
	})
	return out, err
}

// cloned returns what to do about a child of which two copies run.
func (c Child) cloned() (what, hint string) {
	what = "Child " + c.Name + " runs twice: two running copies of its database came in turn, so both are refused."
	return what, "Stop one of the two machines. For the one that goes on, run `tributary child remove " + c.Name + "` and `tributary child add " + c.Name +
		"` here and give it the new credential; on the other one run `tributary init` in an empty folder."
}

func childOf(p store.Participant, head uint64) Child {
	return Child{
		ID: p.ID, Name: p.Name, Replica: p.Replica, PublicKey: p.PublicKey, Created: p.Created, LastSeen: p.LastSeen,
		Seq: p.Seq, Lag: head - min(head, p.Seq),
	}
}

func checkName(op, name string) error {
	if len(name) > maxName || !fhir.ValidID(strings.ReplaceAll(name, "_", "-")) || strings.HasPrefix(name, "-") || strings.HasPrefix(name, ".") {
		return syncerr.New(syncerr.Usage, op, "%.80q is not a name", name).WithHint("Use up to %d letters, digits, '-', '_' and '.', for example clinic-a", maxName)
	}
	return nil
}

// AddChild lets a node of that name read from and push to this one. publicKey is the public half of its key, empty where it
// was not given. The credential in the answer is shown this once: only its hash is stored. It returns a Usage error for what is
// no name, and a Conflict error where there is a child of that name.
func (c *Control) AddChild(ctx context.Context, name, publicKey string) (NewChild, error) {
	if err := checkName("add child", name); err != nil {
		return NewChild{}, err
	}
	publicKey = strings.TrimSpace(publicKey)
	if len(publicKey) > 500 {
		return NewChild{}, syncerr.New(syncerr.Usage, "add child", "the public key has %d characters", len(publicKey)).
			WithHint("Give the one line that `tributary init` printed at the child")
	}
	secret, err := newCredential(c.deps.Rand)
	if err != nil {
		return NewChild{}, err
	}
	st := c.eng.Store()
	p := store.Participant{ID: st.NewUUID(), Name: name, Credential: HashCredential(secret), PublicKey: publicKey}
	err = st.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddChild(p); err != nil {
			return err
		}
		tx.Audit(audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: "ADD_CHILD", Peer: c.actor, Details: "child " + name + " was given a credential"})
		return nil
	})
	if err != nil {
		return NewChild{}, err
	}
	p, ok, err := st.ParticipantBy(ctx, store.KindChild, name, "")
	if err != nil {
		return NewChild{}, err
	}
	if !ok {
		return NewChild{}, syncerr.New(syncerr.Conflict, "add child", "child %q was removed at the same moment", name)
	}
	head, err := st.Head(ctx)
	if err != nil {
		return NewChild{}, err
	}
	return NewChild{Child: childOf(p, head.Seq), Credential: secret}, nil
}

// RemoveChild takes a child's credential away. What it delivered stays. It returns a NotFound error where there is none.
func (c *Control) RemoveChild(ctx context.Context, name string) error {
	return c.eng.Store().Write(ctx, func(tx *store.Tx) error {
		if err := tx.RemoveChild(name); err != nil {
			return err
		}
		tx.Audit(audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: "REMOVE_CHILD", Peer: c.actor, Details: "the credential of child " + name + " was taken away"})
		return nil
	})
}
