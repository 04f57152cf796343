package sdata

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// weakest is the conflictPriority of a node about which nothing is configured.
const weakest = 9

// known returns what this node knows of a type.
func known(r *store.Reader, resourceType string) (feed.Known, error) {
	parts, err := r.Knowledge([]string{resourceType})
	if err != nil {
		return feed.Known{}, err
	}
	if k, ok := feed.KnowledgeOf(parts)[resourceType]; ok {
		return k, nil
	}
	return feed.Known{Type: resourceType}, nil
}

// lowered returns knowledge as a digest can say it: the tick of a replica is lowered to the first that is excepted for any key, so that a peer
// sends more than it had to and nothing is lost.
func lowered(k feed.Known) (version.Digest, error) {
	rows := version.Rows{}
	for _, v := range k.Vector {
		rows.Entries = append(rows.Entries, version.Entry{Version: v})
	}
	for _, l := range k.Lacks {
		rows.Exceptions = append(rows.Exceptions, version.Exception{Key: fhir.Key{Type: k.Type, ID: l.ID}.String(), Lacks: []version.Version{l.Version}})
	}
	out, err := version.FromRows(rows)
	return out.ToSData(), err
}

// digestOf writes this node's knowledge of a type as a digest, for nodes with what a digest cannot say.
func (s *Server) digestOf(r *store.Reader, k feed.Known) (Digest, error) {
	own := r.Identity().Replica
	low, err := lowered(k)
	if err != nil {
		return Digest{}, err
	}
	if k.Vector.Tick(own) == 0 {
		low = append(low, version.DigestEntry{Replica: own, Tick: 1})
		slices.SortFunc(low, func(a, b version.DigestEntry) int { return cmp.Compare(a.Replica, b.Replica) })
	}
	urls, err := r.Endpoints()
	if err != nil {
		return Digest{}, err
	}
	replicas := make([]version.Replica, len(low))
	for i, e := range low {
		replicas[i] = e.Replica
	}
	names, err := r.Names(replicas)
	if err != nil {
		return Digest{}, err
	}
	node := map[version.Replica]string{own: r.Identity().Name}
	for _, n := range names {
		node[n.Replica] = n.Node
	}
	g := Digest{Origin: nodeEndpoint + string(own), Known: &feed.Known{Type: k.Type, Lacks: k.Lacks, Forgotten: k.Forgotten}}
	for _, e := range low {
		d := DigestEntry{Endpoint: endpointOf(urls, e.Replica), Tick: e.Tick, Priority: weakest, Node: node[e.Replica]}
		if p := s.cfg.Priority[d.Node]; p > 0 {
			d.Priority = min(p, weakest)
		}
		if d.Stamp, err = r.Newest(k.Type, e.Replica); err != nil {
			return g, err
		}
		if t := k.Vector.Tick(e.Replica); t >= e.Tick {
			g.Known.Vector = append(g.Known.Vector, version.Version{Replica: e.Replica, Tick: t})
		}
		g.Entries = append(g.Entries, d)
	}
	return g, nil
}

func endpointOf(urls map[version.Replica]string, r version.Replica) string {
	if url, ok := urls[r]; ok {
		return url
	}
	return nodeEndpoint + string(r)
}

// vector returns the versions that a digest says are known, and with them those that a node knows above its exceptions.
func (g Digest) vector() version.Vector {
	ticks := map[version.Replica]uint64{}
	for _, e := range g.Entries {
		if e.Tick > 1 {
			r := ReplicaOf(e.Endpoint)
			ticks[r] = max(ticks[r], e.Tick-1)
		}
	}
	if g.Known != nil {
		for _, v := range g.Known.Vector {
			ticks[v.Replica] = max(ticks[v.Replica], v.Tick)
		}
	}
	return vectorOf(ticks)
}

func vectorOf(ticks map[version.Replica]uint64) version.Vector {
	out := make(version.Vector, 0, len(ticks))
	for _, r := range slices.Sorted(maps.Keys(ticks)) {
		out = append(out, version.Version{Replica: r, Tick: ticks[r]})
	}
	return out
}

// known returns what the owner of the digest knows of a type. It returns an Invalid error for what nobody can know.
func (g Digest) known(resourceType string) (feed.Known, error) {
	k := feed.Known{Type: resourceType, Vector: g.vector()}
	if g.Known != nil {
		k.Lacks, k.Forgotten = g.Known.Lacks, g.Known.Forgotten
		if g.Known.Type != resourceType {
			return k, syncerr.New(syncerr.Invalid, "read digest", "it is of %.60q, not of %s", g.Known.Type, resourceType)
		}
	}
	return k, k.Check()
}

// meet remembers the addresses in documents that do not tell their replica.
func (s *Server) meet(ctx context.Context, g Digest, entries []Entry) error {
	found := map[version.Replica]string{}
	note := func(endpoint string) {
		if foreign(endpoint) {
			found[ReplicaOf(endpoint)] = endpoint
		}
	}
	for _, e := range g.Entries {
		note(e.Endpoint)
	}
	for _, e := range entries {
		note(e.State.Endpoint)
	}
	if len(found) == 0 {
		return nil
	}
	err := s.eng.Store().Read(ctx, func(r *store.Reader) error {
		have, err := r.Endpoints()
		for r := range have {
			delete(found, r)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		return err
	}
	return s.eng.Store().Write(ctx, func(tx *store.Tx) error {
		for _, r := range slices.Sorted(maps.Keys(found)) {
			if err := tx.NameEndpoint(r, found[r]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Digest returns the entry that $syncDigest answers for a type; base is the address by which this node was reached.
func (s *Server) Digest(ctx context.Context, base, resourceType string) ([]byte, error) {
	var g Digest
	err := s.eng.Store().Read(ctx, func(r *store.Reader) error {
		k, err := known(r, resourceType)
		if err == nil {
			g, err = s.digestOf(r, k)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return WriteDigest(collection(base, resourceType)+"/$syncDigest", resourceType+" synchronization digest", s.cfg.Clock().UnixMilli(), g), nil
}

// link is how the engine sees the other end of a page or digest.
func (s *Server) link(ctx context.Context, g Digest, run Run) engine.Link {
	l := engine.Link{Peer: s.peer(ctx), Child: sourceMark(g.Origin), ClientName: "sdata", Run: run.ID()}
	for _, e := range g.Entries {
		if e.Endpoint == g.Origin && e.Node != "" {
			l.Peer = e.Node
		}
	}
	if l.Peer == "" || foreign(g.Origin) && g.Origin != "" {
		l.Peer = g.Origin
	}
	return l
}

// sourceMark is what a log row notes of a page's origin, so that it is not pushed back.
func sourceMark(origin string) string { return "sdata:" + string(ReplicaOf(origin)) }

// peer names who asks, for the audit.
func (s *Server) peer(ctx context.Context) string {
	if who, ok := ctx.Value(peerKey{}).(string); ok {
		return who
	}
	return s.cfg.Peer(ctx)
}
