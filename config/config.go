// Package config owns the configuration of a node: its types, defaults, file and environment, the check of everything at
// once, and the form in which it may be shown. It is the only package that reads settings. It opens no database and no
// connection, and keeps no state: a Config is a value. What a shown configuration never contains is a secret (Redacted).
package config

import (
	"time"

	"github.com/tributary-sync/tributary/reconcile"
)

// Config is all that can be set for a node (DESIGN.md section 9). Names in YAML are the koanf tags.
type Config struct {
	Node       Node                   `koanf:"node" json:"node"`
	Store      Store                  `koanf:"store" json:"store"`
	Parent     Parent                 `koanf:"parent" json:"parent"`
	Pull       Pull                   `koanf:"pull" json:"pull"`
	Push       Push                   `koanf:"push" json:"push"`
	Servers    map[string]Server      `koanf:"servers" json:"servers,omitempty"` // by name
	SData      map[string]SDataTarget `koanf:"sdata" json:"sdata,omitempty"`     // targets of immediate changes, by name
	Alerts     Alerts                 `koanf:"alerts" json:"alerts"`
	Network    Network                `koanf:"network" json:"network"`
	References References             `koanf:"references" json:"references"`
	Conflicts  Conflicts              `koanf:"conflicts" json:"conflicts"`
	History    History                `koanf:"history" json:"history"`
	Audit      Audit                  `koanf:"audit" json:"audit"`
	Feed       Feed                   `koanf:"feed" json:"feed"`
	Limits     Limits                 `koanf:"limits" json:"limits"`
	Log        Log                    `koanf:"log" json:"log"`
}

// Node says who the node is and where it answers.
type Node struct {
	Name    string `koanf:"name" json:"name"`                  // by which operators and priorities call it
	Listen  string `koanf:"listen" json:"listen"`              // host:port; an empty host is every interface
	URL     string `koanf:"url" json:"url,omitempty"`          // how others reach it; empty: see BaseURL
	DataDir string `koanf:"data_dir" json:"data_dir,omitzero"` // keys and the operator's token
}

// Store says which database holds the node's data. Of DSN and DSNFile at most one is given.
type Store struct {
	Driver  string `koanf:"driver" json:"driver"`                  // DriverSQLite or DriverMySQL
	DSN     string `koanf:"dsn" json:"dsn,omitempty" secret:"dsn"` // sqlite: path of the file; mysql: user:password@tcp(host:port)/database
	DSNFile string `koanf:"dsn_file" json:"dsn_file,omitempty"`    // a file whose first line is the DSN
}

// The database drivers.
const (
	DriverSQLite = "sqlite"
	DriverMySQL  = "mysql"
)

// Parent says which node this one syncs with; an empty URL means none (the top of the tree, or a node that stands alone).
type Parent struct {
	URL            string `koanf:"url" json:"url,omitempty"`
	CredentialFile string `koanf:"credential_file" json:"credential_file,omitempty"`
	Credential     string `koanf:"credential" json:"-" secret:"env"` // from the environment only; goes before the file
}

// Pull says what is read from the parent and when.
type Pull struct {
	Enabled bool       `koanf:"enabled" json:"enabled"`
	Wait    Duration   `koanf:"wait" json:"wait"`   // how long the parent may hold a request open until there is news
	Every   Duration   `koanf:"every" json:"every"` // 0: at once when there is news
	Page    int        `koanf:"page" json:"page"`   // events a request
	Types   []TypeRule `koanf:"types" json:"types"`
}

// Push says what is sent to the parent and when.
type Push struct {
	Enabled bool       `koanf:"enabled" json:"enabled"`
	Every   Duration   `koanf:"every" json:"every"` // 0: at once when there is news
	Types   []TypeRule `koanf:"types" json:"types"`
}

// TypeRule names a resource type, or "*" for all those that no other rule names, and how it moves.
type TypeRule struct {
	Type    string `koanf:"type" json:"type"`
	Client  Client `koanf:"client" json:"client,omitempty"`   // empty: as the "*" rule says, else ClientNode
	Enabled *bool  `koanf:"enabled" json:"enabled,omitempty"` // nil is true; false takes the type out
}

// Client names the way in which a resource moves between peers (DESIGN.md section 7).
type Client string

// The clients.
const (
	ClientNode Client = "node" // compact and batched, between nodes
	ClientFHIR Client = "fhir" // FHIR REST
	ClientREST Client = "rest" // OpenMRS REST
)

// References says what becomes of a copy from another node that arrives before what it refers to. What is written here is not concerned.
type References string

// What becomes of such a copy.
const (
	AcceptReferences References = "accept" // it is taken as it comes
	HoldReferences   References = "hold"   // it is parked, or refused to the child that pushed it, until the other has come
	FetchReferences  References = "fetch"  // the parent is asked for the other; a child that pushes cannot be asked: as accept
)

// Conflicts says how conflicts are resolved at the node that arbitrates (DESIGN.md 4.2).
type Conflicts struct {
	Default    reconcile.Policy            `koanf:"default" json:"default"`
	Types      map[string]reconcile.Policy `koanf:"types" json:"types,omitempty"`
	Priority   map[string]int              `koanf:"priority" json:"priority,omitempty"` // by node name; 1 is strongest
	DeletesWin bool                        `koanf:"deletes_win" json:"deletes_win"`     // a deletion beats an edit that has not seen it
}

// History says how long older versions keep their content; 0 is for ever.
type History struct {
	Keep Duration `koanf:"keep" json:"keep"`
}

// Audit says what is recorded of exchanges that went well, and how long audit rows stay; 0 is for ever.
type Audit struct {
	Success   bool     `koanf:"success" json:"success"`
	Retention Duration `koanf:"retention" json:"retention"`
}

// Feed says who may read the Atom feed without a credential, and how many entries a page has. PageSize takes effect when
// the database is made and is fixed from then on, because archive pages never change (RFC 5005 section 4).
type Feed struct {
	Anonymous []CIDR `koanf:"anonymous" json:"anonymous,omitempty"`
	PageSize  int    `koanf:"page_size" json:"page_size"`
}

// Limits bounds what comes in, in bytes.
type Limits struct {
	Resource Size `koanf:"resource" json:"resource"` // one resource
	Body     Size `koanf:"body" json:"body"`         // one HTTP request, decompressed
}

// Network says when a node below this one counts as silent: nothing was heard of it for that long. 0 is never.
type Network struct {
	SilentAfter Duration `koanf:"silent_after" json:"silent_after"`
}

// Log says what is logged (debug, info, warn, error) and how (text, json).
type Log struct {
	Level  string `koanf:"level" json:"level"`
	Format string `koanf:"format" json:"format"`
}

// Default returns the configuration of a node about which nothing is said; only node.name is missing. Its paths are
// relative to the folder of the file.
func Default() Config {
	return Config{
		Node:       Node{Listen: "127.0.0.1:8080", DataDir: "data"},
		Store:      Store{Driver: DriverSQLite, DSN: "data/tributary.db"},
		Pull:       Pull{Enabled: true, Wait: Duration(30 * time.Second), Page: 500, Types: []TypeRule{{Type: AllTypes}}},
		Push:       Push{Enabled: true, Types: []TypeRule{{Type: AllTypes}}},
		References: AcceptReferences,
		Conflicts:  Conflicts{Default: reconcile.Default},
		History:    History{Keep: Duration(90 * day)},
		Audit:      Audit{Success: true, Retention: Duration(365 * day)},
		Feed:       Feed{PageSize: 100},
		Network:    Network{SilentAfter: Duration(day)},
		Limits:     Limits{Resource: 16 << 20, Body: 64 << 20},
		Log:        Log{Level: "info", Format: "text"},
	}
}
