// Package node owns the wiring, and nothing else does: a configuration becomes a store, an engine, the two loops, and one handler
// that serves everything. A program or a test may hold several nodes at once.
package node

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/internal/loop"
	"github.com/tributary-sync/tributary/internal/zpool"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/sdata"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/support"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/web"
)

// Deps is what is injected. The zero value is a node on the machine's clock, network and randomness.
type Deps struct {
	Clock     func() time.Time
	Rand      io.Reader
	Transport http.RoundTripper // to the parent
	Log       *slog.Logger
	Clients   map[string]resourcemanager.Client // further clients to the parent, by the name that the configuration gives to types
	// Participants are further participants beside the node, by the names of servers that say changes: program.
	Participants map[string]Participant
	File         *config.File // from which the configuration was read, so that settings can be changed; nil where there is none
	Version      string
	Hook         func(point string) error // store.Options.Hook
	Volatile     bool                     // store.Options.Volatile
	Pool         *zpool.Pool              // for the bodies of exchanges; nil for one of its own

	reach control.Reacher // nil where Transport is injected
}

func (d Deps) complete() Deps {
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Pool == nil {
		d.Pool = new(zpool.Pool)
	}
	if d.Rand == nil {
		d.Rand = rand.Reader
	}
	if d.Transport == nil {
		d.Transport, d.reach = transport(), Reach
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return d
}

// transport carries requests to the parent over a link that may be slow: nothing but the client's own idle time ends an exchange
// that has begun.
func transport() http.RoundTripper {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 30 * time.Second, MaxIdleConns: 4, IdleConnTimeout: 90 * time.Second, DisableCompression: true, ForceAttemptHTTP2: true,
	}
}

// Node is one running Tributary.
type Node struct {
	cfg     config.Config                 // as it was at the start: what is synchronised may have changed since
	current atomic.Pointer[config.Config] // as it is in force
	deps    Deps
	keys    keys
	store   *store.Store
	engine  *engine.Engine
	control *control.Control
	api     *api.Server
	handler http.Handler
	link    *link     // to the parent; nil at the top
	servers []*server // beside the node, by name
	sdata   *sdata.Server
	targets []*direction // of changes that are pushed by SData, by name
	beside  beside
	nonce   sync.Mutex // held while the file of the nonce is replaced

	releasing  sync.Mutex
	unreleased bool // what waits for a direction that is off could not be released
}

// Init makes the database, the key pair and the operator's token of a new node. It returns a Conflict error where they exist.
func Init(ctx context.Context, cfg config.Config, deps Deps) error {
	deps = deps.complete()
	opts, err := storeOptions(cfg, deps)
	if err != nil {
		return err
	}
	st, err := store.Create(ctx, opts, cfg.Node.Name, cfg.Feed.PageSize)
	if err != nil {
		return err
	}
	if err := st.Close(); err != nil {
		return err
	}
	return makeKeys(cfg.Node.DataDir, deps.Rand)
}

func storeOptions(cfg config.Config, deps Deps) (store.Options, error) {
	dsn := cfg.Store.DSN
	if cfg.Store.Driver == config.DriverMySQL {
		var warning string
		var err error
		if dsn, warning, err = config.ReadDSN(cfg); err != nil {
			return store.Options{}, err
		}
		if warning != "" {
			deps.Log.Warn("configuration", "warning", warning)
		}
	}
	return store.Options{
		Driver: cfg.Store.Driver, DSN: dsn, Clock: deps.Clock, Rand: deps.Rand, Log: deps.Log, Hook: deps.Hook, Volatile: deps.Volatile,
	}, nil
}

// New opens the node's database and wires it; nothing runs yet. The errors are those of store.Open and of unreadable keys.
func New(ctx context.Context, cfg config.Config, deps Deps) (*Node, error) {
	deps = deps.complete()
	recent := support.NewLog(deps.Log.Handler())
	deps.Log = slog.New(recent)
	opts, err := storeOptions(cfg, deps)
	if err != nil {
		return nil, err
	}
	k, err := readKeys(cfg.Node.DataDir)
	if err != nil && syncerr.KindOf(err) != syncerr.NotFound {
		return nil, err
	}
	st, serr := store.Open(ctx, opts)
	if serr != nil {
		return nil, serr
	}
	if err != nil { // the database is there and the keys are not: that is the clearer complaint
		return nil, errors.Join(err, st.Close())
	}
	if err := st.Write(ctx, func(tx *store.Tx) error { return tx.CloseOrphans() }); err != nil {
		deps.Log.Warn("passes of an earlier process stay open", "error", err) // a full disk must not keep readers out
	}
	n := &Node{cfg: cfg, deps: deps, keys: k, store: st}
	n.current.Store(&cfg)
	n.engine = engine.New(st, engine.Config{
		Policies: cfg.Policies(), Limit: int(cfg.Limits.Resource), Quiet: !cfg.Audit.Success, URL: cfg.BaseURL(), Log: deps.Log,
		References: engine.References{Hold: cfg.References == config.HoldReferences, Pulls: n.pulls},
	})
	if err := n.incarnate(ctx); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	if err := n.orphaned(ctx); err != nil {
		deps.Log.Warn("what an earlier parent told stays", "error", err) // a full disk must not keep readers out
	}
	if cfg.Parent.URL != "" {
		if n.link, err = newLink(ctx, n); err != nil {
			return nil, errors.Join(err, st.Close())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Servers)) {
		s, err := newServer(n, name, cfg.Servers[name])
		if err != nil {
			return nil, errors.Join(err, st.Close())
		}
		n.servers = append(n.servers, s)
	}
	if err := n.release(ctx); err != nil {
		deps.Log.Warn("what waits for a direction that is off stays", "error", err)
	}
	cd := control.Deps{Clock: deps.Clock, Rand: deps.Rand, Version: deps.Version, PublicKey: k.public(), StartedAt: deps.Clock(), Carrier: newCarrier(n), Reach: deps.reach}
	if n.link != nil {
		cd.Prober, cd.Holds, cd.Verifier, cd.Skew = n.link, n.link.holds, n.link.verify, n.link.client.Skew
	}
	cd.Live, cd.File = n, deps.File
	n.control = control.New(n.engine, cfg, n, cd)
	if deps.File != nil {
		if err := n.control.NoteSettings(ctx); err != nil {
			deps.Log.Warn("a change of the settings is not audited", "error", err) // a full disk must not keep readers out
		}
	}
	n.api = api.New(api.Deps{
		Engine: n.engine, Control: n.control, Log: deps.Log, Clock: deps.Clock, AdminToken: k.token, PublicKey: k.public(),
		Anonymous: prefixes(cfg), Version: deps.Version, URL: cfg.BaseURL(), Secret: k.private.Seed(), Pool: deps.Pool, Restored: n.foundByChild,
		Support: n.support(recent), Keep: cfg.History.Keep.Std(),
	})
	mux := http.NewServeMux()
	n.api.Register(mux)
	n.sdata = newSData(n)
	for _, name := range slices.Sorted(maps.Keys(cfg.SData)) {
		d, err := newTarget(n, name, cfg.SData[name])
		if err != nil {
			return nil, errors.Join(err, st.Close())
		}
		n.targets = append(n.targets, d)
	}
	n.sdata.Register(mux, func(h sdata.Handler) http.Handler { return n.api.Guard(h, api.ForApps, sdata.WriteError) })
	web.New(n.control, deps.Log).Register(mux, func(h http.Handler) http.Handler { return n.api.Protect(h, api.ForOperators) })
	n.registerDevices(mux)
	n.handler = mux
	return n, nil
}

// Handler serves everything the node answers.
func (n *Node) Handler() http.Handler { return n.handler }

// AdminToken returns the operator's secret.
func (n *Node) AdminToken() string { return n.keys.token }

// Engine returns the node's engine.
func (n *Node) Engine() *engine.Engine { return n.engine }

// Control returns what an operator can see and do.
func (n *Node) Control() *control.Control { return n.control }

// Close closes the database. Run must have returned.
func (n *Node) Close() error { return n.store.Close() }

// Listen takes the node's address. It returns a Usage error that says what to do where the address is taken or not ours.
func Listen(cfg config.Config) (net.Listener, error) {
	l, err := net.Listen("tcp", cfg.Node.Listen)
	if err != nil {
		return nil, syncerr.New(syncerr.Unavailable, "listen on "+cfg.Node.Listen, "%v", cause(err)).
			WithHint("Another program, perhaps another Tributary, holds this port: stop it, or choose another port in node.listen")
	}
	return l, nil
}

func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Run serves on l (nil: on node.listen) and runs the loops until ctx ends. It then stops in order: the listener and exchanges
// that wait for news, the loops; the store is closed by Close. It returns nil after an orderly stop.
func (n *Node) Run(ctx context.Context, l net.Listener) error {
	if l == nil {
		var err error
		if l, err = Listen(n.cfg); err != nil {
			return err
		}
	}
	srv := &http.Server{
		Handler: n.handler, ReadHeaderTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(n.deps.Log.Handler(), slog.LevelDebug),
	}
	g, ctx := errgroup.WithContext(ctx)
	n.beside.open(ctx, g)
	g.Go(func() error {
		if err := srv.Serve(unhurried{l, takenWithin}); !errors.Is(err, http.ErrServerClosed) {
			return syncerr.Wrap(syncerr.Internal, "serve", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		n.api.Stop()
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(wait); err != nil {
			return srv.Close()
		}
		return nil
	})
	for _, d := range n.loops() {
		g.Go(func() error { return d.loop.Run(ctx) })
	}
	upkeep := loop.New(loop.Config{Name: "upkeep", Pass: n.Upkeep, Every: time.Hour, Log: n.deps.Log, Now: n.deps.Clock})
	g.Go(func() error { return upkeep.Run(ctx) })
	g.Go(func() error { return n.control.Run(ctx) })
	return g.Wait()
}

// release ends what waits for a direction that the configuration has switched off since. Where it cannot, the next pass does.
func (n *Node) release(ctx context.Context) error {
	n.releasing.Lock()
	defer n.releasing.Unlock()
	err := n.tryRelease(ctx)
	n.unreleased = err != nil
	return err
}

// released does what release could not.
func (n *Node) released(ctx context.Context) error {
	n.releasing.Lock()
	defer n.releasing.Unlock()
	if !n.unreleased {
		return nil
	}
	err := n.tryRelease(ctx)
	n.unreleased = err != nil
	return err
}

func (n *Node) tryRelease(ctx context.Context) error {
	pushes, pulls := n.pushes, n.pulls
	if n.link == nil {
		pushes = func(string) bool { return false }
		pulls = pushes
	}
	return n.engine.Released(ctx, engine.Link{Peer: "parent"}, pushes, pulls)
}

// Upkeep does what is due now and then: Run calls it every hour.
func (n *Node) Upkeep(ctx context.Context) error {
	if err := n.rotate(ctx); err != nil {
		return err
	}
	if err := n.sdata.Upkeep(ctx); err != nil {
		return err
	}
	if err := n.engine.Upkeep(ctx, n.cfg.Audit.Retention.Std()); err != nil {
		return err
	}
	if err := n.store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.ThinTimes(); err != nil {
			return err
		}
		return tx.PruneBelow()
	}); err != nil {
		return err
	}
	_, err := n.engine.Collect(ctx, engine.Collecting{
		Keep: n.cfg.History.Keep.Std(), Parent: n.link != nil, Pushes: n.pushes, Servers: n.given(),
	})
	return err
}

// given returns, by name, which types each server beside the node is given.
func (n *Node) given() map[string]func(string) bool {
	out := map[string]func(string) bool{}
	for name, s := range n.cfg.Servers {
		if types := s.PushTypes(); len(types) > 0 {
			out[name] = func(resourceType string) bool { return slices.Contains(types, resourceType) }
		}
	}
	for name, t := range n.cfg.SData {
		types := t.PushTypes()
		out[targetName(name)] = func(resourceType string) bool { return fhir.Selected(types, resourceType) }
	}
	return out
}
