package config

import (
	"fmt"
	"slices"
	"time"
)

// SDataTarget is an SData endpoint to which this node pushes its changes at once. Its name is the key under which it stands.
type SDataTarget struct {
	URL            string     `koanf:"url" json:"url"`                                   // of its resource kinds: https://node.example/sdata
	CredentialFile string     `koanf:"credential_file" json:"credential_file,omitempty"` // a token, or user:password
	Types          []TypeRule `koanf:"types" json:"types"`                               // what is pushed
	Every          Duration   `koanf:"every" json:"every,omitempty"`                     // how often a catch-up pass makes sure that nothing was lost; 0 is 15 minutes
}

// Alerts says who is told of what failed elsewhere, as the event manager of a network hears it.
type Alerts struct {
	Command string `koanf:"command" json:"command,omitempty"` // a program that is run with the alert as JSON on its standard input
}

const defaultCatchUp = Duration(15 * time.Minute)

// Interval returns how often a catch-up pass runs.
func (t SDataTarget) Interval() time.Duration { return orElse(t.Every, defaultCatchUp).Std() }

// PushTypes returns the types that are pushed, sorted; nil for all.
func (t SDataTarget) PushTypes() []string {
	types := typesIn(t.Types)
	if slices.Contains(types, AllTypes) {
		return nil
	}
	return types
}

// ReadTargetCredential returns the credential for an SData target; empty where it needs none. Warning and errors are as those of ReadCredential.
func ReadTargetCredential(name string, t SDataTarget) (credential, warning string, err error) {
	return readLogin(join("sdata", name), t.CredentialFile)
}

func (k *checker) sdata(c Config) {
	for _, name := range sorted(c.SData) {
		t, path := c.SData[name], join("sdata", name)
		k.peerName(c, path, name, "target")
		k.url(path+".url", "https://node.example/sdata", t.URL)
		k.rules(path+".types", path, t.Types)
		for i, r := range t.Types {
			if r.Client != "" {
				k.add(fmt.Sprintf("%s.types[%d].client", path, i), "Remove it", "everything goes by SData there")
			}
		}
		if t.Every < 0 || t.Every > 0 && t.Every < minSpan {
			k.add(path+".every", "Use a second or more", "%s is too short", t.Every)
		}
	}
}
