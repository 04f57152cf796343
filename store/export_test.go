package store

import "time"

// SetFew makes searches walk along their order where a term has that many rows in the index.
func (s *Store) SetFew(n int) { s.limits.few = n }

// SetSearchTime bounds searches.
func (s *Store) SetSearchTime(d time.Duration) { s.limits.time = d }
