package version

// noPriority is weaker than every conflictPriority.
const noPriority = 10

// Claim is by which SData settles a conflict: the endpoint that a side stands for, its conflictPriority (1 the strongest, 0 none)
// and its stamp in milliseconds since 1970 UTC.
type Claim struct {
	Replica  Replica
	Priority int
	Stamp    int64
}

func (c Claim) rank() int {
	if c.Priority < 1 || c.Priority > 9 {
		return noPriority
	}
	return c.Priority
}

// Beats reports whether c wins against o: the lower priority, then the later stamp, then the smaller replica (SData synchronization
// 1.1, 2.3 and 2.6). Of two different claims exactly one beats the other.
func (c Claim) Beats(o Claim) bool {
	if c.rank() != o.rank() {
		return c.rank() < o.rank()
	}
	if c.Stamp != o.Stamp {
		return c.Stamp > o.Stamp
	}
	return c.Replica < o.Replica
}

// Clock is SData's vector of a resource, with ticks and priorities, and when it was last changed.
type Clock struct {
	Digest Digest
	Stamp  int64 // milliseconds since 1970 UTC
}

// Compare returns 1 if the clock wins against o, -1 if it loses and 0 if both are equal, and whether neither had seen the other
// (SData synchronization 1.1, 2.3). In that conflict each side stands for the strongest replica of which it has seen more,
// with the priority of that more recent entry.
func (c Clock) Compare(o Clock) (sign int, conflict bool) {
	mine, more := c.lead(o)
	other, less := o.lead(c)
	switch {
	case more && less:
		if mine.Beats(other) {
			return 1, true
		}
		return -1, true
	case more:
		return 1, false
	case less:
		return -1, false
	}
	return 0, false
}

// lead returns the strongest claim among the replicas of which c has seen more than o.
func (c Clock) lead(o Clock) (best Claim, found bool) {
	for _, e := range c.Digest {
		if e.Tick <= o.Digest.Tick(e.Replica) {
			continue
		}
		if claim := (Claim{e.Replica, e.Priority, c.Stamp}); !found || claim.Beats(best) {
			best, found = claim, true
		}
	}
	return best, found
}
