package load

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-sync/tributary/fhir"
)

// parallel is how many bundles are under way at once: the node writes what comes together in one commit to the disk.
const parallel = 8

// sending is the bundles that are under way. No two of them hold the same key, so that the last one read is the last one written.
type sending struct {
	group errgroup.Group
	mu    sync.Mutex
	keys  map[fhir.Key]bool
	err   error
}

func newSending() *sending {
	s := &sending{keys: map[fhir.Key]bool{}}
	s.group.SetLimit(parallel)
	return s
}

func (s *sending) touches(keys map[fhir.Key]bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range keys {
		if s.keys[k] {
			return true
		}
	}
	return false
}

// start sends a bundle, and waits before where many are under way. It returns the error of one that failed before.
func (s *sending) start(ctx context.Context, keys map[fhir.Key]bool, send func(context.Context) error) error {
	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return s.err
	}
	for k := range keys {
		s.keys[k] = true
	}
	s.mu.Unlock()
	s.group.Go(func() error {
		err := s.failed()
		if err == nil {
			err = send(ctx)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for k := range keys {
			delete(s.keys, k)
		}
		if s.err == nil {
			s.err = err
		}
		return err
	})
	return nil
}

func (s *sending) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sending) wait() error { return s.group.Wait() }
