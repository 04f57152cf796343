package main

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/syncerr"
)

// watching gives a command the flag --watch: it is run again and again, until somebody stops it.
func (a *app) watching(c *cobra.Command) {
	var every time.Duration
	c.Flags().DurationVar(&every, "watch", 0, "show it again every so often, until Ctrl-C; --watch alone is every 2 s")
	c.Flags().Lookup("watch").NoOptDefVal = "2s"
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed("watch") {
			return run(c, args)
		}
		const shortest = 100 * time.Millisecond
		if every < shortest {
			return syncerr.New(syncerr.Usage, c.CommandPath(), "--watch %s is too often", every).WithHint("Use for example --watch=5s")
		}
		return a.watch(c.Context(), every, func() error { return run(c, args) })
	}
}

// watch draws each picture as a whole, so that nothing flickers. A node that does not answer now is asked again.
func (a *app) watch(ctx context.Context, every time.Duration, show func() error) error {
	screen := a.out
	a.screen = screen
	defer func() { a.out, a.screen = screen, nil }()
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		var picture bytes.Buffer
		a.out = &picture
		err := show()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if !syncerr.KindOf(err).Retry() {
				return err
			}
			a.say("%v", err)
		}
		const clear = "\x1b[H\x1b[2J\x1b[3J"
		if terminal(screen) {
			if _, err := io.WriteString(screen, clear); err != nil {
				return syncerr.Wrap(syncerr.Internal, "watch", err)
			}
			a.say("\nEvery %s, last at %s. Ctrl-C ends it.", every, a.clock().Format(time.TimeOnly))
		}
		if _, err := screen.Write(picture.Bytes()); err != nil {
			return syncerr.Wrap(syncerr.Internal, "watch", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}
