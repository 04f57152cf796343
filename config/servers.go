package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/mapping"
	"github.com/tributary-sync/tributary/syncerr"
)

// Server is a server beside the node that knows no stamps: a FHIR server, an OpenMRS. Its name is the key under which it stands; operators
// and conflicts.priority call it so.
type Server struct {
	URL            string     `koanf:"url" json:"url,omitempty"`                         // base of its FHIR API; empty: that of OpenMRS
	OpenMRS        string     `koanf:"openmrs" json:"openmrs,omitempty"`                 // address of an OpenMRS with its context path, for types with client: rest
	Changes        Changes    `koanf:"changes" json:"changes,omitempty"`                 // how its changes are found
	Feed           []string   `koanf:"feed" json:"feed,omitempty"`                       // addresses of its Atom feeds (newest page), lists or news
	List           List       `koanf:"list" json:"list,omitzero"`                        // how its records are read, with changes: list and news
	Absent         Absent     `koanf:"absent" json:"absent,omitempty"`                   // what it means that something is not listed any more
	AbsentLimit    int        `koanf:"absent_limit" json:"absent_limit,omitempty"`       // percent of what it had that may be gone at once; 0 is 10 for what is not listed, and anything for what it says was deleted
	Pause          Duration   `koanf:"pause" json:"pause,omitempty"`                     // the least time between two requests to it
	CredentialFile string     `koanf:"credential_file" json:"credential_file,omitempty"` // a token, or user:password
	Every          Duration   `koanf:"every" json:"every,omitempty"`                     // how often it is asked for changes; 0 is a minute, for what is read as a whole 15
	Overlap        Duration   `koanf:"overlap" json:"overlap,omitempty"`                 // how far each question reaches back behind the last; 0 is five minutes
	Pull           []TypeRule `koanf:"pull" json:"pull,omitempty"`                       // what is captured from it
	Push           []TypeRule `koanf:"push" json:"push,omitempty"`                       // what is given to it
}

// Changes names the way in which the changes of a server without stamps are found.
type Changes string

// The ways.
const (
	FromHistory  Changes = "history"  // FHIR _history
	FromLatest   Changes = "latest"   // the newest resources by _lastUpdated; deletions are not found
	FromAtom     Changes = "atom"     // Atom feeds as OpenMRS publishes them
	FromSearch   Changes = "search"   // all resources, each time; changes are found by their hashes
	FromList     Changes = "list"     // the same of a JSON list over HTTP, whose records become resources by a template
	FromNews     Changes = "news"     // an RSS or Atom feed, whose items become resources by a template
	FromProgram  Changes = "program"  // what the program that embeds this node gives (node.Deps.Participants)
	FromFeedSync Changes = "feedsync" // FeedSync feeds of FHIR resources
)

// Absent says what it means that a source that is read as a whole does not list something any more.
type Absent string

// The meanings.
const (
	AbsentKeep   Absent = "keep"   // nothing
	AbsentDelete Absent = "delete" // it was deleted there
)

// List says how the records of a list are read. Items, Next and Total are paths as gjson takes them.
type List struct {
	Items    string `koanf:"items" json:"items,omitempty"`       // where the list of records is in an answer; empty: the answer is the list
	Next     string `koanf:"next" json:"next,omitempty"`         // where the address of the next page is
	Total    string `koanf:"total" json:"total,omitempty"`       // where it says how many records there are on all pages
	Resource string `koanf:"resource" json:"resource,omitempty"` // the template (package mapping)
}

// The waits of a server about which nothing is said.
const (
	defaultEvery   = Duration(time.Minute)
	defaultOverlap = Duration(5 * time.Minute)
	defaultWhole   = Duration(15 * time.Minute) // for what is read as a whole each time

	defaultAbsentLimit = 10
)

// Interval returns how often the server is asked for changes.
func (s Server) Interval() time.Duration {
	if s.whole() || s.Changes == FromNews {
		return orElse(s.Every, defaultWhole).Std()
	}
	return orElse(s.Every, defaultEvery).Std()
}

// whole reports whether each round lists everything that the server has.
func (s Server) whole() bool { return s.Changes == FromSearch || s.Changes == FromList }

// mapped reports whether its records become resources by a template: then it can only be read.
func (s Server) mapped() bool { return s.Changes == FromList || s.Changes == FromNews }

// readOnly reports whether it is a feed or list that nothing can be given to.
func (s Server) readOnly() bool { return s.mapped() || s.Changes == FromFeedSync }

// Deletes reports whether what is not listed any more was deleted, and up to which percentage of what there was.
func (s Server) Deletes() (yes bool, limit int) {
	if limit = s.AbsentLimit; limit == 0 {
		limit = defaultAbsentLimit
	}
	return s.Absent == AbsentDelete, limit
}

// Reach returns how far each question reaches back behind the last one.
func (s Server) Reach() time.Duration { return orElse(s.Overlap, defaultOverlap).Std() }

func orElse(d, other Duration) Duration {
	if d == 0 {
		return other
	}
	return d
}

// Base returns the base address of the server's FHIR API, of a list or news that of the first.
func (s Server) Base() string {
	if s.readOnly() && len(s.Feed) > 0 {
		return s.Feed[0]
	}
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
	return readLogin(join("servers", name), s.CredentialFile)
}

// readLogin reads the credential for a peer that is no node; empty where it names no file.
func readLogin(path, file string) (credential, warning string, err error) {
	if file == "" {
		return "", "", nil
	}
	return readSecret(path+".credential_file", file, "Put a token, or user:password, into this file")
}

// peerName checks the name under which a peer stands in the configuration, by which policies and listings call it.
func (k *checker) peerName(c Config, path, name, what string) {
	if !validName(name) || name == "parent" || name == c.Node.Name {
		k.add(path, "Use 1 to 64 letters, digits, dots, hyphens and underscores, and not the name of a node", "this is no name for a %s", what)
	}
}

func (k *checker) servers(c Config) {
	for _, name := range sorted(c.Servers) {
		s, path := c.Servers[name], join("servers", name)
		k.peerName(c, path, name, "server")
		if s.URL != "" || s.OpenMRS == "" && !s.readOnly() && s.Changes != FromProgram {
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
			k.oneOf(path+".changes", string(s.Changes), string(FromHistory), string(FromLatest), string(FromAtom), string(FromSearch), string(FromList), string(FromNews), string(FromProgram), string(FromFeedSync))
		}
		if s.Changes == FromFeedSync && len(s.Push) > 0 {
			k.add(path+".push", "Leave it out, and give the participant the address of this node's /ws/feedsync", "a feed can only be read")
		}
		if (s.Changes == FromAtom || s.Changes == FromFeedSync) && len(s.Feed) == 0 {
			k.add(path+".feed", "Write for example feed: [http://127.0.0.1:8080/openmrs/ws/atomfeed/patient/recent]", "no feed is named")
		}
		k.simple(path, s)
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

// simple checks what concerns sources that are read as a whole, or by a template.
func (k *checker) simple(path string, s Server) {
	if s.Absent != "" {
		k.oneOf(path+".absent", string(s.Absent), string(AbsentKeep), string(AbsentDelete))
	}
	if yes, _ := s.Deletes(); yes && !s.whole() && s.Changes != FromProgram {
		k.add(path+".absent", "Use changes: search or list, or leave it out", "only what is read as a whole each time shows what is missing")
	}
	if s.AbsentLimit < 0 || s.AbsentLimit > 100 {
		k.add(path+".absent_limit", "Use a number of percent from 1 to 100", "%d is none", s.AbsentLimit)
	}
	if s.Pause < 0 || s.Pause > Duration(time.Hour) {
		k.add(path+".pause", "Use for example 1s", "%s is no pause between two requests", s.Pause)
	}
	if !s.mapped() {
		if s.List != (List{}) {
			k.add(path+".list", "Use changes: list or news, or leave it out", "nothing is read by it")
		}
		return
	}
	if len(s.Feed) == 0 {
		k.add(path+".feed", "Write for example feed: [https://registry.example/facilities.json]", "no address is named")
	}
	if len(s.Push) > 0 {
		k.add(path+".push", "Leave it out", "a list or feed can only be read")
	}
	if s.Changes == FromNews && (s.List.Items != "" || s.List.Next != "" || s.List.Total != "") {
		k.add(path+".list", "Name list.resource alone", "an RSS or Atom feed has no paths")
	}
	m, err := mapping.Parse(s.List.Resource)
	if err != nil {
		k.add(path+".list.resource", syncerr.HintOf(err), "%v", errors.Unwrap(err))
		return
	}
	for _, t := range m.Types() {
		if r, ok := match(s.Pull, t); !ok || !r.on() {
			k.add(path+".pull", "Name it there, or take it out of list.resource", "%s is made of its records and not read", t)
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
