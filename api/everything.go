package api

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/search"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

const everythingDefinition = "http://hl7.org/fhir/OperationDefinition/Patient-everything"

// fhirEverything answers a patient and the resources in its compartment, page by page (FHIR R4 patient-operation-everything.html).
// The compartment is what the index has: resources that refer to the patient by an element of the definition of the compartment.
func (s *Server) fhirEverything(w http.ResponseWriter, r *http.Request) error {
	k := fhir.Key{Type: "Patient", ID: r.PathValue("id")}
	if err := k.Validate(); err != nil {
		return err
	}
	if err := acceptsJSON(r); err != nil {
		return err
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return syncerr.New(syncerr.Invalid, "read $everything", "the query of the URL is malformed")
	}
	if r.Method == http.MethodPost {
		if err := operationParameters(r, values); err != nil {
			return err
		}
	}
	p, err := s.everything(r.Context(), s.baseOf(r), k, values, preference(r.Header, "handling") == "strict")
	if err != nil {
		return err
	}
	p.write(w, r, "")
	return nil
}

// operationParameters adds the parameters of an operation from a Parameters resource to those of the URL (FHIR R4 operations.html).
func operationParameters(r *http.Request, into url.Values) error {
	bad := func(format string, args ...any) *syncerr.Error {
		return syncerr.New(syncerr.Invalid, "read Parameters", format, args...)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) == 0 {
		return err
	}
	switch media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case err == nil && (media == "application/fhir+json" || media == "application/json"):
	default:
		return syncerr.New(syncerr.Unsupported, "read Parameters", "Content-Type: %.80q is not supported", r.Header.Get("Content-Type")).
			WithHint("Send a Parameters resource as application/fhir+json, or no body and the parameters in the URL")
	}
	if !gjson.ValidBytes(body) || gjson.GetBytes(body, "resourceType").Str != "Parameters" {
		return bad("it is no Parameters resource")
	}
	for _, p := range gjson.GetBytes(body, "parameter").Array() {
		name, text := p.Get("name").Str, ""
		p.ForEach(func(member, v gjson.Result) bool {
			if strings.HasPrefix(member.Str, "value") {
				text = v.String()
			}
			return true
		})
		if name == "" || text == "" {
			return bad("parameter %.60q has no value", name)
		}
		into.Add(name, text)
	}
	return nil
}

// readEverything reads the parameters of the operation; those that it has not are refused where strict, else left out of links.
func readEverything(q url.Values, strict bool) (store.Everything, url.Values, error) {
	e := store.Everything{Count: search.DefaultCount}
	bad := func(name, hint string) (store.Everything, url.Values, error) {
		return e, nil, syncerr.New(syncerr.Invalid, "read $everything", "%.60q cannot be read", name).WithHint("%s", hint)
	}
	applied := url.Values{}
	for name, values := range q {
		v := values[len(values)-1]
		if name != "_type" && len(values) > 1 {
			return bad(name, "Give it once")
		}
		switch name {
		case "_count":
			n, err := strconv.ParseUint(v, 10, 31)
			if err != nil || n == 0 {
				return bad(name, "Give a number of resources, 1 to "+strconv.Itoa(search.MaxCount))
			}
			e.Count = min(int(n), search.MaxCount)
		case "_since":
			t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(v, " ", "+"))
			if err != nil {
				return bad(name, "Give an instant, as in 2026-01-31T12:00:00Z")
			}
			e.Since = t.UnixMilli()
		case "_type":
			for t := range strings.SplitSeq(strings.Join(values, ","), ",") {
				if !fhir.IsType(t) {
					return bad(name, "Give resource types of FHIR R4, separated by commas")
				}
				e.Types = append(e.Types, t)
			}
		case "_page":
			n, err := strconv.ParseUint(v, 10, 63)
			if err != nil || n == 0 {
				return bad(name, "Start from the first page")
			}
			e.After = n
			continue
		case "_format", "_pretty":
		default:
			if strict || name == "start" || name == "end" { // to leave these out would widen the answer unseen
				return bad(name, "$everything takes _since, _count and _type")
			}
			continue
		}
		applied[name] = values
	}
	slices.Sort(e.Types)
	e.Types = slices.Compact(e.Types)
	return e, applied, nil
}

func (s *Server) everything(ctx context.Context, base string, k fhir.Key, q url.Values, strict bool) (reply, error) {
	e, applied, err := readEverything(q, strict)
	if err != nil {
		return reply{}, err
	}
	if p, err := s.read(ctx, k); err != nil { // gone or never there
		return p, err
	}
	e.Patient = k.ID
	copies, next, err := s.engine.Store().Everything(ctx, e)
	if err != nil {
		return reply{}, err
	}
	address := base + "/" + k.String() + "/$everything"
	self := url.Values{}
	for name, v := range applied {
		self[name] = v
	}
	if e.After > 0 {
		self.Set("_page", strconv.FormatUint(e.After, 10))
	}
	b := bundle{Type: "searchset", Link: []bundleLink{{"self", address + queryText(self)}}}
	if next > 0 {
		applied.Set("_page", strconv.FormatUint(next, 10))
		b.Link = append(b.Link, bundleLink{"next", address + queryText(applied)})
	} else if e.After == 0 {
		n := int64(len(copies))
		b.Total = &n
	}
	for _, c := range copies {
		if err := b.add(base, c, "match", nil); err != nil {
			return reply{}, err
		}
	}
	body, err := b.bytes()
	return reply{status: http.StatusOK, body: body}, err
}
