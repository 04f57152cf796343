package simnet

// What the program got wrong once, mended since: remove each with the code that steps around it.
const (
	gapParkedEpoch    = false // 1: what was parked under another log of the parent counts as the parent's
	gapLimit          = false // 2: a parent's limit is asked for once
	gapDeferredOneWay = false // 3: a change that is only pushed and waits behind an open conflict is never offered again
	gapHeldOneWay     = false // 4: a hold of a type that is no longer pulled does not end
	gapLateEdit       = false // 5: what is written while a restore is being found keeps a version that was given before
)
