package device

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// ackKey says what a device got: a copy by its sequence in the log, or that the resource is not there for it.
type ackKey struct {
	key     fhir.Key
	seq     uint64
	deleted bool
}

// seal is the length of the code at the end of a key, in hexadecimal digits. Only this node can make it, for one device and one round of
// it: so a device cannot acknowledge what it was never given, nor what another device was.
const seal = 24

// sign writes the key for a device: Type/id-sequence-code, with a d behind the sequence for a deletion.
func (a ackKey) sign(d store.Device) string {
	text := a.key.String() + "-" + strconv.FormatUint(a.seq, 10)
	if a.deleted {
		text += "d"
	}
	return text + "-" + code(text, d)
}

func code(text string, d store.Device) string {
	m := hmac.New(sha256.New, []byte(d.Secret))
	fmt.Fprintf(m, "%d %s", d.Round, text)
	return hex.EncodeToString(m.Sum(nil))[:seal]
}

// readKey reads what sign wrote for a device; false for anything else.
func readKey(text string, d store.Device) (ackKey, bool) {
	at := strings.LastIndexByte(text, '-')
	if at < 0 || !hmac.Equal([]byte(text[at+1:]), []byte(code(text[:at], d))) {
		return ackKey{}, false
	}
	text = text[:at]
	if at = strings.LastIndexByte(text, '-'); at < 0 {
		return ackKey{}, false
	}
	key, err := fhir.ParseKey(text[:at])
	if err != nil {
		return ackKey{}, false
	}
	number, deleted := strings.CutSuffix(text[at+1:], "d")
	seq, err := strconv.ParseUint(number, 10, 63)
	return ackKey{key: key, seq: seq, deleted: deleted}, err == nil
}

// ack takes acknowledgements: 202 also for keys that count for nothing, because a device may send them again (Base Sync API,
// acknowledgement endpoint).
func (s *Server) ack(w http.ResponseWriter, r *http.Request) error {
	uuid, err := deviceID(r)
	if err != nil {
		return err
	}
	var call struct {
		Data *struct {
			Keys []string `json:"ack_keys"`
		} `json:"data"`
	}
	d := json.NewDecoder(r.Body)
	if err := d.Decode(&call); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return syncerr.New(syncerr.Invalid, "read acknowledgements", "the body is no JSON object with data.ack_keys, a list of texts")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || call.Data == nil || call.Data.Keys == nil {
		return syncerr.New(syncerr.Invalid, "read acknowledgements", "the body is no JSON object with data.ack_keys, a list of texts")
	}
	reg := s.deps.Caller(r.Context())
	for keys := call.Data.Keys; len(keys) > 0; keys = keys[min(len(keys), ackKeys):] {
		if err := s.take(r.Context(), reg, uuid, keys[:min(len(keys), ackKeys)]); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// take notes acknowledgements in one transaction.
func (s *Server) take(ctx context.Context, reg Registration, uuid string, texts []string) error {
	return s.deps.Store.Write(ctx, func(tx *store.Tx) error {
		q, found, err := open(tx, reg, uuid, false)
		if err != nil {
			return err
		}
		var acks []ackKey
		for _, text := range texts {
			if a, ok := readKey(text, q.d); ok && found {
				acks = append(acks, a)
			}
		}
		rec := audit.Record{Operation: audit.Device, Outcome: audit.Done, Action: "ACK", Peer: q.name, Details: items(int64(len(acks))) + " acknowledged"}
		if n := len(texts) - len(acks); n > 0 {
			rec.Outcome = audit.Refused
			rec.Details += fmt.Sprintf("; %d keys were not given to this device, or before its scope or this database changed, and count for nothing", n)
		}
		tx.Audit(rec)
		if !found {
			return nil
		}
		if err := q.save(); err != nil { // a changed scope begins a new round
			return err
		}
		return q.note(acks)
	})
}

// note brings the queue to what was acknowledged.
func (q *line) note(acks []ackKey) error {
	keys := make([]fhir.Key, len(acks))
	for i, a := range acks {
		keys[i] = a.key
	}
	if err := q.tx.Load(keys); err != nil {
		return err
	}
	known, err := q.tx.ItemsOf(q.d.Num, keys)
	if err != nil {
		return err
	}
	changed := map[fhir.Key]bool{}
	for _, a := range acks {
		item, ok := known[a.key]
		if !ok || a.seq < item.Acked {
			continue // it was told of a deletion since, or has a later copy
		}
		current, there, err := q.tx.Current(a.key)
		if err != nil {
			return err
		}
		if a.deleted {
			if !there || current.Seq <= a.seq {
				delete(known, a.key)
				if err := q.tx.DropItem(q.d.Num, a.key); err != nil {
					return err
				}
				continue
			}
			item.Acked = 0 // it came back: the device does not have it
		} else {
			item.Acked = a.seq
			same := false
			if there && !current.Stamp.Deleted {
				if same, err = q.same(a.seq, current.Seq); err != nil {
					return err
				}
			}
			if same {
				item.Place = 0
			}
		}
		known[a.key], changed[a.key] = item, true
	}
	var put []store.DeviceItem
	for _, k := range keys {
		if item, ok := known[k]; ok && changed[k] {
			put = append(put, item)
			delete(changed, k)
		}
	}
	return q.tx.PutItems(q.d.Num, put)
}

// items writes a number of items.
func items(n int64) string {
	if n == 1 {
		return "1 item"
	}
	return strconv.FormatInt(n, 10) + " items"
}
