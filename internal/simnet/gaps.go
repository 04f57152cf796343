package simnet

// What the program is known to get wrong (known.md says how). A run steps around each of them; false looks at it again.
const (
	gapParkedEpoch    = true // 1: what was parked under another log of the parent counts as the parent's
	gapLimit          = true // 2: a parent's limit is asked for once
	gapDeferredOneWay = true // 3: a change that is only pushed and waits behind an open conflict is never offered again
	gapHeldOneWay     = true // 4: a hold of a type that is no longer pulled does not end
	gapLateEdit       = true // 5: what is written while a restore is being found keeps a version that was given before
)
