package store

import (
	"context"
	"strings"

	"gorm.io/gorm"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// The kinds of participants.
const (
	KindChild  = "child"
	KindParent = "parent"
)

// Participant is a child that may read and push, or the parent as it was last met. Times are milliseconds since 1970 UTC.
// Credential is the SHA-256 of a child's secret in hexadecimal digits, never the secret.
type Participant struct {
	ID         string          `json:"id"`
	Kind       string          `json:"kind"`
	Name       string          `json:"name"`
	Credential string          `json:"-"`
	Replica    version.Replica `json:"replica,omitempty"`
	Epoch      string          `json:"epoch,omitempty"`
	PublicKey  string          `json:"publicKey,omitempty"`
	URL        string          `json:"url,omitempty"`
	Created    int64           `json:"created"`
	LastSeen   int64           `json:"lastSeen,omitempty"`
	Seq        uint64          `json:"seq,omitempty"`   // up to where in this node's log it has read
	Scope      string          `json:"scope,omitempty"` // resource types that it reads, separated by commas; "*" for all
}

// Reads reports whether the participant's reading covers a resource type.
func (p Participant) Reads(resourceType string) bool {
	return p.Scope == "*" || fhir.Selected(strings.Split(p.Scope, ","), resourceType)
}

type participantRow struct {
	ID, Kind, Name, Credential, Replica, Epoch, PublicKey, URL, Scope string
	Created, LastSeen                                                 string
	Seq                                                               uint64
}

func (participantRow) TableName() string { return "participant" }

func (r participantRow) value() Participant {
	seen := parseTime(r.LastSeen)
	if seen <= 0 {
		seen = 0
	}
	return Participant{
		ID: r.ID, Kind: r.Kind, Name: r.Name, Credential: r.Credential, Replica: version.Replica(r.Replica), Epoch: r.Epoch,
		PublicKey: r.PublicKey, URL: r.URL, Created: parseTime(r.Created), LastSeen: seen, Seq: r.Seq, Scope: r.Scope,
	}
}

func rowOf(p Participant) participantRow {
	return participantRow{
		ID: p.ID, Kind: p.Kind, Name: p.Name, Credential: p.Credential, Replica: string(p.Replica), Epoch: p.Epoch,
		PublicKey: p.PublicKey, URL: p.URL, Created: timeText(p.Created), LastSeen: timeText(p.LastSeen), Seq: p.Seq, Scope: p.Scope,
	}
}

// AddChild stores a new child. It returns a Conflict error where one of that name exists.
func (tx *Tx) AddChild(p Participant) error {
	var n int64
	g := tx.gorm()
	if err := g.Model(&participantRow{}).Where("kind = ? AND name = ?", KindChild, p.Name).Count(&n).Error; err != nil {
		return err
	}
	if n > 0 {
		return syncerr.New(syncerr.Conflict, "add child", "there is a child %q already", p.Name).
			WithHint("Remove it first with `tributary child remove %s`, or choose another name", p.Name)
	}
	p.Kind, p.Created = KindChild, tx.Now()
	r := rowOf(p)
	return g.Create(&r).Error
}

// RemoveChild deletes a child: its credential stops working. It returns a NotFound error where there is none.
func (tx *Tx) RemoveChild(name string) error {
	if err := tx.depart(name); err != nil {
		return err
	}
	var id string
	if ok, err := tx.one("SELECT id FROM participant WHERE kind = ? AND name = ?", []any{KindChild, name}, &id); err != nil {
		return err
	} else if ok {
		if err := tx.departs(id); err != nil {
			return err
		}
	}
	res := tx.gorm().Where("kind = ? AND name = ?", KindChild, name).Delete(&participantRow{})
	if res.Error == nil && res.RowsAffected == 0 {
		return syncerr.New(syncerr.NotFound, "remove child", "there is no child %q", name).WithHint("`tributary child list` shows them")
	}
	return res.Error
}

// SaveParticipant stores what was learnt of a participant.
func (tx *Tx) SaveParticipant(p Participant) error {
	r := rowOf(p)
	return tx.gorm().Save(&r).Error
}

// TouchChild stores what was learnt of a child that was here. A child that was removed meanwhile stays removed: the error is Denied.
func (tx *Tx) TouchChild(p Participant) error {
	res := tx.gorm().Model(&participantRow{}).Where("id = ? AND kind = ?", p.ID, KindChild).Updates(map[string]any{
		"replica": string(p.Replica), "epoch": p.Epoch, "public_key": p.PublicKey, "last_seen": timeText(p.LastSeen), "seq": p.Seq, "scope": p.Scope,
	})
	if res.Error == nil && res.RowsAffected == 0 {
		var n int64
		if err := tx.gorm().Model(&participantRow{}).Where("id = ?", p.ID).Count(&n).Error; err != nil || n > 0 {
			return err // MySQL counts a row that was equal already as not affected
		}
		return syncerr.New(syncerr.Denied, "sync", "child %q was removed", p.Name)
	}
	return res.Error
}

// gorm returns the transaction as GORM sees it, after the seam of the simulator had its say.
func (tx *Tx) gorm() *gorm.DB {
	g := tx.t.g.WithContext(tx.t.ctx)
	err := tx.open()
	if err == nil {
		err = tx.t.point("gorm")
	}
	if err != nil {
		_ = g.AddError(err)
	}
	return g
}

// Participants returns those of a kind, by name.
func (s *Store) Participants(ctx context.Context, kind string) ([]Participant, error) {
	var rows []participantRow
	if err := s.reader.WithContext(ctx).Where("kind = ?", kind).Order("name").Find(&rows).Error; err != nil {
		return nil, s.dialect.wrap("read participants", err)
	}
	out := make([]Participant, len(rows))
	for i, r := range rows {
		out[i] = r.value()
	}
	return out, nil
}

// ParticipantBy returns the participant of a kind by name or by credential hash, whichever is not empty; false where there is none.
func (s *Store) ParticipantBy(ctx context.Context, kind, name, credential string) (Participant, bool, error) {
	g := s.reader.WithContext(ctx).Where("kind = ?", kind)
	if name != "" {
		g = g.Where("name = ?", name)
	}
	if credential != "" {
		g = g.Where("credential = ?", credential)
	}
	var rows []participantRow
	if err := g.Limit(1).Find(&rows).Error; err != nil {
		return Participant{}, false, s.dialect.wrap("read participant", err)
	}
	if len(rows) == 0 {
		return Participant{}, false, nil
	}
	return rows[0].value(), true, nil
}

// State returns a fact about this node by name, "" where it is not set.
func (s *Store) State(ctx context.Context, name string) (string, error) {
	d := s.direct(ctx)
	v, err := d.State(name)
	return v, s.dialect.wrap("read state", err)
}

// State returns a fact about this node by name, "" where it is not set.
func (q *query) State(name string) (string, error) {
	var v string
	_, err := q.one("SELECT value FROM node_state WHERE name = ?", []any{name}, &v)
	return v, err
}

// SetState stores a fact about this node.
func (tx *Tx) SetState(name, value string) error {
	return tx.exec("REPLACE INTO node_state (name, value) VALUES (?, ?)", name, value)
}
