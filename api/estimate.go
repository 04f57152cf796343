package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/klauspost/compress/zstd"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/internal/zpool"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// sampled is how many copies of a type are compressed to tell how large all of them are.
const sampled = 240

// Estimate says how much it is to give to somebody the current copies of types, nil for all, which a knowledge does not contain. The counts
// are those of now; the bytes are what samples say, in the form of catch-ups and pushes, compressed as these are: in one stream, or batch by batch.
func Estimate(ctx context.Context, st *store.Store, pool *zpool.Pool, known feed.Knowledge, types []string, batches bool) ([]feed.Estimate, error) {
	var lacking []store.Lacking
	err := st.Read(ctx, func(r *store.Reader) error {
		var err error
		lacking, err = r.Lacking(known, types, sampled)
		return err
	})
	if err != nil {
		return nil, err
	}
	w := scale{}
	if w.z, err = pool.Encoder(&w.n); err != nil {
		return nil, err
	}
	defer pool.Put(w.z)
	w.enc = feed.NewEncoder(w.z)
	out := make([]feed.Estimate, 0, len(lacking))
	for _, l := range lacking {
		if batches {
			w.z.Reset(&w.n)
		}
		e := feed.Estimate{Type: l.Type, Copies: l.Copies, Deleted: l.Deleted}
		if e.Bytes, err = w.weigh(l); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, syncerr.Wrap(syncerr.Internal, "estimate", w.z.Close())
}

// scale compresses samples of all types one behind the other, as the exchange does.
type scale struct {
	n   counter
	z   *zstd.Encoder
	enc *feed.Encoder
}

// put compresses copies and returns the bytes that they took.
func (w *scale) put(rows []store.Row) (int64, error) {
	before := w.n
	for _, row := range rows {
		if err := w.enc.Event(row.Event); err != nil {
			return 0, err
		}
	}
	if err := w.z.Flush(); err != nil {
		return 0, syncerr.Wrap(syncerr.Internal, "estimate", err)
	}
	return int64(w.n - before), nil
}

// weigh returns the bytes of all copies of a type. The first half of a sample teaches the compressor what such copies look like; the second half
// tells what each further one costs.
func (w *scale) weigh(l store.Lacking) (int64, error) {
	half := len(l.Sample) / 2
	more := l.Copies - int64(len(l.Sample))
	if more <= 0 {
		return w.put(l.Sample)
	}
	first, err := w.put(l.Sample[:half])
	if err != nil {
		return 0, err
	}
	second, err := w.put(l.Sample[half:])
	return first + second + more*second/int64(len(l.Sample)-half), err
}

// counter counts what is written to it.
type counter int64

// Write counts.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// syncEstimate tells a child how much a catch-up would bring it, by what it knows: the question before its operator wants more types.
func (s *Server) syncEstimate(w http.ResponseWriter, r *http.Request) error {
	types, err := typesOf(r.URL.Query(), "types")
	if err != nil {
		return err
	}
	known, err := s.readKnown(w, r)
	if err != nil {
		return err
	}
	v, err := Estimate(r.Context(), s.engine.Store(), s.deps.Pool, feed.KnowledgeOf(known), types, false)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(v)
}
