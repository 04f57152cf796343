package feed

import "github.com/tributary-sync/tributary/version"

// Peer is what a node says of itself at the begin of an exchange.
type Peer struct {
	Protocol  int             `json:"protocol"`
	Node      string          `json:"node"`
	Replica   version.Replica `json:"replica"`
	Epoch     string          `json:"epoch"`
	Head      uint64          `json:"head"`                // position of its newest change
	Limit     int             `json:"limit"`               // largest resource in bytes that it takes
	PublicKey string          `json:"publicKey,omitempty"` // Ed25519, base64
	Saw       string          `json:"saw,omitempty"`       // the caller's log head that it remembers
	Turn      uint64          `json:"turn,omitempty"`      // how often another process of the caller came than the one before: it is said with each request from now on
	Time      int64           `json:"time"`                // its clock, milliseconds since 1970 UTC
	Version   string          `json:"version,omitempty"`
}

// Protocol is the version of the protocol between nodes that this program speaks.
const Protocol = 1
