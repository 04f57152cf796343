package sdata

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// Local is this node as an end of a pass, without a network between.
type Local struct{ Server *Server }

var _ Endpoint = Local{}

// Kinds returns the types of which there is something here.
func (l Local) Kinds(ctx context.Context) ([]string, error) {
	types, err := l.Server.eng.Store().HeldTypes(ctx)
	return fhir.InOrder(types), err
}

// Digest returns the digest of a type.
func (l Local) Digest(ctx context.Context, resourceType string) ([]byte, error) {
	return l.Server.Digest(ctx, l.Server.cfg.URL, resourceType)
}

// Select freezes what a digest lacks.
func (l Local) Select(ctx context.Context, resourceType string, run Run, digest []byte) (Page, error) {
	target, err := ReadDigest(digest)
	if err != nil {
		return Page{}, err
	}
	j, err := l.Server.beginSource(ctx, resourceType, l.Server.eng.Store().NewUUID(), run, target)
	if err != nil {
		return Page{}, err
	}
	b, err := l.Server.page(ctx, l.Server.cfg.URL, j, place{start: 1, count: pageEntries})
	return Page{Body: b, Location: address(l.Server.cfg.URL, j)}, err
}

// Next returns a page of it.
func (l Local) Next(ctx context.Context, address string) (Page, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Page{}, syncerr.Wrap(syncerr.Invalid, "read page", err)
	}
	resourceType, id, err := named(u)
	if err != nil {
		return Page{}, err
	}
	j, ok, err := l.Server.job(ctx, id)
	if err := l.Server.same(j, ok, err, kindSource, resourceType, Run{}); err != nil {
		return Page{}, err
	}
	p, err := placeOf(&http.Request{URL: u})
	if err != nil {
		return Page{}, err
	}
	b, err := l.Server.page(ctx, l.Server.cfg.URL, j, p)
	return Page{Body: b}, err
}

// named parts the address of an operation into its type and id.
func named(u *url.URL) (resourceType, id string, err error) {
	parts := strings.Split(u.Path, "/")
	if len(parts) < 2 {
		return "", "", syncerr.New(syncerr.Invalid, "read page", "%.100s is not the address of an operation", u.Path)
	}
	_, id, err = operationOf(parts[len(parts)-1])
	return parts[len(parts)-2], id, err
}

// Release drops a pass.
func (l Local) Release(ctx context.Context, location string) error {
	u, err := url.Parse(location)
	if err != nil {
		return syncerr.Wrap(syncerr.Invalid, "end pass", err)
	}
	_, id, err := named(u)
	if err != nil {
		return err
	}
	return l.Server.drop(ctx, id)
}

// Apply takes a page.
func (l Local) Apply(ctx context.Context, resourceType string, run Run, b []byte) ([]byte, error) {
	p, err := readPage(b, resourceType, run)
	if err != nil {
		return nil, err
	}
	out, err := l.Server.take(ctx, l.Server.cfg.URL, &p, func(int) {})
	return WriteFeed(out), err
}

// Report stores results in the audit.
func (l Local) Report(ctx context.Context, resourceType string, run Run, results []byte) error {
	f, err := ReadFeed(results)
	if err != nil {
		return err
	}
	return l.Server.Record(ctx, run, resourceType, f)
}
