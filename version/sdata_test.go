package version_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-sync/tributary/version"
)

// digest gives the ticks of replicas 1, 2 and 3 of the vectors of SData; 0 leaves one out.
func digest(ticks ...uint64) version.Digest {
	var d version.Digest
	for i, tick := range ticks {
		if tick > 0 {
			d = append(d, version.DigestEntry{Replica: replicas()[i], Tick: tick})
		}
	}
	return d
}

func n(i int, tick uint64) version.Version { return at(replicas()[i-1], tick) }

func requireDigest(t *testing.T, got, want version.Digest) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func requireRanges(t *testing.T, got []version.Range, want ...version.Range) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestSD1(t *testing.T) {
	requireRanges(t, digest(6, 10, 10).Select(digest(5, 11, 8)), version.Range{Replica: ra, From: 5, To: 6}, version.Range{Replica: rc, From: 8, To: 10})
	// A replica that the target does not have is sent from tick 1 on; one that has no changes yet is not sent.
	requireRanges(t, digest(6, 1).Select(nil), version.Range{Replica: ra, From: 1, To: 6})
}

func TestSD2(t *testing.T) {
	d := digest(5, 11, 8)
	one := d.After(n(1, 5))
	requireDigest(t, one, digest(6, 11, 8))
	requireDigest(t, one.After(n(3, 8)), digest(6, 11, 9))
	requireDigest(t, one.After(n(2, 7)), one)
	requireDigest(t, d, digest(5, 11, 8))
	requireDigest(t, digest(5, 0, 8).After(n(2, 1)), digest(5, 2, 8))
}

func TestSD3(t *testing.T) {
	d := digest(6, 11, 9)
	requireDigest(t, d.EndOfFeed(digest(6, 10, 10), version.CatchUp), digest(6, 11, 10))
	requireDigest(t, d.EndOfFeed(digest(6, 10, 10), version.Immediate), d)
	requireDigest(t, digest(0, 3, 0).EndOfFeed(digest(6, 1, 1), version.CatchUp), digest(6, 3, 0))
	requireDigest(t, d, digest(6, 11, 9))
}

// endpoint is a small SData endpoint: its digest, and all that it holds.
type endpoint struct {
	digest version.Digest
	holds  []version.Version
}

// page returns at most size entries that e has to send, in the order of Select.
func (e *endpoint) page(target version.Digest, size int) (out []version.Version, last bool) {
	for _, r := range e.digest.Select(target) {
		for tick := r.From; tick < r.To; tick++ {
			if v := at(r.Replica, tick); slices.Contains(e.holds, v) {
				out = append(out, v)
			}
		}
	}
	if len(out) > size {
		return out[:size], false
	}
	return out, true
}

func (e *endpoint) take(vs []version.Version) {
	for _, v := range vs {
		e.holds = append(e.holds, v)
		e.digest = e.digest.After(v)
	}
}

// pass runs a whole catch-up from e to the target.
func (e *endpoint) pass(target *endpoint) []version.Version {
	vs, _ := e.page(target.digest, 1000)
	target.take(vs)
	target.digest = target.digest.EndOfFeed(e.digest, version.CatchUp)
	return vs
}

func TestSD4(t *testing.T) {
	n1 := &endpoint{digest(6, 7, 9), []version.Version{n(1, 5), n(2, 6), n(3, 8)}}
	n2 := &endpoint{digest(5, 8, 8), []version.Version{n(1, 4), n(2, 7), n(3, 7)}}
	requireRanges(t, n1.digest.Select(n2.digest), version.Range{Replica: ra, From: 5, To: 6}, version.Range{Replica: rc, From: 8, To: 9})
	if got := n1.pass(n2); !slices.Equal(got, vec(n(1, 5), n(3, 8))) {
		t.Fatalf("N1 sent %v", got)
	}
	requireDigest(t, n2.digest, digest(6, 8, 9))
	requireRanges(t, n2.digest.Select(n1.digest), version.Range{Replica: rb, From: 7, To: 8})
	if got := n2.pass(n1); !slices.Equal(got, vec(n(2, 7))) {
		t.Fatalf("N2 sent %v", got)
	}
	requireDigest(t, n1.digest, digest(6, 8, 9))
	requireDigest(t, n2.digest, n1.digest)
	if got := slices.Concat(n1.pass(n2), n2.pass(n1)); len(got) != 0 {
		t.Fatalf("both agree, but %v was sent", got)
	}
}

// The verdicts of SD5; Judge and Detect have to agree (section 5.4 of the SData text, whose own table errs about who wins case e).
func TestJudge(t *testing.T) {
	d1, d2 := digest(6, 7, 9), digest(5, 8, 8)
	k1, k2 := fromSData(t, d1), fromSData(t, d2)
	for _, tt := range []struct {
		name           string
		incoming, held version.Version
		want           version.Verdict
	}{
		{"a", n(1, 5), n(1, 4), version.VerdictApply},
		{"b", n(1, 5), n(2, 6), version.VerdictApply},
		{"c", n(1, 5), n(2, 7), version.VerdictConflict},
		{"d", n(1, 5), n(3, 7), version.VerdictApply},
		{"e", n(3, 8), n(2, 7), version.VerdictConflict},
		{"nothing here", n(1, 5), version.Version{}, version.VerdictApply},
		{"known here", n(2, 6), n(2, 7), version.VerdictIgnore},
		{"known here by the digest", n(3, 7), n(2, 7), version.VerdictIgnore},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := d2.Judge(d1, tt.incoming, tt.held); got != tt.want {
				t.Errorf("by digests: %s, want %s", got, tt.want)
			}
			if got := version.Detect(k2, k1, "I1", tt.incoming, tt.held); got != tt.want {
				t.Errorf("by knowledge: %s, want %s", got, tt.want)
			}
		})
	}
	// Where a digest holds what its endpoint has, both rules agree on everything that a source selects.
	check(t, "as knowledge", func(t *rapid.T) {
		held := smallVersion(t, "held")
		target := smallVector(t, "target").With(held)
		r := rapid.SampledFrom(replicas()).Draw(t, "replica")
		incoming := at(r, target.Tick(r)+rapid.Uint64Range(1, 3).Draw(t, "newer"))
		source := smallVector(t, "source").With(incoming)
		ks, kt := scope(source), scope(target)
		by, other := kt.ToSData().Judge(ks.ToSData(), incoming, held), version.Detect(kt, ks, "I1", incoming, held)
		if incoming.Replica != held.Replica && by != other {
			t.Fatalf("%v over %v from %v to %v: %s, but %s", incoming, held, source, target, by, other)
		}
	})
}

func TestSD6(t *testing.T) {
	if digest(0, 7).Contains(n(2, 7)) {
		t.Error("7 is the first that is not known, but it is contained")
	}
	if !digest(0, 8).Contains(n(2, 7)) {
		t.Error("7 is below 8, but it is not contained")
	}
	if digest().Contains(n(2, 1)) || digest().Tick(rb) != 1 || digest(0, 1).Contains(n(2, 1)) {
		t.Error("an unseen replica begins at tick 1")
	}
	if zero := (version.Digest{{Replica: ra}}); zero.Tick(ra) != 1 {
		t.Error("a tick of 0 is 1")
	}
}

func clock(stamp int64, entries ...version.DigestEntry) version.Clock {
	return version.Clock{Digest: entries, Stamp: stamp}
}

func TestSD7(t *testing.T) {
	e := func(i int, tick uint64, priority int) version.DigestEntry {
		return version.DigestEntry{Replica: replicas()[i-1], Tick: tick, Priority: priority}
	}
	second := clock(25, e(1, 5, 1), e(2, 8, 2), e(3, 8, 3))
	for _, tt := range []struct {
		name     string
		x, y     version.Clock
		want     int
		conflict bool
	}{
		{"the lower priority of what each leads in", clock(23, e(1, 6, 1), e(2, 7, 2), e(3, 9, 3)), second, 1, true},
		{"the most recent of two priorities", clock(23, e(1, 6, 1), e(2, 7, 2), e(3, 9, 3)), clock(25, e(1, 5, 3), e(2, 8, 2), e(3, 8, 3)), 1, true},
		{"a priority that was lowered", clock(23, e(1, 6, 3), e(2, 7, 2), e(3, 9, 3)), second, -1, true},
		{"the strongest of several", clock(23, e(1, 6, 3), e(2, 7, 2), e(3, 9, 1)), clock(25, e(1, 5, 3), e(2, 8, 2), e(3, 8, 1)), 1, true},
		{"equal priorities: the later stamp", clock(23, e(1, 6, 1), e(2, 7, 1), e(3, 9, 3)), clock(25, e(1, 5, 1), e(2, 8, 1), e(3, 8, 3)), -1, true},
		{"equal stamps: the smaller id", clock(25, e(1, 6, 1), e(2, 7, 1)), clock(25, e(1, 5, 1), e(2, 8, 1)), 1, true},
		{"no priority is the weakest", clock(25, e(1, 6, 0)), clock(23, e(2, 8, 9)), -1, true},
		{"one has seen all", clock(23, e(1, 6, 9), e(2, 8, 9), e(3, 9, 9)), second, 1, false},
		{"equal", clock(23, e(1, 5, 1), e(2, 8, 2), e(3, 8, 3)), second, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, conflict := tt.x.Compare(tt.y); got != tt.want || conflict != tt.conflict {
				t.Errorf("got %d, %t, want %d, %t", got, conflict, tt.want, tt.conflict)
			}
			if got, conflict := tt.y.Compare(tt.x); got != -tt.want || conflict != tt.conflict {
				t.Errorf("the other way round: got %d, %t", got, conflict)
			}
		})
	}
}

func TestSD15(t *testing.T) {
	ten := int64(10 * 60 * 60 * 1000)
	for _, tt := range []struct {
		name          string
		winner, loser version.Claim
	}{
		{"later", version.Claim{Replica: rb, Priority: 2, Stamp: ten + 1000}, version.Claim{Replica: ra, Priority: 2, Stamp: ten}},
		{"smaller id", version.Claim{Replica: ra, Priority: 2, Stamp: ten}, version.Claim{Replica: rb, Priority: 2, Stamp: ten}},
		{"priority", version.Claim{Replica: rb, Priority: 1, Stamp: ten}, version.Claim{Replica: ra, Priority: 2, Stamp: ten + 1000}},
		{"any priority before none", version.Claim{Replica: rb, Priority: 9}, version.Claim{Replica: ra, Stamp: ten}},
		{"no priority and one out of range", version.Claim{Replica: ra}, version.Claim{Replica: rb, Priority: 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.winner.Beats(tt.loser) || tt.loser.Beats(tt.winner) {
				t.Errorf("got %t and %t", tt.winner.Beats(tt.loser), tt.loser.Beats(tt.winner))
			}
		})
	}
	claim := rapid.Custom(func(t *rapid.T) version.Claim {
		return version.Claim{
			Replica: rapid.SampledFrom(replicas()).Draw(t, "replica"), Priority: rapid.IntRange(1, 3).Draw(t, "priority"), Stamp: rapid.Int64Range(0, 2).Draw(t, "stamp"),
		}
	})
	check(t, "a strict total order", func(t *rapid.T) {
		x, y, z := claim.Draw(t, "x"), claim.Draw(t, "y"), claim.Draw(t, "z")
		if (x == y) == (x.Beats(y) != y.Beats(x)) {
			t.Fatalf("%v against %v: %t and %t", x, y, x.Beats(y), y.Beats(x))
		}
		if x.Beats(y) && y.Beats(z) && !x.Beats(z) {
			t.Fatalf("%v, %v, %v", x, y, z)
		}
	})
}

// The digest part: a deletion of something that was never here is an entry like any other.
func TestSD16(t *testing.T) {
	source := &endpoint{digest(9), []version.Version{n(1, 8)}}
	target := &endpoint{digest: digest(8)}
	page, last := source.page(target.digest, 10)
	if !last || !slices.Equal(page, vec(n(1, 8))) || target.digest.Judge(source.digest, n(1, 8), version.Version{}) != version.VerdictApply {
		t.Fatalf("got %v, %t", page, last)
	}
	target.take(page)
	requireDigest(t, target.digest, digest(9))
	requireRanges(t, source.digest.Select(target.digest))
}

func TestSD17(t *testing.T) {
	source, target := &endpoint{digest: digest(16, 11)}, &endpoint{}
	for i := range uint64(15) {
		source.holds = append(source.holds, n(1, i+1))
	}
	for i := range uint64(10) {
		source.holds = append(source.holds, n(2, i+1))
	}
	page, last := source.page(target.digest, 10)
	if last {
		t.Fatal("25 entries came on one page of 10")
	}
	target.take(page)
	// The target dies here: the end of the feed was not reached, so its digest speaks of the page only.
	requireDigest(t, target.digest, digest(11))
	requireRanges(t, source.digest.Select(target.digest), version.Range{Replica: ra, From: 11, To: 16}, version.Range{Replica: rb, From: 1, To: 11})
	if again := source.pass(target); len(again) != 15 || again[0] != n(1, 11) {
		t.Fatalf("the next pass sent %v", again)
	}
	requireDigest(t, target.digest, source.digest)
}

func fromSData(t testing.TB, d version.Digest) version.Knowledge {
	t.Helper()
	k, err := version.FromSData(d)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSDataForms(t *testing.T) {
	k := fromSData(t, version.Digest{{Replica: rc, Tick: 1}, {Replica: rb, Tick: 8}, {Replica: ra, Tick: 0}})
	if !k.Equal(scope(vec(at(rb, 7)))) {
		t.Fatalf("got %s", k)
	}
	// The digest goes down to the first tick that is excepted of any key, and no further.
	k = scope(vec(at(ra, 9), at(rb, 7))).Except("I1", at(ra, 6)).Except("I2", at(ra, 4)).Except("I1", at(rc, 5))
	requireDigest(t, k.ToSData(), digest(4, 8))
	k = k.Settle("I2", vec(at(ra, 4)))
	requireDigest(t, k.ToSData(), digest(6, 8))
	requireRanges(t, k.ToSData().Select(digest(5, 8)), version.Range{Replica: ra, From: 5, To: 6})
	requireDigest(t, k.Exclude("I3").ToSData(), digest(1, 1))
	for name, d := range map[string]version.Digest{
		"no replica": {{Replica: "x", Tick: 1}},
		"doubled":    {{Replica: ra, Tick: 1}, {Replica: ra, Tick: 2}},
		"too high":   {{Replica: ra, Tick: version.MaxTick + 2}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := version.FromSData(d)
			requireInvalid(t, err)
		})
	}
	highest := fromSData(t, digest(version.MaxTick+1))
	if highest.Vector().Tick(ra) != version.MaxTick || fmt.Sprint(highest.ToSData()) != fmt.Sprint(digest(version.MaxTick+1)) {
		t.Errorf("got %s", highest)
	}
}

func TestFeedSync(t *testing.T) {
	for name, u := range map[string]version.Update{
		"by nobody":   {Sequence: 1},
		"by a name":   {By: "kzu", Sequence: 1},
		"no sequence": {By: ra},
		"too high":    {By: ra, Sequence: version.MaxTick + 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := version.FromFeedSync([]version.Update{{By: rb, Sequence: 1}, u})
			requireInvalid(t, err)
		})
	}
	list := version.History(at(rb, 4), vec(at(ra, 2), at(rb, 4), at(rc, 9)))
	if want := []version.Update{{By: rb, Sequence: 4}, {By: rc, Sequence: 9}, {By: ra, Sequence: 2}}; !slices.Equal(list, want) {
		t.Errorf("got %v, want %v", list, want)
	}
	got, err := version.FromFeedSync([]version.Update{{By: rb, Sequence: 3}, {By: ra, Sequence: 2}, {By: rb, Sequence: 1}})
	if err != nil || !got.Equal(vec(at(ra, 2), at(rb, 3))) {
		t.Errorf("got %v, %v", got, err)
	}
}
