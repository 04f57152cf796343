// Command tributary is the one program of a Tributary node: it makes, runs, feeds and inspects it. It owns flags, words and
// tables. It must not decide anything about resources: what an operator sees and does comes from package control, over HTTP where
// the node runs and in this process where it does not, with the same answers.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is set by the linker; without it the build information of the module says which version this is.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{in: os.Stdin, out: os.Stdout, errors: os.Stderr, env: os.Environ(), clock: time.Now, version: versionOf(version)}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
