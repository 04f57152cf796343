package simnet

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	mutants    = flag.String("mutants", "replay", "replay: the recorded seed must catch each mutation; search: one of the first 2,000, or of a directed world, which is recorded")
	onlyMutant = flag.String("mutant", "", "search for the mutations alone whose name contains this")
	mostSeeds  = flag.Uint64("most", 2000, "the most seeds that a search tries")
	allSeeds   = flag.Bool("all", false, "for TestSeeds: go on after a seed that fails")
	seeds      = flag.String("seeds", "", "for TestSeeds: seeds and ranges of them, such as 7,1-2000")
)

// staleSeeds is how many seeds are tried where the recorded one no longer finds a mutation: a change of the program moves where the
// faults of a seed fall.
const staleSeeds = 60

// How many seeds of each directed world are tried in a search, and where the recorded seed no longer finds a mutation.
const (
	worldsSearched = 30
	worldsReplayed = 4
)

// directedSeeds returns the first seeds of each directed world.
func directedSeeds(count int) string {
	var out []string
	for i := range worlds() {
		first := directedFrom + i*worldSeeds
		out = append(out, fmt.Sprintf("%d-%d", first, first+count-1))
	}
	return strings.Join(out, ",")
}

// The words of TestSeeds that TestMutants reads.
const (
	sayCaught = "simulator: caught by seed "
	sayClean  = "simulator: all seeds are clean"
	sayBroken = "simulator: broken by seed "
)

// TestSeeds runs the seeds of -seeds until one fails and says in one line what came of them. TestMutants calls it in programs that
// have a bug.
func TestSeeds(t *testing.T) {
	if *seeds == "" {
		t.Log("no -seeds")
		return
	}
	dir := memory(t)
	for part := range strings.SplitSeq(*seeds, ",") {
		first, last, err := seedRange(part)
		if err != nil {
			t.Fatal(err)
		}
		for seed := first; seed <= last; seed++ {
			o := options(seed, filepath.Join(dir, strconv.FormatUint(seed, 10)))
			err := simulate(o)
			_ = os.RemoveAll(o.Dir)
			if err == nil {
				continue
			}
			say := sayCaught
			if !isFinding(err) {
				say = sayBroken
			}
			fmt.Printf("%s%d: %s\n", say, seed, strings.ReplaceAll(err.Error(), "\n", " | "))
			t.Fail()
			if !*allSeeds {
				return
			}
		}
	}
	fmt.Println(sayClean)
}

func seedRange(text string) (first, last uint64, err error) {
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		to = from
	}
	if first, err = strconv.ParseUint(from, 10, 63); err != nil {
		return 0, 0, err
	}
	last, err = strconv.ParseUint(to, 10, 63)
	return first, last, err
}

// TestMutants proves that the simulator can fail: each patch under mutations is a bug that it has to find. A mutation that no longer
// applies, does not compile, or stops the simulator by a panic, is not caught.
func TestMutants(t *testing.T) {
	all, err := readMutations("mutations")
	if err != nil || len(all) == 0 {
		t.Fatalf("%d mutations, %v", len(all), err)
	}
	if *mutants == "search" { // those whose seed was lost when the program changed, until another one is found
		lost, err := readMutations("mutations/unfound")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, lost...)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(m mutation) bool {
		err := m.applies(root)
		if err != nil {
			t.Error(err)
		}
		return err != nil
	})
	program := buildMutants(t, all, root)
	for _, m := range append([]mutation{{name: "none"}}, all...) {
		if !strings.Contains(m.name, *onlyMutant) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if m.name == "none" {
				if _, _, err := m.attack(t.Context(), program, "1-3"); !errors.Is(err, errNotFound) {
					t.Errorf("the program without a bug: %v", err)
				}
				return
			}
			m.hunt(t, program)
		})
	}
}

func buildMutants(t *testing.T, all []mutation, root string) string {
	t.Helper()
	dir, start := t.TempDir(), time.Now()
	list, err := overlay(all, root, dir)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "mutants.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay="+list, "-o", program, "./internal/simnet")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the mutations do not compile: %v\n%s", err, out)
	}
	t.Logf("%d mutations built in %.1f s", len(all), time.Since(start).Seconds())
	return program
}

func (m mutation) hunt(t *testing.T, program string) {
	start := time.Now()
	list := fmt.Sprintf("1-%d,%s,%d-%d", staleSeeds, directedSeeds(worldsSearched), staleSeeds+1, *mostSeeds)
	if *mutants == "replay" {
		if m.seed == 0 {
			t.Fatalf("no seed is recorded; find one with: make mutants")
		}
		list = fmt.Sprintf("%d,%s,1-%d", m.seed, directedSeeds(worldsReplayed), staleSeeds)
	}
	seed, why, err := m.attack(t.Context(), program, list)
	if err != nil {
		t.Fatalf("rule %s (%s): %v", m.rule, m.what, err)
	}
	t.Logf("rule %s: caught by seed %d in %.1f s: %.300s", m.rule, seed, time.Since(start).Seconds(), why)
	if seed != m.seed {
		if *mutants == "replay" {
			t.Logf("seed %d no longer finds it: record another with make mutants", m.seed)
		} else if err := m.record(seed); err != nil {
			t.Fatal(err)
		}
	}
}

var errNotFound = errors.New("the seeds did not find it")

// attack runs seeds in the program with the bug, until one finds it.
func (m mutation) attack(ctx context.Context, program, list string) (seed uint64, why string, err error) {
	cmd := exec.CommandContext(ctx, program, "-test.run=^TestSeeds$", "-test.timeout=0", "-seeds="+list)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", mutantEnv+"="+m.name)
	out, rerr := cmd.CombinedOutput()
	for line := range strings.SplitSeq(string(out), "\n") {
		if rest, ok := strings.CutPrefix(line, sayCaught); ok {
			number, why, _ := strings.Cut(rest, ": ")
			seed, err := strconv.ParseUint(number, 10, 64)
			return seed, why, err
		}
		if strings.HasPrefix(line, sayClean) {
			return 0, "", fmt.Errorf("%w: %s", errNotFound, list)
		}
		if strings.HasPrefix(line, sayBroken) {
			return 0, "", fmt.Errorf("not a finding of the checker: %s", line)
		}
	}
	return 0, "", fmt.Errorf("the simulator stopped without a word: %w\n%.3000s", rerr, out)
}
