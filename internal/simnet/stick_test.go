package simnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// carryYear runs one world of sticks.
func carryYear(seed uint64, dir string, change func(*Options, *int, *bool)) (c *courier, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	o, days, wires := carriedBy(seed, dir)
	if change != nil {
		change(&o, &days, &wires)
	}
	if c, err = newCourier(ctx, o, days, wires); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.year(ctx); err != nil {
		return c, err
	}
	return c, c.check(ctx)
}

// Two clinics without any network are kept in step by a stick for a year: sticks are lost, copied, damaged, too small, taken late and twice, and
// processes stop; all that was written at one is at the other in the end, and nothing comes back that was deleted.
func TestStickYear(t *testing.T) {
	seed := uint64(1)
	if *oneSeed != 0 {
		seed = *oneSeed
	}
	c, err := carryYear(seed, memory(t), func(o *Options, days *int, wires *bool) {
		o.Nodes, o.Faults, o.Restores, o.Forget, *days, *wires = 2, true, false, false, 365, false
		if *oneSeed != 0 {
			o.Log = os.Stdout
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.carried < 50 {
		t.Errorf("only %d bundles were taken in a year", c.carried)
	}
	t.Logf("%d bundles taken, %d of them with a gap", c.carried, c.gaps)
}

// Worlds of sticks: 26 had a ring of nodes that decided about each other's decisions for
// ever, 28 two conflicts of one key in a transaction; in 33 a machine that was put back whole wrote a stick before anybody told it, and that was taken
// after one of its first life; in 60 nodes forget each other, and collect what the others had still to hear of. They are alone and beside a wire that
// often fails, with restores and collecting.
func TestSticks(t *testing.T) {
	seeds := []uint64{1, 21, 26, 28, 33, 60}
	if *oneSeed != 0 {
		seeds = []uint64{*oneSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if *oneSeed == 0 {
				t.Parallel()
			}
			_, err := carryYear(seed, memory(t), func(o *Options, _ *int, _ *bool) {
				if *oneSeed != 0 {
					o.Log = os.Stdout
				}
			})
			if err != nil {
				o, days, wires := carriedBy(seed, "")
				t.Fatalf("go test ./internal/simnet -run TestSticks -seed %d (%d nodes, %d days, wires %v, restores %v, forget %v, faults %v, %v)\n%v",
					seed, o.Nodes, days, wires, o.Restores, o.Forget, o.Faults, o.Policies, err)
			}
		})
	}
}
