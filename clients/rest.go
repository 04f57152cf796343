package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// RESTOptions say how a server is spoken to.
type RESTOptions struct {
	// OpenMRS says that the server is OpenMRS with the modules webservices.rest and fhir2, and base its address with the context path
	// (https://emr.example/openmrs); else it is a Tributary node.
	OpenMRS bool
	// Authorize puts the credential into each request: Bearer or Basic. nil sends none.
	Authorize func(*http.Request) error
	// Limit is the largest document in bytes that is read, 0 for fhir.MaxBytes.
	Limit int
}

// Credential returns what authorizes requests with what a credential file has, which is asked for at each of them: name:password for Basic,
// else a token.
func Credential(credential func() (string, error)) func(*http.Request) error {
	return func(r *http.Request) error {
		text, err := credential()
		if err != nil {
			return err
		}
		same := func(s string) func() (string, error) { return func() (string, error) { return s, nil } }
		if user, password, ok := strings.Cut(text, ":"); ok {
			return Basic(user, same(password))(r)
		}
		return Bearer(same(text))(r)
	}
}

// Bearer returns what authorizes requests with a token, which is asked for at each of them.
func Bearer(token func() (string, error)) func(*http.Request) error {
	return func(r *http.Request) error {
		t, err := token()
		if err == nil && t != "" {
			r.Header.Set("Authorization", "Bearer "+t)
		}
		return err
	}
}

// Basic returns what authorizes requests with a name and a password, which is asked for at each of them. OpenMRS takes a password only up
// to its first colon (webservices.rest, GZIPFilter and AuthorizationFilter split at every one), so one with a colon is a Usage error.
func Basic(user string, password func() (string, error)) func(*http.Request) error {
	return func(r *http.Request) error {
		p, err := password()
		if err != nil {
			return err
		}
		if strings.Contains(p, ":") || strings.Contains(user, ":") {
			return syncerr.New(syncerr.Usage, "log in", "OpenMRS cannot read a name or password that has a colon").WithHint("Give the account another password")
		}
		r.SetBasicAuth(user, p)
		return nil
	}
}

// REST moves single documents to and from a Tributary node by /rest/v1 and /fhir/R4, or OpenMRS by its REST and FHIR modules
// (resourcemanager.Remote). Types of FHIR are read and updated over FHIR; what OpenMRS can only create over REST under an id that is given
// is created there first. Its methods may be called from many goroutines.
type REST struct {
	base string
	opts RESTOptions
	http *http.Client
	idle time.Duration
	in   atomic.Int64
	out  atomic.Int64
}

var _ resourcemanager.Remote = (*REST)(nil)

// NewREST returns a client of the server at base (an absolute URL). rt carries the requests. The session that a server opens is kept, so
// that it need not open one for each request.
func NewREST(base string, opts RESTOptions, rt http.RoundTripper) *REST {
	if opts.Limit <= 0 {
		opts.Limit = fhir.MaxBytes
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(fmt.Sprintf("bug: a jar without options: %v", err))
	}
	return &REST{
		base: strings.TrimRight(base, "/"), opts: opts, idle: 90 * time.Second,
		http: &http.Client{Transport: rt, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Traffic returns the bytes of bodies on the wire so far, received and sent (resourcemanager.Remote).
func (c *REST) Traffic() (in, out int64) { return c.in.Load(), c.out.Load() }

// readers is how many documents are read at once: on a slow link the way there and back costs more than the document.
const readers = 4

// Read returns documents (resourcemanager.Remote). OpenMRS keeps no versions: one that is not the current one is Absent.
func (c *REST) Read(ctx context.Context, wants []resourcemanager.Want) ([]resourcemanager.Copy, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := make([]resourcemanager.Copy, len(wants))
	var next atomic.Int64
	var failure error
	var once sync.Once
	var wg sync.WaitGroup
	for range min(readers, len(wants)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(wants) && ctx.Err() == nil; i = next.Add(1) - 1 {
				got, err := c.read(ctx, wants[i])
				if err != nil {
					once.Do(func() {
						failure = err
						stop(err) // the others need not go on
					})
					return
				}
				out[i] = got
			}
		})
	}
	wg.Wait()
	if failure == nil {
		failure = ctx.Err()
	}
	if failure != nil {
		return nil, failure
	}
	return out, nil
}

func (c *REST) read(ctx context.Context, want resourcemanager.Want) (resourcemanager.Copy, error) {
	path := c.path(want.Key)
	if !addressable(want.Key.ID) {
		return resourcemanager.Copy{Key: want.Key}, nil
	}
	switch {
	case !c.opts.OpenMRS && want.Tag != "":
		path += "/_history/" + url.PathEscape(want.Tag)
	case c.opts.OpenMRS && fhir.IsREST(want.Key.Type):
		path += "?v=full"
	}
	got := resourcemanager.Copy{Key: want.Key}
	a, err := c.call(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return got, err
	}
	switch a.status {
	case http.StatusOK:
		got = c.copyOf(want.Key, a)
	case http.StatusNotFound, http.StatusGone:
		if !a.json() {
			return got, c.notAPI(a)
		}
		if a.status == http.StatusGone {
			got.State, got.Tag, got.Modified = resourcemanager.Gone, a.tag(), a.modified()
		}
	default:
		return got, c.failed("read "+want.Key.String(), a)
	}
	if want.Tag != "" && got.State == resourcemanager.Present && got.Tag != want.Tag {
		return resourcemanager.Copy{Key: want.Key}, nil
	}
	return got, nil
}

// addressable reports whether an id can be a part of a path. FHIR allows . and .., which mean something else there.
func addressable(id string) bool { return fhir.ValidID(id) && id != "." && id != ".." }

// path returns where a document is, below base.
func (c *REST) path(k fhir.Key) string {
	switch {
	case !c.opts.OpenMRS:
		return k.Path()
	case fhir.IsREST(k.Type):
		return "/ws/rest/v1/" + k.String()
	default:
		return "/ws/fhir2/R4/" + k.String()
	}
}

// copyOf reads an answer that has a document. OpenMRS REST gives no tag: the time of the last change stands in for it, in the words of the
// server, and what is voided or retired there is deleted.
func (c *REST) copyOf(k fhir.Key, a answer) resourcemanager.Copy {
	got := resourcemanager.Copy{Key: k, State: resourcemanager.Present, Tag: a.tag(), Content: a.body, Modified: a.modified()}
	if !c.opts.OpenMRS {
		return got
	}
	if !fhir.IsREST(k.Type) {
		if got.Tag == "" {
			got.Tag = gjson.GetBytes(a.body, "meta.versionId").String()
		}
		return got
	}
	audit := gjson.GetBytes(a.body, "auditInfo")
	for _, name := range []string{"dateChanged", "dateVoided", "dateRetired", "dateCreated"} {
		if at := audit.Get(name).String(); at != "" {
			got.Tag = at
			if t, err := time.Parse("2006-01-02T15:04:05.000-0700", at); err == nil {
				got.Modified = t
			}
			break
		}
	}
	if gjson.GetBytes(a.body, "voided").Bool() || gjson.GetBytes(a.body, "retired").Bool() {
		got.State, got.Content = resourcemanager.Gone, nil
	}
	return got
}

// Write carries edits out (resourcemanager.Remote).
func (c *REST) Write(ctx context.Context, edits []resourcemanager.Edit) ([]resourcemanager.Answer, error) {
	one := c.edit
	if c.opts.OpenMRS {
		one = c.editOpenMRS
	}
	out := make([]resourcemanager.Answer, 0, len(edits))
	for _, e := range edits {
		if !addressable(e.Key.ID) {
			out = append(out, resourcemanager.Answer{Fate: resourcemanager.Refused, Reason: "its id has no address over HTTP"})
			continue
		}
		a, err := one(ctx, e)
		if err != nil {
			return out, err
		}
		out = append(out, a)
	}
	return out, nil
}

// edit writes to a node, which checks the base itself.
func (c *REST) edit(ctx context.Context, e resourcemanager.Edit) (resourcemanager.Answer, error) {
	method, header := http.MethodPut, http.Header{}
	if e.Content == nil {
		method = http.MethodDelete
	}
	if e.Create {
		header.Set("If-None-Match", "*")
	} else {
		header.Set("If-Match", `W/"`+e.Base+`"`) // without a base it is refused, and overwrites nothing
	}
	a, err := c.call(ctx, method, c.path(e.Key), e.Content, header)
	if err != nil {
		return resourcemanager.Answer{}, err
	}
	if a.status/100 == 2 {
		return c.done(e, a), nil
	}
	return c.fate("write "+e.Key.String(), a)
}

func (c *REST) done(e resourcemanager.Edit, a answer) resourcemanager.Answer {
	out := resourcemanager.Answer{Fate: resourcemanager.Done, Status: a.status}
	out.Copy = resourcemanager.Copy{Key: e.Key, State: resourcemanager.Gone, Tag: a.tag(), Modified: a.modified()}
	if e.Content != nil {
		out.Copy.State, out.Copy.Content = resourcemanager.Present, a.body
	}
	return out
}

// fate reads an answer that is no success: what it says about the document is an Answer, what it says about the exchange is an error.
func (c *REST) fate(op string, a answer) (resourcemanager.Answer, error) {
	out := resourcemanager.Answer{Status: a.status, Reason: fmt.Sprintf("it answered %d: %s", a.status, a.reason())}
	switch {
	case a.status == http.StatusPreconditionFailed, a.status == http.StatusConflict:
		out.Fate = resourcemanager.Stale
	case !a.json():
		return out, c.failed(op, a)
	case a.status == http.StatusGone:
		out.Fate, out.Copy = resourcemanager.Stale, resourcemanager.Copy{State: resourcemanager.Gone, Tag: a.tag()}
	case a.status == http.StatusInternalServerError && a.reason() != "":
		out.Fate = resourcemanager.Refused // OpenMRS answers so where a record breaks a rule that it does not check before
	case a.status >= 500, a.status < 400, syncerr.KindOfStatus(a.status) == syncerr.Denied, syncerr.KindOfStatus(a.status) == syncerr.Transient:
		return out, c.failed(op, a)
	default:
		out.Fate = resourcemanager.Refused
	}
	return out, nil
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// json reports whether the answer is of the API, and not a page of a proxy, of a web server without it, or of a log-in.
func (a answer) json() bool {
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	media = strings.TrimSpace(strings.ToLower(media))
	if media != "application/json" && media != "application/fhir+json" {
		return a.status == http.StatusNoContent
	}
	return len(a.body) > 0 && a.body[0] == '{'
}

// tag returns the version that the ETag names; empty where there is none.
func (a answer) tag() string {
	return strings.Trim(strings.TrimPrefix(a.header.Get("ETag"), "W/"), `"`)
}

func (a answer) modified() time.Time {
	if ms, err := strconv.ParseInt(a.header.Get("Tributary-Committed"), 10, 64); err == nil {
		return time.UnixMilli(ms)
	}
	t, err := http.ParseTime(a.header.Get("Last-Modified"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// maxReason bounds what is quoted of a server's words in bytes.
const maxReason = 500

// reason returns what the server says in its error: an OperationOutcome, or OpenMRS's {"error": ...} with its field errors. It quotes no
// stack trace.
func (a answer) reason() string {
	text := fhir.OutcomeText(a.body)
	if text == "" {
		e := gjson.GetBytes(a.body, "error")
		parts := []string{strings.Trim(e.Get("message").String(), "[]")}
		add := func(_, v gjson.Result) bool {
			for _, one := range v.Array() {
				if m := one.Get("message").String(); m != "" {
					parts = append(parts, m)
				}
			}
			return true
		}
		e.Get("fieldErrors").ForEach(add)
		add(gjson.Result{}, e.Get("globalErrors"))
		text = strings.Trim(strings.Join(parts, "; "), "; ")
	}
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}

// call sends one request and reads the answer whole. A failure of the link is a Transient error, an answer over the limit TooLarge.
func (c *REST) call(ctx context.Context, method, path string, body []byte, header http.Header) (answer, error) {
	op := "talk to " + c.base
	ctx, stop := idling(ctx, c.idle+upload(len(body)))
	defer stop()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, syncerr.Wrap(syncerr.Usage, op, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if c.opts.Authorize != nil {
		if err := c.opts.Authorize(req); err != nil {
			return answer{}, err
		}
	}
	media := "application/json"
	if strings.HasPrefix(path, "/fhir/") || strings.HasPrefix(path, "/ws/fhir2/") {
		media = "application/fhir+json"
	}
	req.Header.Set("Accept", media)
	if body != nil {
		req.Header.Set("Content-Type", media)
	}
	c.out.Add(int64(len(body)))
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, broken(ctx, op, err)
	}
	defer drain(res.Body)
	a := answer{status: res.StatusCode, header: res.Header}
	limit := int64(c.opts.Limit) + 64<<10 // for what a server adds to a document of that size
	a.body, err = io.ReadAll(io.LimitReader(&touching{r: &counting{ReadCloser: res.Body, n: &c.in}, touch: touchOf(ctx)}, limit+1))
	switch {
	case err != nil:
		return a, broken(ctx, op, err)
	case int64(len(a.body)) > limit:
		return a, syncerr.New(syncerr.TooLarge, op, "the answer to %s %s is larger than %d bytes", method, path, limit)
	}
	a.body = bytes.TrimSpace(a.body)
	if a.status == http.StatusOK && !a.json() {
		return a, c.notAPI(a)
	}
	return a, nil
}

// failed is the error for an answer that says nothing about a document.
func (c *REST) failed(op string, a answer) error {
	kind, text := syncerr.KindOfStatus(a.status), a.reason()
	if text == "" {
		text = http.StatusText(a.status)
	}
	if wait := a.header.Get("Retry-After"); wait != "" {
		text += fmt.Sprintf(" (it asks to wait: %.40s)", wait)
	}
	switch {
	case kind == syncerr.Denied:
		return syncerr.New(kind, op, "%s answered %d: %s", c.base, a.status, text).
			WithHint("Check the account or credential that this node has there, and what it may do")
	case !kind.Retry() && !a.json(): // for a retry it does not matter who speaks
		return c.notAPI(a)
	}
	return syncerr.New(kind, op, "%s answered %d: %s", c.base, a.status, text)
}

// notAPI is the error for an answer that is none of the API that is spoken here.
func (c *REST) notAPI(a answer) error {
	what := "a REST API"
	if c.opts.OpenMRS {
		what = "OpenMRS with the modules webservices.rest and fhir2"
	}
	err := syncerr.New(syncerr.Invalid, "talk to "+c.base, "it answered %d with %.60q instead of JSON", a.status, a.header.Get("Content-Type"))
	if to := a.header.Get("Location"); a.status/100 == 3 && to != "" {
		err = syncerr.New(syncerr.Invalid, "talk to "+c.base, "it redirects to %.200s", to)
	}
	return err.WithHint("Check that the address is that of %s, with its context path, and that no page to log in stands before it", what)
}

// broken classifies an error of an exchange that had no answer, or not a whole one.
func broken(ctx context.Context, op string, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errIdle):
		err = cause
	case ctx.Err() != nil && !errors.Is(cause, errOver):
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &syncerr.Error{Kind: syncerr.Transient, Op: op, Err: err, Hint: "Nothing is lost: it is tried again by itself"}
}

// errOver is why the context of an exchange ends with it: nobody cancelled it.
var errOver = errors.New("the exchange is over")

// idling cancels an exchange in which nothing moves for a time.
func idling(ctx context.Context, idle time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(idle, func() { cancel(errIdle) })
	return context.WithValue(ctx, touchKey{}, func() { t.Reset(idle) }), func() {
		t.Stop()
		cancel(errOver)
	}
}
