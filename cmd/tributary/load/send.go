package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// A batch is sent when it has that many entries or bytes.
const (
	batchEntries = 200
	batchBytes   = 4 << 20
)

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 64 << 20

type pending struct {
	resource
	file, where string
}

func (p pending) refusal(reason string) Refusal {
	return Refusal{File: p.file, Place: p.where, What: p.Key.String(), Reason: reason}
}

// batch is what is sent next.
type batch struct {
	group   *group
	seen    int // items of the group so far, also those that are not sent
	bad     []Refusal
	entries []pending
	keys    map[fhir.Key]bool
	twice   bool // a key stands in it twice
	bytes   int

	bytesRead int64 // of files, since the bundle before
	itemsRead int
}

func (b *batch) add(p pending) {
	if b.keys == nil {
		b.keys = map[fhir.Key]bool{}
	}
	b.twice = b.twice || b.keys[p.Key]
	b.keys[p.Key] = true
	b.entries = append(b.entries, p)
	b.bytes += len(p.Body)
}

func (b *batch) full() bool {
	if b.group != nil {
		return b.seen >= b.group.entries
	}
	return len(b.entries) >= batchEntries || b.bytes >= batchBytes
}

// flush sends the batch, while the next one is read.
func (l *loader) flush(ctx context.Context) error {
	b := l.batch
	l.batch = batch{}
	switch {
	case len(b.bad) > 0:
		defer l.move(b.bytesRead, b.itemsRead)
		for _, r := range b.bad {
			l.refuse(r, r.What)
		}
		for _, p := range b.entries {
			l.refuse(p.refusal("it belongs to the transaction of "+b.bad[0].Place+", which cannot be read"), p.Key.Type)
		}
		return nil
	case len(b.entries) == 0:
		l.move(b.bytesRead, b.itemsRead)
		return nil
	case l.opts.DryRun:
		defer l.move(b.bytesRead, b.itemsRead)
		for _, p := range b.entries {
			l.count(p.Key.Type, loaded)
		}
		return nil
	}
	if l.sending.touches(b.keys) {
		if err := l.drain(); err != nil {
			return err
		}
	}
	return l.sending.start(ctx, b.keys, func(ctx context.Context) error {
		defer l.move(b.bytesRead, b.itemsRead)
		switch {
		case b.twice:
			return l.parts(ctx, b.entries)
		case b.group != nil:
			return l.send(ctx, "transaction", b.entries)
		default:
			return l.send(ctx, "batch", b.entries)
		}
	})
}

// drain waits for the bundles that are under way.
func (l *loader) drain() error {
	s := l.sending
	l.sending = newSending()
	return s.wait()
}

// parts sends entries in their order, in batches in which no key stands twice.
func (l *loader) parts(ctx context.Context, entries []pending) error {
	var b batch
	for _, p := range entries {
		if b.keys[p.Key] {
			if err := l.send(ctx, "batch", b.entries); err != nil {
				return err
			}
			b = batch{}
		}
		b.add(p)
	}
	return l.send(ctx, "batch", b.entries)
}

// answer is a bundle of type batch-response or transaction-response (FHIR R4 http.html#transaction-response).
type answer struct {
	Entry []struct {
		Response struct {
			Status       string          `json:"status"`
			LastModified time.Time       `json:"lastModified"`
			Outcome      json.RawMessage `json:"outcome"`
		} `json:"response"`
	} `json:"entry"`
}

func (l *loader) send(ctx context.Context, kind string, entries []pending) error {
	status, body, err := l.do(ctx, http.MethodPost, l.opts.Base, bundleOf(kind, entries))
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return l.refused(ctx, kind, entries, status, body)
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil || len(a.Entry) != len(entries) {
		return syncerr.New(syncerr.Unsupported, "load", "the node answered %d entries with something else than as many results", len(entries)).
			WithHint("Check that node.listen names a Tributary node")
	}
	for i, p := range entries {
		r := a.Entry[i].Response
		code, _ := strconv.Atoi(strings.Fields(r.Status + " 0")[0])
		switch {
		case code == http.StatusOK && !r.LastModified.IsZero() && r.LastModified.Before(l.began.Truncate(time.Millisecond)):
			l.count(p.Key.Type, unchanged)
		case code/100 == 2:
			l.count(p.Key.Type, loaded)
		case stops(code):
			return stopped(code, r.Outcome)
		default:
			l.refuse(p.refusal(reason(code, r.Outcome)), p.Key.Type)
		}
	}
	return nil
}

// refused deals with a bundle that was refused as a whole: a transaction is all or nothing, the entries of a batch are tried
// one by one.
func (l *loader) refused(ctx context.Context, kind string, entries []pending, status int, body []byte) error {
	switch {
	case stops(status):
		return stopped(status, body)
	case kind == "batch" && len(entries) > 1:
		for _, p := range entries {
			if err := l.send(ctx, kind, []pending{p}); err != nil {
				return err
			}
		}
		return nil
	}
	why := reason(status, body)
	if kind == "transaction" {
		why = "its transaction was refused: " + why
	}
	for _, p := range entries {
		l.refuse(p.refusal(why), p.Key.Type)
	}
	return nil
}

// stops reports whether a status is about the node and not about what was sent.
func stops(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || syncerr.KindOfStatus(status).Retry()
}

func stopped(status int, body []byte) error {
	e := syncerr.New(syncerr.KindOfStatus(status), "load", "%s", reason(status, body))
	return e.WithHint("Run the same command again when that is mended: what is loaded already is passed over")
}

func reason(status int, outcome []byte) string {
	if text := fhir.OutcomeText(outcome); text != "" {
		return text
	}
	return fmt.Sprintf("the node answered %d %s", status, http.StatusText(status))
}

func (l *loader) do(ctx context.Context, method, target string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, syncerr.Wrap(syncerr.Usage, "load", err)
	}
	req.Header.Set("Accept", "application/fhir+json")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	res, err := l.opts.Client.Do(req)
	if err != nil {
		return 0, nil, &syncerr.Error{Kind: syncerr.Transient, Op: "load", Err: err, Hint: "Start the node again and run the same command: what is loaded already is passed over"}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, answer, syncerr.Wrap(syncerr.Transient, "load", err)
}

func bundleOf(kind string, entries []pending) []byte {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"` + kind + `","entry":[`)
	for i, p := range entries {
		if i > 0 {
			b.WriteByte(',')
		}
		method := "DELETE"
		b.WriteByte('{')
		if !p.remove {
			method = "PUT"
			b.WriteString(`"resource":`)
			b.Write(p.Body)
			b.WriteByte(',')
		}
		b.WriteString(`"request":{"method":"` + method + `","url":"` + p.Key.String() + `"}}`)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// maxAsked bounds the answers that are remembered of the node.
const maxAsked = 100_000

// ask looks for the target of a conditional reference at the node: it may have been loaded before.
func (l *loader) ask(ctx context.Context, resourceType, system, value string) (k fhir.Key, why string, err error) {
	const none, many = "nothing in the files or at the node has this identifier", "several resources at the node have this identifier"
	if l.opts.Client == nil {
		return fhir.Key{}, none, nil
	}
	query := queryOf(resourceType, system, value)
	if k, ok := l.asked[query]; ok {
		return known(k, none, many)
	}
	q := url.Values{"identifier": {system + "|" + value}, "_count": {"2"}}
	status, body, err := l.do(ctx, http.MethodGet, l.opts.Base+"/"+resourceType+"?"+q.Encode(), nil)
	if err != nil {
		return fhir.Key{}, "", err
	}
	if stops(status) {
		return fhir.Key{}, "", stopped(status, body)
	}
	var found struct {
		Entry []struct {
			Resource struct {
				ResourceType string `json:"resourceType"`
				ID           string `json:"id"`
			} `json:"resource"`
		} `json:"entry"`
	}
	if status == http.StatusOK && json.Unmarshal(body, &found) == nil {
		for _, e := range found.Entry {
			if e.Resource.ResourceType == resourceType && fhir.ValidID(e.Resource.ID) {
				if k != (fhir.Key{}) {
					k = fhir.Key{Type: resourceType} // no id: several
					break
				}
				k = fhir.Key{Type: resourceType, ID: e.Resource.ID}
			}
		}
	}
	if len(l.asked) < maxAsked {
		l.asked[query] = k
	}
	return known(k, none, many)
}

func known(k fhir.Key, none, many string) (fhir.Key, string, error) {
	switch {
	case k == (fhir.Key{}):
		return k, none, nil
	case k.ID == "":
		return fhir.Key{}, many, nil
	}
	return k, "", nil
}
