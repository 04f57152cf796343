// Package bench holds the benchmarks of `make bench`: whole nodes on real sockets and durable databases. Each figure that is a
// ratio is taken against something measured in the same run.
package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/samples"
	"github.com/tributary-sync/tributary/node"
)

// size returns how many resources the rows on a large store have: SIZE, else 100,000.
func size(b *testing.B) int {
	b.Helper()
	v := os.Getenv("SIZE")
	if v == "" {
		return 100_000
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 10_000 {
		b.Fatalf("SIZE=%q must be a number of at least 10000", v)
	}
	return n
}

type running struct {
	*node.Node
	cfg  config.Config
	url  string
	stop func()
}

func configure(b *testing.B, name, dir string, l net.Listener) config.Config {
	b.Helper()
	c := config.Default()
	c.Node.Name, c.Node.DataDir = name, dir
	c.Node.Listen = l.Addr().String()
	c.Node.URL = "http://" + c.Node.Listen
	c.Store.DSN = filepath.Join(dir, "tributary.db")
	return c
}

// prepare makes a node that does not run yet: its listener is open, so that its address is known.
func prepare(b *testing.B, name string, parent *running, change func(*config.Config)) (*running, net.Listener) {
	b.Helper()
	ctx := context.Background()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	cfg := configure(b, name, b.TempDir(), l)
	if parent != nil {
		c, err := parent.Control().AddChild(ctx, name, "")
		if err != nil {
			b.Fatal(err)
		}
		cfg.Parent.URL, cfg.Parent.Credential = parent.url, c.Credential
	}
	if change != nil {
		change(&cfg)
	}
	if err := node.Init(ctx, cfg, node.Deps{}); err != nil {
		b.Fatal(err)
	}
	n, err := node.New(ctx, cfg, node.Deps{})
	if err != nil {
		b.Fatal(err)
	}
	return &running{Node: n, cfg: cfg, url: cfg.Node.URL}, l
}

// start runs a node until the benchmark ends.
func start(b *testing.B, name string, parent *running, change func(*config.Config)) *running {
	b.Helper()
	r, l := prepare(b, name, parent, change)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, l) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}
	b.Cleanup(r.stop)
	return r
}

// fill writes n generated resources at a node, each a change of its own.
func fill(b *testing.B, n *node.Node, count int) {
	b.Helper()
	ctx := context.Background()
	var batch []engine.Write
	flush := func() {
		_, errs, err := n.Engine().AuthorEach(ctx, "bench", batch)
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range errs {
			if err != nil {
				b.Fatal(err)
			}
		}
		batch = batch[:0]
	}
	for s := range samples.All(samples.Config{Seed: 7}, count) {
		r, err := fhir.Parse(s.JSON, 0)
		if err != nil {
			b.Fatal(err)
		}
		if batch = append(batch, engine.Write{Op: engine.Update, Key: r.Key, Body: r}); len(batch) == 500 {
			flush()
		}
	}
	flush()
}

func edit(b *testing.B, n *node.Node, id string, value int) engine.Written {
	b.Helper()
	r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Basic","id":%q,"code":{"text":"edit %d"}}`, id, value), 0)
	if err != nil {
		b.Fatal(err)
	}
	out, err := n.Engine().Author(context.Background(), "bench", []engine.Write{{Op: engine.Update, Key: r.Key, Body: r}})
	if err != nil {
		b.Fatal(err)
	}
	return out[0]
}

// await polls until ok, for what only another process or goroutine can bring about.
func await(b *testing.B, every, most time.Duration, ok func() bool) time.Duration {
	b.Helper()
	begin := time.Now()
	t := time.NewTicker(every)
	defer t.Stop()
	for !ok() {
		if time.Since(begin) > most {
			b.Fatalf("not within %s", most)
		}
		<-t.C
	}
	return time.Since(begin)
}
