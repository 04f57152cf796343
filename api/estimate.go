package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/internal/zpool"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// sampled is how many copies of a type are compressed to tell how large all of them are.
const sampled = 240

// Estimate says how much it is to give to somebody the current copies of types, nil for all, which a knowledge does not contain. The counts
// are those of now; the bytes are what samples say, in the form of catch-ups and pushes, compressed as these are.
func Estimate(ctx context.Context, st *store.Store, pool *zpool.Pool, known feed.Knowledge, types []string) ([]feed.Estimate, error) {
	var lacking []store.Lacking
	err := st.Read(ctx, func(r *store.Reader) error {
		var err error
		lacking, err = r.Lacking(known, types, sampled)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]feed.Estimate, 0, len(lacking))
	for _, l := range lacking {
		e := feed.Estimate{Type: l.Type, Copies: l.Copies, Deleted: l.Deleted}
		if e.Bytes, err = weigh(l, pool); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// weigh returns the bytes of all copies. The first half of a sample teaches the compressor what such copies look like; the second half tells what each
// further one costs.
func weigh(l store.Lacking, pool *zpool.Pool) (int64, error) {
	var n counter
	z, err := pool.Encoder(&n)
	if err != nil {
		return 0, err
	}
	defer pool.Put(z)
	enc, half, first := feed.NewEncoder(z), len(l.Sample)/2, int64(0)
	for i, row := range l.Sample {
		if i == half {
			if err := z.Flush(); err != nil {
				return 0, syncerr.Wrap(syncerr.Internal, "estimate", err)
			}
			first = int64(n)
		}
		if err := enc.Event(row.Event); err != nil {
			return 0, err
		}
	}
	if err := z.Close(); err != nil {
		return 0, syncerr.Wrap(syncerr.Internal, "estimate", err)
	}
	all, more := int64(n), l.Copies-int64(len(l.Sample))
	if len(l.Sample) == half || more <= 0 {
		return all, nil
	}
	return all + more*(all-first)/int64(len(l.Sample)-half), nil
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
	v, err := Estimate(r.Context(), s.engine.Store(), s.deps.Pool, feed.KnowledgeOf(known), types)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(v)
}
