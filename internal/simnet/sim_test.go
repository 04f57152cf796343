package simnet

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/reconcile"
)

var oneSeed = flag.Uint64("seed", 0, "run this seed alone and print every step")

// committed is how many random seeds run always, from 1 on: with those that found something, twenty of fields and six of each world 200.
const committed = 40

// found are seeds that found what was wrong once, of long runs.
var found = [...]uint64{
	1002553,   // a request of a copy of a machine that was under way while the other copy was heard
	1002807,   // a vector that grew, of a copy that was held
	1002822,   // what waits to be delivered bears its old name after a restore
	6001741,   // two copies of a machine gave one version to writes of two keys, and the first to come was given other names before anybody looked
	7004329,   // an answer under way while its sender was put back had what nobody else had any more
	7007866,   // a tombstone was collected whose type the parent had not been pushed yet, since the cursor of other types had passed it
	7004197,   // a node that came back to its parent did not tell it what another parent had told meanwhile
	7006359,   // a child took the last answer of its parent's first life, when the second one had begun
	8100864,   // a copy of a machine whose rows were collected did not see that its parent remembers another past
	7009564,   // a life that its parent remembers had gone before the copy was put back, and gave none of the versions of the one that began then
	1011326,   // a type that was taken out and put back again before the next pass, while something of it was parked
	1003780,   // a copy that was written again forgot what copies of others had seen
	6000907,   // a transaction was sent without its member that was over the limit
	6001335,   // a limit that was raised where nothing else is sent
	4000884,   // a tombstone was collected before what it had seen was known, and an earlier version came back
	9000073,   // a node was said to have what it lacks, where a later change of that resource is lacking above all that it has
	9000228,   // the same, of a change whose number two copies of a machine gave to two resources
	9000387,   // a child found that a machine was put back, which could not ask its parent what of it keeps its name
	9004226,   // a machine that was put back was found by its child and, in a pass under way, by its parent: it had three names between two looks
	9005069,   // a copy of a machine that only pushes, and has nothing to push, does not meet its parent
	9008213,   // a write that got a third name, after who had seen it under its second one wrote on
	500201717, // two authors made one content, and who had seen that of one of them changed it
	500202780, // what one side had removed came back where a policy chose about something else, so that nothing of a list was to stay
	13000979,  // a second life wrote, and was put back itself before anybody had met it, what others knew under that number from the first
	14000584,  // a node that only pulls a type removed by a full comparison what others had deleted, and knew of their deletion without having seen it
	15002485,  // a parent was put back while its answer was under way, and did not remember whose changes it had taken
	15004458,  // a backup of a machine at the top, made in a life that was found later, was put back, and nobody was there to confirm its names
	15008087,  // what a copy of a machine had written before it was stopped stood by a decision alone, and had seen what was looked for
	15009084,  // a copy was put back twice, and had not heard of the names that its writes got after the first time
	500300014, // each side took away what the other left of a list, and a policy chose one whole
	500305587, // two authors gave a field one value, and who had seen that of one of them changed it
	3000233,   // a deletion that came back after it was collected, and had seen more than it had then
}

// options derives everything about a run from its seed.
func options(seed uint64, dir string) Options {
	if seed >= directedFrom {
		return directed(seed, dir)
	}
	if seed >= fieldsFrom {
		return fieldWorld(ordinary(seed, dir))
	}
	return ordinary(seed, dir)
}

func ordinary(seed uint64, dir string) Options {
	r := stream(seed, 50)
	all := []reconcile.Policy{reconcile.LastWriterWins, reconcile.SourceWins, reconcile.ReplicaPriority, reconcile.DestinationWins, reconcile.Defer}
	o := Options{
		Seed: seed, Dir: dir, Nodes: 2 + r.IntN(5), Steps: 60 + 20*r.IntN(5), Keys: 2 + r.IntN(4), Faults: r.IntN(7) > 0, Restores: r.IntN(3) == 0,
		Moves: r.IntN(5) == 0, OneWay: r.IntN(6) == 0, Filters: r.IntN(5) == 0, Poison: r.IntN(5) == 0, Full: r.IntN(4) == 0, Met: r.IntN(2) == 0,
		Policies: all[seed%5 : seed%5+1], Types: []string{"Patient", "Observation"},
	}
	o.Live = o.Filters && stream(seed, 58).IntN(2) == 1
	o.Equal = r.IntN(4) == 0
	if o.Forget = r.IntN(4) == 0; o.Forget {
		o.Restores = false // what is gone and what comes back could not be told apart
	}
	if r.IntN(3) == 0 {
		o.Policies = all
	}
	if r.IntN(4) == 0 {
		o.Keys = 30 // few rivals: transactions stay whole
	}
	if o.Poison && !o.Forget && r.IntN(2) == 0 {
		o.Restores = true // what is parked outlives the log that it came from
	}
	r = stream(seed, 51)
	if !o.OneWay && !o.Filters && !o.Forget {
		o.Refer = r.IntN(3) == 0
	}
	o.Clones = r.IntN(4) == 0
	o.Above = stream(seed, 52).IntN(2) == 0 && o.Restores && !o.Moves
	return o
}

// harness is an error of the simulator itself, not of what it simulates.
type harness struct{ error }

func isFinding(err error) bool {
	var h harness
	return !errors.As(err, &h) && !errors.Is(err, context.DeadlineExceeded)
}

func simulate(o Options) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	n, err := New(ctx, o)
	if err != nil {
		return harness{err}
	}
	defer func() {
		if cerr := n.Close(); err == nil {
			err = cerr
		}
	}()
	if err = n.Run(ctx); err == nil {
		err = n.Check(ctx)
	}
	if err != nil && o.Log != nil {
		n.Trace(ctx)
	}
	return err
}

// memory returns a folder in memory where there is one: simulated stores need no disk.
func memory(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat("/dev/shm"); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "tributary-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func run(t *testing.T, seed uint64) {
	t.Helper()
	o := options(seed, memory(t))
	if err := simulate(o); err != nil {
		t.Errorf("seed %d: %v\nrepeat it with: go test ./internal/simnet -run TestSim -seed %d", seed, err, seed)
	}
}

func TestSim(t *testing.T) {
	if *oneSeed != 0 {
		o := options(*oneSeed, memory(t))
		var log bytes.Buffer
		o.Log = &log
		err := simulate(o)
		fmt.Print(log.String())
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for seed := uint64(1); seed <= committed; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			run(t, seed)
		})
	}
	for _, seed := range found {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			run(t, seed)
		})
	}
	t.Run("fields", func(t *testing.T) {
		t.Parallel()
		for seed := uint64(fieldsFrom); seed < fieldsFrom+20; seed++ {
			run(t, seed)
		}
	})
	for i, w := range worlds() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			first := uint64(directedFrom + i*worldSeeds)
			for seed := first; seed < first+6; seed++ {
				run(t, seed)
			}
		})
	}
}

// TestSimLong runs as many seeds as the environment asks for, for `make sim`; without it one more than the committed ones.
func TestSimLong(t *testing.T) {
	count, start := uint64(1), uint64(1000)
	for name, into := range map[string]*uint64{"SEEDS": &count, "START": &start} {
		if v := os.Getenv(name); v != "" {
			n, err := strconv.ParseUint(v, 10, 63)
			if err != nil {
				t.Fatalf("%s=%q is not a number", name, v)
			}
			*into = n
		}
	}
	var next, failed, done atomic.Uint64
	next.Store(start)
	began := time.Now()
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for seed := next.Add(1) - 1; seed < start+count && failed.Load() < 10; seed = next.Add(1) - 1 {
				o := options(seed, memory(t))
				if err := simulate(o); err != nil {
					failed.Add(1)
					t.Errorf("seed %d: %v", seed, err)
				}
				_ = os.RemoveAll(o.Dir)
				if n := done.Add(1); n%1000 == 0 {
					t.Logf("%d seeds in %s, %d failed", n, time.Since(began).Round(time.Second), failed.Load())
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d of %d seeds from %d on in %s, %d failed", done.Load(), count, start, time.Since(began).Round(time.Second), failed.Load())
}
