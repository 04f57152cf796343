package feed

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

const (
	rA = version.Replica("0a0a0a0a-0000-4000-8000-00000000000a")
	rB = version.Replica("0b0b0b0b-0000-4000-8000-00000000000b")
	rC = version.Replica("0c0c0c0c-0000-4000-8000-00000000000c")
	// epoch is the epoch of the logs in these tests.
	epoch = "0e0e0e0e-0000-4000-8000-00000000000e"
)

func genReplica() *rapid.Generator[version.Replica] {
	return rapid.Custom(func(t *rapid.T) version.Replica {
		var u uuid.UUID
		copy(u[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
		return version.Replica(u.String())
	})
}

func genVersion() *rapid.Generator[version.Version] {
	return rapid.Custom(func(t *rapid.T) version.Version {
		return version.Version{
			Replica: rapid.OneOf(rapid.SampledFrom([]version.Replica{rA, rB, rC}), genReplica()).Draw(t, "replica"),
			Tick:    rapid.OneOf(rapid.Uint64Range(1, 30), rapid.Uint64Range(1, version.MaxTick)).Draw(t, "tick"),
		}
	})
}

func genKey() *rapid.Generator[fhir.Key] {
	return rapid.Custom(func(t *rapid.T) fhir.Key {
		return fhir.Key{
			Type: rapid.SampledFrom(fhir.Types()).Draw(t, "type"),
			ID:   rapid.StringMatching(`[A-Za-z0-9.-]{1,64}`).Draw(t, "id"),
		}
	})
}

func genStamp() *rapid.Generator[version.Stamp] {
	return rapid.Custom(func(t *rapid.T) version.Stamp {
		s := version.Stamp{Version: genVersion().Draw(t, "version")}
		s.Vector = s.Vector.With(s.Version)
		for _, v := range rapid.SliceOfN(genVersion(), 0, 4).Draw(t, "seen") {
			if v.Replica != s.Version.Replica {
				s.Vector = s.Vector.With(v)
			}
		}
		s.Origin, s.Author = s.Version, s.Version.Replica
		if rapid.Bool().Draw(t, "merged") {
			s.Origin = rapid.SampledFrom(s.Vector).Draw(t, "origin")
			s.Author = genReplica().Draw(t, "author")
		}
		s.Authored = rapid.Int64().Draw(t, "authored")
		if s.Deleted = rapid.Bool().Draw(t, "deleted"); !s.Deleted {
			copy(s.Hash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
			s.Hash[0] |= 1
		}
		return s
	})
}

// genContent draws a compact JSON object.
func genContent() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var b []byte
		b = append(b, `{"resourceType":"Basic"`...)
		for i, s := range rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "texts") {
			b = fmt.Appendf(b, `,"t%d":`, i)
			b = appendText(b, s)
		}
		return string(append(b, `,"n":1.00}`...))
	})
}

func genEvent(seq uint64) *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		e := Event{
			Seq: seq, Key: genKey().Draw(t, "key"), Stamp: genStamp().Draw(t, "stamp"),
			Committed: rapid.Int64Range(-1e13, 1e14).Draw(t, "committed"),
		}
		e.Action = rapid.SampledFrom([]Action{Created, Updated}).Draw(t, "action")
		if rapid.Bool().Draw(t, "at once") {
			e.Stamp.Authored = e.Committed
		}
		if e.Stamp.Deleted {
			e.Action = Deleted
		} else if rapid.Bool().Draw(t, "inline") {
			e.Content = []byte(genContent().Draw(t, "content"))
			e.Size = len(e.Content)
		} else {
			e.Size = rapid.IntRange(0, 1<<24).Draw(t, "size")
		}
		if rapid.Bool().Draw(t, "in unit") {
			e.Unit = rapid.StringMatching(`[!-~]{1,40}`).Draw(t, "unit")
			e.UnitSize = rapid.IntRange(1, 1000).Draw(t, "unit size")
		}
		return e
	})
}

func genEvents(most int) *rapid.Generator[[]Event] {
	return rapid.Custom(func(t *rapid.T) []Event {
		n := rapid.IntRange(0, most).Draw(t, "events")
		seq := uint64(0)
		out := make([]Event, n)
		for i := range out {
			seq += rapid.Uint64Range(1, 5).Draw(t, "step")
			out[i] = genEvent(seq).Draw(t, "event")
		}
		return out
	})
}

// sample returns an event without optional parts: the first of a replica's own changes.
func sample(seq uint64) Event {
	return sampleBy(rA, seq)
}

func sampleBy(r version.Replica, seq uint64) Event {
	v := version.Version{Replica: r, Tick: seq}
	return Event{
		Seq: seq, Key: fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", seq)}, Action: Created,
		Stamp: version.Stamp{
			Version: v, Vector: version.Vector{v}, Author: r, Authored: 1700000000000 + int64(seq), Origin: v,
			Hash: version.Hash{1, 2, 3},
		},
		Committed: 1700000000000 + int64(seq),
		Size:      20,
	}
}

// bigContent returns a resource of about 3 kB, the size of a usual record.
func bigContent(tb testing.TB) []byte {
	tb.Helper()
	var b strings.Builder
	b.WriteString(`{"resourceType":"Observation","id":"o1","status":"final","component":[`)
	for i := range 20 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"code":{"coding":[{"system":"http://loinc.org","code":"8480-%d","display":"Systolic"}]},"valueQuantity":{"value":1%d.00,"unit":"mm[Hg]"}}`, i, i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}
