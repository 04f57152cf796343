package store

import (
	"encoding/json"

	"github.com/tributary-sync/tributary/syncerr"
)

// Life is one running process of a child, by the random id that it took when it started.
type Life struct {
	ID      string `json:"id"`
	Returns int    `json:"returns,omitempty"` // how often it came again after a younger one had taken its place
}

// Lives is what a parent remembers of the processes that came as one child (DESIGN.md 4.3, restore and clone).
type Lives struct {
	Seen   []Life `json:"seen"`             // those that it has seen, in the order in which they came first
	Last   string `json:"last"`             // the one that came last
	Turn   uint64 `json:"turn,omitempty"`   // how often one came after another
	Cloned int64  `json:"cloned,omitempty"` // when it found that two of them live at once, in milliseconds since 1970 UTC; 0 where they do not
}

// Lives returns what is remembered of a child's processes, by the participant's id; the zero Lives where nothing is.
func (q *query) Lives(child string) (Lives, error) {
	var text string
	var out Lives
	if _, err := q.one("SELECT value FROM node_state WHERE name = ?", []any{livesOf(child)}, &text); err != nil || text == "" {
		return out, err
	}
	err := json.Unmarshal([]byte(text), &out)
	return out, syncerr.Wrap(syncerr.Internal, "read the processes of a child", err)
}

// SetLives stores what is remembered of a child's processes.
func (tx *Tx) SetLives(child string, l Lives) error {
	text, err := json.Marshal(l)
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, "store the processes of a child", err)
	}
	return tx.SetState(livesOf(child), string(text))
}

func livesOf(child string) string { return "instance/" + child }
