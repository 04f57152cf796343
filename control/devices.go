package control

import (
	"context"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// Devices returns the registrations under which phones, scripts and dashboards read by sessions, by name.
func (c *Control) Devices(ctx context.Context) ([]Device, error) {
	rows, err := c.eng.Store().Participants(ctx, store.KindDevice)
	if err != nil {
		return nil, err
	}
	out := make([]Device, len(rows))
	err = c.eng.Store().Read(ctx, func(r *store.Reader) error {
		for i, p := range rows {
			out[i] = deviceOf(p)
			known, err := r.Devices(p.ID)
			if err != nil {
				return err
			}
			for _, d := range known {
				waiting, err := r.Waiting(d.Num)
				if err != nil {
					return err
				}
				out[i].LastSeen = max(out[i].LastSeen, d.LastSeen)
				out[i].Devices = append(out[i].Devices, DeviceID{UUID: d.UUID, Created: d.Created, LastSeen: d.LastSeen, Waiting: waiting})
			}
		}
		return nil
	})
	return out, err
}

func deviceOf(p store.Participant) Device {
	return Device{ID: p.ID, Name: p.Name, Scope: strings.Fields(p.Scope), Created: p.Created}
}

// AddDevice lets a phone, script or dashboard read by sessions what scope says (search.ParseScope). The credential in the answer is shown
// this once: only its hash is stored. It returns a Usage error for what is no name or no scope, and a Conflict error where there is a
// device of that name.
func (c *Control) AddDevice(ctx context.Context, name string, scope []string) (NewDevice, error) {
	if err := checkName("add device", name); err != nil {
		return NewDevice{}, err
	}
	allowed, err := search.ParseScope(scope)
	if err != nil {
		return NewDevice{}, err
	}
	secret, err := newCredential(c.deps.Rand)
	if err != nil {
		return NewDevice{}, err
	}
	st := c.eng.Store()
	p := store.Participant{ID: st.NewUUID(), Name: name, Credential: HashCredential(secret), Scope: allowed.String()}
	err = st.Write(ctx, func(tx *store.Tx) error {
		if err := tx.AddRegistration(p); err != nil {
			return err
		}
		// Criteria may name a person: the audit has the types alone.
		tx.Audit(audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: "ADD_DEVICE", Peer: c.actor, Details: "device " + name + " was given a credential for " + typesOf(allowed)})
		return nil
	})
	if err != nil {
		return NewDevice{}, err
	}
	p, ok, err := st.ParticipantBy(ctx, store.KindDevice, name, "")
	if err == nil && !ok {
		err = syncerr.New(syncerr.Conflict, "add device", "device %q was removed at the same moment", name)
	}
	return NewDevice{Device: deviceOf(p), Credential: secret}, err
}

// SetDevice changes what a device may see. At its next session it is told of what it may see now, and what it may not see any more is
// deleted for it. It returns a Usage error for what is no scope, and NotFound where there is no such device.
func (c *Control) SetDevice(ctx context.Context, name string, scope []string) (Device, error) {
	allowed, err := search.ParseScope(scope)
	if err != nil {
		return Device{}, err
	}
	err = c.eng.Store().Write(ctx, func(tx *store.Tx) error {
		if err := tx.SetScope(name, allowed.String()); err != nil {
			return err
		}
		tx.Audit(audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: "SET_DEVICE", Peer: c.actor, Details: "device " + name + " may see " + typesOf(allowed)})
		return nil
	})
	if err != nil {
		return Device{}, err
	}
	p, ok, err := c.eng.Store().ParticipantBy(ctx, store.KindDevice, name, "")
	if err == nil && !ok {
		err = syncerr.New(syncerr.NotFound, "set device", "there is no device %q", name)
	}
	return deviceOf(p), err
}

// RemoveDevice takes a device's credential away, and forgets what it had. What is on the device stays there. It returns a NotFound error
// where there is none.
func (c *Control) RemoveDevice(ctx context.Context, name string) error {
	return c.eng.Store().Write(ctx, func(tx *store.Tx) error {
		if err := tx.RemoveRegistration(name); err != nil {
			return err
		}
		tx.Audit(audit.Record{Operation: audit.Admin, Outcome: audit.Done, Action: "REMOVE_DEVICE", Peer: c.actor, Details: "the credential of device " + name + " was taken away"})
		return nil
	})
}

// typesOf writes the types of a scope.
func typesOf(scope search.Scope) string {
	out := make([]string, len(scope))
	for i, p := range scope {
		if out[i] = p.Type; len(p.Query.Terms) > 0 {
			out[i] += " (some)"
		}
		if p.Type == search.AllTypes {
			out[i] = "everything"
		}
	}
	return strings.Join(out, ", ")
}
