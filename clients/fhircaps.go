package clients

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/syncerr"
)

// capsFor is how long what a server said of itself is believed.
const capsFor = time.Hour

// maxCaps bounds a capability statement in bytes; HAPI's of all types with all search parameters has 5 MB.
const maxCaps = 32 << 20

// Capabilities is what a FHIR server offers, as far as this program uses it (FHIR R4 capabilitystatement.html). What a server does not mention it does
// not offer.
type Capabilities struct {
	Software    string // name and version, for people
	FHIR        string // for example 4.0.1
	Batch       bool   // a Bundle of type batch: it says so, or may be asked because it takes transactions, as HAPI that mentions only these
	Transaction bool
	History     bool // of the whole server
	Types       map[string]TypeCapabilities

	batchSaid bool // and not only concluded
}

// TypeCapabilities is what a server offers for one type.
type TypeCapabilities struct {
	VRead, Search     bool
	History           bool // of the type
	UpdateCreate      bool // it takes ids that others gave
	ConditionalCreate bool
	Unversioned       bool // it keeps no versions, so that tags say nothing
	Versioned         bool // it checks If-Match
}

// node reports whether the server is a Tributary node, whose tags name deletions too and which checks If-Match against them.
func (c Capabilities) node() bool { return strings.HasPrefix(c.Software, "Tributary") }

// lenient reads what foreign servers write.
func lenient() jsonv2.Options {
	return jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

type statement struct {
	ResourceType string   `json:"resourceType"`
	FHIRVersion  string   `json:"fhirVersion"`
	Format       []string `json:"format"`
	Software     struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"software"`
	Rest []struct {
		Mode        string            `json:"mode"`
		Interaction []statementAction `json:"interaction"`
		Resource    []struct {
			Type              string            `json:"type"`
			Interaction       []statementAction `json:"interaction"`
			Versioning        string            `json:"versioning"`
			UpdateCreate      bool              `json:"updateCreate"`
			ConditionalCreate bool              `json:"conditionalCreate"`
		} `json:"resource"`
	} `json:"rest"`
}

type statementAction struct {
	Code string `json:"code"`
}

func has(actions []statementAction, code string) bool {
	return slices.Contains(actions, statementAction{code})
}

// Capabilities returns what the server offers. It is asked once an hour, and again after an exchange that failed for another reason
// than the network. It returns an Unsupported error where the server speaks no JSON or another FHIR than R4.
func (f *FHIR) Capabilities(ctx context.Context) (*Capabilities, error) {
	select {
	case f.asking <- struct{}{}:
		defer func() { <-f.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c := f.caps.Load(); c != nil && f.link.now().Sub(f.askedAt) < capsFor {
		return c, nil
	}
	c, err := f.askCapabilities(ctx)
	if err != nil {
		return nil, err
	}
	f.askedAt = f.link.now()
	f.caps.Store(c)
	return c, nil
}

// doubt forgets the capabilities after an error that they may explain.
func (f *FHIR) doubt(err error) {
	switch syncerr.KindOf(err) {
	case syncerr.Transient, syncerr.TooLarge, syncerr.Internal: // Internal: also a context that ended
	default:
		f.caps.Store(nil)
	}
}

func (f *FHIR) askCapabilities(ctx context.Context) (*Capabilities, error) {
	l := f.link
	r, err := l.do(ctx, fhirCall{method: http.MethodGet, path: "metadata"})
	if err != nil {
		return nil, err
	}
	defer r.close()
	if r.status != http.StatusOK {
		return nil, l.notFHIR("it answered %d to /metadata: %s", r.status, wordsOf(r))
	}
	in, err := l.json(ctx, r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(in, maxCaps+1))
	switch {
	case err != nil:
		return nil, l.cut(ctx, err)
	case len(body) > maxCaps:
		return nil, l.notFHIR("its /metadata has more than %d MB", maxCaps>>20)
	}
	var s statement
	if err := jsonv2.Unmarshal(body, &s, lenient()); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, l.cut(ctx, err)
		}
		return nil, l.notFHIR("its /metadata is not a CapabilityStatement")
	}
	return l.capabilitiesOf(s)
}

func (l *fhirLink) notFHIR(format string, args ...any) error {
	return syncerr.New(syncerr.Unsupported, l.op(), "this is not a FHIR R4 server: "+format, args...).
		WithHint("Set the FHIR base: the address under which /metadata is")
}

func (l *fhirLink) capabilitiesOf(s statement) (*Capabilities, error) {
	switch {
	case s.ResourceType != "CapabilityStatement":
		return nil, l.notFHIR("its /metadata is a %.40q and not a CapabilityStatement", s.ResourceType)
	case !strings.HasPrefix(s.FHIRVersion, "4.0."):
		return nil, syncerr.New(syncerr.Unsupported, l.op(), "it speaks FHIR %.20q, this node speaks R4 (4.0.1)", s.FHIRVersion).
			WithHint("Many servers have one base for each FHIR version: set that of R4")
	case len(s.Format) > 0 && !slices.ContainsFunc(s.Format, func(f string) bool { return strings.Contains(strings.ToLower(f), "json") }):
		return nil, syncerr.New(syncerr.Unsupported, l.op(), "it writes %.80q, this node reads JSON", strings.Join(s.Format, ", "))
	}
	c := &Capabilities{
		Software: strings.TrimSpace(s.Software.Name + " " + s.Software.Version), FHIR: s.FHIRVersion, Types: map[string]TypeCapabilities{},
	}
	for _, rest := range s.Rest {
		if rest.Mode != "server" {
			continue
		}
		c.batchSaid = c.batchSaid || has(rest.Interaction, "batch")
		c.Transaction = c.Transaction || has(rest.Interaction, "transaction")
		c.History = c.History || has(rest.Interaction, "history-system")
		for _, r := range rest.Resource {
			c.Types[r.Type] = TypeCapabilities{
				VRead: has(r.Interaction, "vread"), Search: has(r.Interaction, "search-type"), History: has(r.Interaction, "history-type"),
				UpdateCreate: r.UpdateCreate, ConditionalCreate: r.ConditionalCreate,
				Unversioned: r.Versioning == "no-version", Versioned: r.Versioning == "versioned-update",
			}
		}
	}
	c.Batch = c.batchSaid || c.Transaction
	return c, nil
}

// withoutBatch returns the capabilities of a server that does not take batches after all.
func (c *Capabilities) withoutBatch() *Capabilities {
	less := *c
	less.Batch = false
	return &less
}
