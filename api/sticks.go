package api

import (
	"io"
	"net/http"

	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

// registerSticks mounts what the command line needs to write and take sticks: it reads and writes the folder, the node makes and takes what stands
// in it.
func (s *Server) registerSticks(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"GET /control/v1/carry":            s.carryPeers,
		"DELETE /control/v1/carry/{name}":  s.carryForget,
		"POST /control/v1/carry/introduce": s.carryIntroduce,
		"POST /control/v1/carry/out":       s.carryOut,
		"POST /control/v1/carry/check":     s.carryCheck,
	} {
		mux.Handle(pattern, s.handle(h, forOperators))
	}
	mux.Handle("POST /control/v1/carry/in", s.handle(s.carryIn, forSticks))
}

func (s *Server) carryPeers(w http.ResponseWriter, r *http.Request) error {
	v, err := s.control(r).Sticks(r.Context())
	return answer(w, http.StatusOK, v, err)
}

func (s *Server) carryForget(w http.ResponseWriter, r *http.Request) error {
	if err := s.control(r).ForgetPeer(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) carryIntroduce(w http.ResponseWriter, r *http.Request) error {
	var call control.Introduce
	if err := readLarge(w, r, maxCards, &call); err != nil {
		return err
	}
	v, err := s.control(r).Introduce(r.Context(), call)
	return answer(w, http.StatusOK, v, err)
}

// The limits of what a call may bring in bytes: a folder full of cards, a manifest.
const (
	maxCards    = 16 << 20
	maxManifest = 8 << 20
)

// carryOut streams a bundle: its files, its manifest, and what it holds.
func (s *Server) carryOut(w http.ResponseWriter, r *http.Request) error {
	var call struct {
		Peer  string `json:"peer"`
		Space int64  `json:"space"` // bytes on the stick, 0 for no bound
	}
	if err := readCall(w, r, &call); err != nil {
		return err
	}
	if call.Peer == "" || call.Space < 0 {
		return syncerr.New(syncerr.Invalid, "write a stick", "peer is missing, or space is negative")
	}
	car, err := s.control(r).Carrier()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	out, begun := carry.NewFrameWriter(w), false
	manifest, written, err := car.Write(r.Context(), call.Peer, call.Space, func(serial uint64, p carry.Part) error {
		begun = true
		return out.Part(serial, p)
	})
	switch {
	case err != nil && begun && r.Context().Err() == nil:
		return out.Fail(err) // the status is gone; the stream says it
	case err != nil:
		return err
	}
	if err := out.Manifest(manifest); err != nil {
		return err
	}
	return out.Written(written)
}

func (s *Server) carryCheck(w http.ResponseWriter, r *http.Request) error {
	manifest, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		return syncerr.Wrap(syncerr.Invalid, "read manifest", err)
	}
	car, err := s.control(r).Carrier()
	if err != nil {
		return err
	}
	v, err := car.Check(r.Context(), manifest)
	return answer(w, http.StatusOK, v, err)
}

// carryIn takes a stream of a manifest and of the files that it names, in its order.
func (s *Server) carryIn(w http.ResponseWriter, r *http.Request) error {
	in := carry.NewFrameReader(r.Body)
	manifest, err := in.Manifest()
	if err != nil {
		return syncerr.New(syncerr.Invalid, "take a stick", "%w", err)
	}
	car, err := s.control(r).Carrier()
	if err != nil {
		return err
	}
	next := 0
	v, err := car.Take(r.Context(), manifest, func(i int) ([]byte, error) {
		for ; next < i; next++ { // what was taken before
			if _, err := in.File(); err != nil {
				return nil, err
			}
		}
		next++
		return in.File()
	})
	return answer(w, http.StatusOK, v, err)
}
