package store

// SetFew makes searches walk along their order where a term has that many rows in the index.
func (s *Store) SetFew(n int) { s.few = n }
