package simnet

import "github.com/tributary-sync/tributary/store"

func openFilter() store.ConflictFilter {
	return store.ConflictFilter{Status: store.ConflictOpen, Limit: 1}
}
