package version_test

import (
	"fmt"
	"testing"

	"github.com/tributary-sync/tributary/version"
)

// nation is the knowledge of 10,000 replicas, with an exception for every tenth.
func nation(b *testing.B) version.Knowledge {
	b.Helper()
	r := version.Rows{Revision: 20_000}
	for i := range uint64(10_000) {
		v := at(version.Replica(fmt.Sprintf("%08x-0000-4000-8000-%012x", i*0x9E37_79B9&0xffff_ffff, i)), i+10)
		r.Entries = append(r.Entries, version.Entry{Version: v, Revision: i + 1})
		if i%10 == 0 {
			r.Exceptions = append(r.Exceptions, version.Exception{Key: fmt.Sprintf("Patient/%06d", i), Lacks: vec(v), Revision: i + 1})
		}
	}
	k, err := version.FromRows(r)
	if err != nil {
		b.Fatal(err)
	}
	return k
}

func BenchmarkKnowledge(b *testing.B) {
	k := nation(b)
	text, entries := k.String(), k.Entries()
	middle := entries[5000].Version
	next := at(middle.Replica, middle.Tick+1)
	other := learned(b, k.At(20_001), "Patient/1", next)
	if len(other.Since(20_000).Entries) != 1 {
		b.Fatal("the delta of one step has other entries")
	}
	none := func(string) version.Vector { return nil }
	for _, bb := range []struct {
		name string
		run  func() bool
	}{
		{"contains", func() bool { return k.Contains("Patient/1", middle) }},
		{"learn", func() bool { _, ok := k.Learn("Patient/1", next); return ok }},
		{"except", func() bool { return !k.Except("Patient/1", next).Contains("Patient/1", next) }},
		{"union", func() bool { return k.Union(other).Contains("Patient/1", next) }},
		{"contains knowledge", func() bool { return other.ContainsKnowledge(k) }},
		{"delta of one step", func() bool { return len(other.Since(20_000).Entries) == 1 }},
		{"merge of one step", func() bool { return k.Merge(other.Since(20_000), none).Contains("Patient/1", next) }},
		{"write", func() bool { return len(k.String()) == len(text) }},
		{"read", func() bool { _, err := version.ParseKnowledge(text); return err == nil }},
		{"digest", func() bool { return len(k.ToSData()) == 10_000 }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !bb.run() {
					b.Fatal("the wrong result")
				}
			}
		})
	}
}
