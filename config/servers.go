package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/fhir"
)

// Server is a server beside the node that knows no stamps: a FHIR server, an OpenMRS. Its name is the key under which it stands; operators
// and conflicts.priority call it so.
type Server struct {
	URL            string     `koanf:"url" json:"url,omitempty"`                         // base of its FHIR API; empty: that of OpenMRS
	OpenMRS        string     `koanf:"openmrs" json:"openmrs,omitempty"`                 // address of an OpenMRS with its context path, for types with client: rest
	Changes        Changes    `koanf:"changes" json:"changes,omitempty"`                 // how its changes are found
	Feed           []string   `koanf:"feed" json:"feed,omitempty"`                       // addresses of its Atom feeds, newest page, with changes: atom
	CredentialFile string     `koanf:"credential_file" json:"credential_file,omitempty"` // a token, or user:password
	Every          Duration   `koanf:"every" json:"every,omitempty"`                     // how often it is asked for changes; 0 is a minute
	Overlap        Duration   `koanf:"overlap" json:"overlap,omitempty"`                 // how far each question reaches back behind the last; 0 is five minutes
	Pull           []TypeRule `koanf:"pull" json:"pull,omitempty"`                       // what is captured from it
	Push           []TypeRule `koanf:"push" json:"push,omitempty"`                       // what is given to it
}

// Changes names the way in which the changes of a server without stamps are found.
type Changes string

// The ways.
const (
	FromHistory Changes = "history" // FHIR _history
	FromLatest  Changes = "latest"  // the newest resources by _lastUpdated; deletions are not found
	FromAtom    Changes = "atom"    // Atom feeds as OpenMRS publishes them
)

// The waits of a server about which nothing is said.
const (
	defaultEvery   = Duration(time.Minute)
	defaultOverlap = Duration(5 * time.Minute)
)

// Interval returns how often the server is asked for changes.
func (s Server) Interval() time.Duration { return orElse(s.Every, defaultEvery).Std() }

// Reach returns how far each question reaches back behind the last one.
func (s Server) Reach() time.Duration { return orElse(s.Overlap, defaultOverlap).Std() }

func orElse(d, other Duration) Duration {
	if d == 0 {
		return other
	}
	return d
}

// Base returns the base address of the server's FHIR API.
func (s Server) Base() string {
	if s.URL == "" && s.OpenMRS != "" {
		return strings.TrimRight(s.OpenMRS, "/") + "/ws/fhir2/R4"
	}
	return s.URL
}

// PullTypes returns the types that are captured from the server, sorted.
func (s Server) PullTypes() []string { return typesIn(s.Pull) }

// PushTypes returns the types that are given to the server, sorted.
func (s Server) PushTypes() []string { return typesIn(s.Push) }

func typesIn(rules []TypeRule) []string {
	out := []string{}
	for _, r := range rules {
		if r.on() {
			out = append(out, r.Type)
		}
	}
	slices.Sort(out)
	return out
}

// Client returns the client that moves a type between the node and the server: ClientREST for REST types and where a rule says so,
// else ClientFHIR.
func (s Server) Client(resourceType string) Client {
	for _, rules := range [][]TypeRule{s.Push, s.Pull} {
		if r, ok := match(rules, resourceType); ok && r.Client != "" {
			return r.Client
		}
	}
	if fhir.IsREST(resourceType) {
		return ClientREST
	}
	return ClientFHIR
}

// ReadServerCredential returns the credential for a server; empty where it needs none. Warning and errors are as those of ReadCredential.
func ReadServerCredential(name string, s Server) (credential, warning string, err error) {
	if s.CredentialFile == "" {
		return "", "", nil
	}
	return readSecret(join("servers", name)+".credential_file", s.CredentialFile, "Put a token, or user:password, into this file")
}

func (k *checker) servers(c Config) {
	for _, name := range sorted(c.Servers) {
		s, path := c.Servers[name], join("servers", name)
		if !validName(name) || name == "parent" || name == c.Node.Name {
			k.add(path, "Use 1 to 64 letters, digits, dots, hyphens and underscores, and not the name of a node", "this is no name for a server")
		}
		if s.URL != "" || s.OpenMRS == "" {
			k.url(path+".url", "http://127.0.0.1:8080/fhir", s.URL)
		}
		if s.OpenMRS != "" {
			k.url(path+".openmrs", "http://127.0.0.1:8080/openmrs", s.OpenMRS)
		}
		if len(s.Pull)+len(s.Push) == 0 {
			k.add(path, "Write for example pull: [{type: Patient}]", "nothing is read from it and nothing is given to it")
		}
		k.serverRules(path, "pull", s, s.Pull)
		k.serverRules(path, "push", s, s.Push)
		if len(s.Pull) > 0 {
			k.oneOf(path+".changes", string(s.Changes), string(FromHistory), string(FromLatest), string(FromAtom))
		}
		if s.Changes == FromAtom && len(s.Feed) == 0 {
			k.add(path+".feed", "Write for example feed: [http://127.0.0.1:8080/openmrs/ws/atomfeed/patient/recent]", "no feed is named")
		}
		for i, feed := range s.Feed {
			k.url(fmt.Sprintf("%s.feed[%d]", path, i), "http://127.0.0.1:8080/openmrs/ws/atomfeed/patient/recent", feed)
		}
		if s.Every < 0 || s.Every > 0 && s.Every < minSpan {
			k.add(path+".every", "Use a second or more", "%s is too short", s.Every)
		}
		if s.Overlap < 0 {
			k.add(path+".overlap", "Use for example 5m", "%s is less than nothing", s.Overlap)
		}
	}
}

func (k *checker) serverRules(path, name string, s Server, rules []TypeRule) {
	if len(rules) == 0 {
		return
	}
	k.rules(join(path, name), path, rules)
	for i, r := range rules {
		at := fmt.Sprintf("%s.%s[%d]", path, name, i)
		if r.Type == AllTypes {
			k.add(at+".type", "Name each type", "not everything of a server is moved")
			continue
		}
		switch client := s.Client(r.Type); {
		case client == ClientNode:
			k.add(at+".client", "Use fhir or rest, or make the node a parent", "a server without stamps is no node")
		case client == ClientREST && s.OpenMRS == "":
			k.add(path+".openmrs", "Write for example http://127.0.0.1:8080/openmrs", "%s goes over OpenMRS REST, and the address of that is missing", r.Type)
		}
	}
}
