package load

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// note is the first reading: it remembers what an item will be called. What is wrong with it is said by write.
func (l *loader) note(_ context.Context, it *item) error {
	if it.reads() {
		return nil
	}
	r, err := it.key(func() (string, error) {
		u, err := uuid.NewRandomFromReader(l.opts.Rand)
		if err != nil {
			return "", syncerr.Wrap(syncerr.Internal, "make id", err)
		}
		l.made[it.at] = u.String()
		return u.String(), nil
	})
	if err == nil && !r.remove {
		l.names.add(r.Resource, it.fullURL)
	}
	return nil
}

// write is the second reading: it puts an item with its references resolved into the batch and sends the batch when it is full.
func (l *loader) write(ctx context.Context, it *item) error {
	if it.group != l.batch.group {
		if err := l.flush(ctx); err != nil {
			return err
		}
		l.batch.group = it.group
	}
	if err := l.add(ctx, it); err != nil {
		return err
	}
	if l.batch.full() {
		return l.flush(ctx)
	}
	return nil
}

func (l *loader) add(ctx context.Context, it *item) error {
	l.batch.seen++
	if it.reads() {
		l.report.Skipped++
		return nil
	}
	r, err := it.key(func() (string, error) { return l.made[it.at], nil })
	if err != nil {
		refusal := Refusal{File: it.file, Place: it.where, What: typeOf(it.body), Reason: err.Error()}
		if it.group != nil {
			l.batch.bad = append(l.batch.bad, refusal)
			return nil
		}
		l.refuse(refusal, typeOf(it.body))
		return nil
	}
	if !r.remove {
		body, err := l.rewrite(ctx, it, r.Resource)
		if err != nil {
			return err
		}
		r.Body = body
	}
	if it.group == nil && l.batch.keys[r.Key] {
		// The same resource again: the entries of a batch have no order among themselves (FHIR R4 http.html#brules).
		if err := l.flush(ctx); err != nil {
			return err
		}
	}
	l.batch.add(pending{resource: r, file: it.file, where: it.where})
	return nil
}

// rewrite points the references of a resource at the keys under which their targets are loaded.
func (l *loader) rewrite(ctx context.Context, it *item, r fhir.Resource) ([]byte, error) {
	var failed error
	body := fhir.RewriteReferences(r.Body, func(ref string) (string, bool) {
		k, why, err := l.resolve(ctx, ref)
		if err != nil {
			failed = err
		}
		if why != "" {
			l.keep(Reference{File: it.file, From: r.Key.String(), To: ref, Why: why})
		}
		if k == (fhir.Key{}) {
			return "", false
		}
		l.report.Rewrote++
		return k.String(), true
	})
	return body, failed
}

// resolve returns the key to which a reference leads, an empty one where it stays as it is, and why that is a loss.
func (l *loader) resolve(ctx context.Context, ref string) (k fhir.Key, why string, err error) {
	if lower := strings.ToLower(ref); strings.HasPrefix(lower, "urn:") {
		k, found, several := l.names.get(lower)
		switch {
		case several:
			return fhir.Key{}, "several resources of the files have this fullUrl", nil
		case !found && strings.HasPrefix(lower, "urn:uuid:"):
			return fhir.Key{}, "no resource of the files has this fullUrl", nil
		}
		return k, "", nil
	}
	t, system, value, usable, ok := conditional(ref)
	switch {
	case !ok:
		if k, local := fhir.LocalKey(ref); local {
			if _, found, _ := l.names.get(k.String()); !found {
				l.report.Outside++
			}
		}
		return fhir.Key{}, "", nil
	case !usable:
		return fhir.Key{}, "only Type?identifier=system|value can be looked up", nil
	}
	k, found, several := l.names.get(queryOf(t, system, value))
	if several {
		return fhir.Key{}, "several resources of the files have this identifier", nil
	}
	if found {
		return k, "", nil
	}
	return l.ask(ctx, t, system, value)
}

// typeOf returns the type of a resource that may be refused for anything, "" where it cannot be told.
func typeOf(body []byte) string {
	p := probeBytes(body)
	if fhir.IsType(p.resourceType) {
		return p.resourceType
	}
	return ""
}

// count adds one to the number that which selects of a type.
func (l *loader) count(resourceType string, which func(*Counts) *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countLocked(resourceType, which)
}

func (l *loader) countLocked(resourceType string, which func(*Counts) *int) {
	if resourceType == "" {
		resourceType = "(unknown)"
	}
	c := l.types[resourceType]
	if c == nil {
		c = &Counts{Type: resourceType}
		l.types[resourceType] = c
	}
	*which(c)++
}

func loaded(c *Counts) *int    { return &c.Loaded }
func unchanged(c *Counts) *int { return &c.Unchanged }
func refused(c *Counts) *int   { return &c.Refused }

func (l *loader) refuse(r Refusal, resourceType string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Refused++
	l.countLocked(resourceType, refused)
	if len(l.report.Refusals) < maxListed {
		l.report.Refusals = append(l.report.Refusals, r)
	}
}

func (l *loader) keep(r Reference) {
	l.report.Unsolved++
	if len(l.report.Kept) < maxListed {
		l.report.Kept = append(l.report.Kept, r)
	}
}

func (l *loader) finish() Report {
	r := l.report
	r.Types, r.Refusals, r.Kept = []Counts{}, append([]Refusal{}, r.Refusals...), append([]Reference{}, r.Kept...)
	for _, t := range slices.Sorted(maps.Keys(l.types)) {
		r.Types = append(r.Types, *l.types[t])
	}
	return r
}
