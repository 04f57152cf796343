package version

import "slices"

// tracked is a vector whose entries remember the revision at which they last rose.
type tracked struct {
	vector Vector
	risen  []uint64 // parallel to vector
}

func trackedOf(entries []Entry) tracked {
	t := tracked{make(Vector, len(entries)), make([]uint64, len(entries))}
	for i, e := range entries {
		t.vector[i], t.risen[i] = e.Version, e.Revision
	}
	return t
}

// entries returns those that rose after the revision, all of them for 0.
func (t tracked) entries(after uint64) []Entry {
	var out []Entry
	for i, v := range t.vector {
		if after == 0 || t.risen[i] > after {
			out = append(out, Entry{v, t.risen[i]})
		}
	}
	return out
}

func (t tracked) with(v Version, revision uint64) tracked {
	if v.Tick == 0 || t.vector.Contains(v) {
		return t
	}
	i, ok := t.vector.find(v.Replica)
	risen := make([]uint64, 0, len(t.risen)+1)
	risen = append(append(risen, t.risen[:i]...), revision)
	if ok {
		i++
	}
	return tracked{t.vector.With(v), append(risen, t.risen[i:]...)}
}

// union marks with the revision whatever rises to y.
func (t tracked) union(y Vector, revision uint64) tracked {
	if t.vector.ContainsAll(y) {
		return t
	}
	out := tracked{vector: t.vector.Union(y)}
	out.risen = make([]uint64, len(out.vector))
	i := 0
	for j, v := range out.vector {
		out.risen[j] = revision
		if i < len(t.vector) && t.vector[i].Replica == v.Replica {
			if t.vector[i].Tick == v.Tick {
				out.risen[j] = t.risen[i]
			}
			i++
		}
	}
	return out
}

// replace puts the entries in the place of those of their replicas, with their own revisions.
func (t tracked) replace(entries []Entry) tracked {
	fresh := trackedOf(entries)
	out := t.union(fresh.vector, 0)
	out.risen = slices.Clone(out.risen)
	for i, v := range fresh.vector {
		if j, ok := out.vector.find(v.Replica); ok && out.vector[j].Tick == v.Tick {
			out.risen[j] = fresh.risen[i]
		}
	}
	return out
}
