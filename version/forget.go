package version

// Forget returns the knowledge after a tombstone, old content or log row of the version was collected. Everything of its
// replica up to the version may then have been collected, which is an over-estimate (Microsoft Sync Framework, ForgetTo).
func (k Knowledge) Forget(v Version) Knowledge {
	k.forgotten = k.forgotten.with(v, k.revision)
	return k
}

// Lacks compares with what a peer has forgotten. whole means that the vector does not contain it: deletions may have passed
// unseen, so a full comparison has to be made before anything is exchanged. keys are those whose exceptions hide a version that
// the peer may have collected: only these have to be compared.
func (k Knowledge) Lacks(forgotten Vector) (keys []string, whole bool) {
	if !k.vector.vector.ContainsAll(forgotten) {
		return nil, true
	}
	for _, e := range k.exceptions {
		gone := e.Limited && !e.Only.ContainsAll(forgotten)
		for _, l := range e.Lacks {
			gone = gone || forgotten.Contains(l)
		}
		if gone {
			keys = append(keys, e.Key)
		}
	}
	return keys, false
}

// Forgot reports whether an incoming version of a key that the node does not have is superseded: it is known, not excepted, and
// forgotten, so its deletion was collected here (DESIGN.md 4.3).
func (k Knowledge) Forgot(key string, v Version) bool {
	return k.Contains(key, v) && k.forgotten.vector.Contains(v)
}

// Fate is what a full comparison does with a copy that the other side, the lister, did not list.
type Fate string

// The fates of an unlisted copy.
const (
	FateKeep     Fate = "keep"     // the lister never had it: keep it, and send it
	FateRemove   Fate = "remove"   // the lister had this version, deleted it and forgot: write a tombstone
	FateConflict Fate = "conflict" // deleted there, edited here: delete against edit
)

// Unlisted decides about a copy, with its present version and the one that created it, that the lister did not list although it
// lists the key's scope. A key that is excepted at the lister is never removed (DESIGN.md 4.3, "Forgetting"; Microsoft Sync
// Framework, full enumeration).
func Unlisted(lister Knowledge, key string, updated, created Version) Fate {
	if _, excepted := lister.Exception(key); excepted {
		return FateKeep
	}
	switch {
	case lister.Contains(key, updated):
		return FateRemove
	case lister.Contains(key, created):
		return FateConflict
	}
	return FateKeep
}
