package version

// Cut returns the vector as if it had seen no tick of r above tick. A restored node uses it on copies whose ticks it gave a second
// time (DESIGN.md 4.3, restore and clone).
func (x Vector) Cut(r Replica, tick uint64) Vector {
	out := make(Vector, 0, len(x))
	for _, v := range x {
		if v.Replica == r {
			v.Tick = min(v.Tick, tick)
		}
		if v.Tick > 0 {
			out = append(out, v)
		}
	}
	return out
}
