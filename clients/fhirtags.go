package clients

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
)

// searchIDs is how many ids are asked for in one search: the longest make a URL of 3.5 KB, which every server takes.
const searchIDs = 50

// Tags returns the states and tags of documents (resourcemanager.Remote): through a search for their ids that leaves the contents out where the
// server has one, else one by one. What a search does not find is asked for singly, because only that tells a deleted document from one that
// never was.
func (f *FHIR) Tags(ctx context.Context, keys []fhir.Key) ([]resourcemanager.Copy, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	caps, err := f.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	found := map[fhir.Key]resourcemanager.Copy{}
	byType := map[string][]string{}
	var types []string
	for _, k := range keys {
		if byType[k.Type] == nil {
			types = append(types, k.Type)
		}
		byType[k.Type] = append(byType[k.Type], k.ID)
	}
	for _, t := range types {
		ids := byType[t]
		for len(ids) > 1 && caps.Types[t].Search {
			n := min(searchIDs, len(ids))
			if err := f.searchTags(ctx, caps, t, ids[:n], found); err != nil {
				return nil, err
			}
			ids = ids[n:]
		}
	}
	return f.lookUp(ctx, caps, keys, found)
}

// lookUp returns the found copies, and reads those that were not found.
func (f *FHIR) lookUp(ctx context.Context, caps *Capabilities, keys []fhir.Key, found map[fhir.Key]resourcemanager.Copy) ([]resourcemanager.Copy, error) {
	var missing []resourcemanager.Want
	for _, k := range keys {
		if _, ok := found[k]; !ok {
			missing = append(missing, resourcemanager.Want{Key: k})
		}
	}
	if caps.Batch && len(missing) > 1 {
		copies, err := f.Read(ctx, missing)
		if err != nil {
			return nil, err
		}
		for _, c := range copies {
			found[c.Key] = c
		}
		missing = nil
	}
	for _, w := range missing {
		c, err := f.readOne(ctx, caps, w, http.MethodHead)
		if err == nil && c.State == resourcemanager.Present && c.Tag == "" && !caps.Types[w.Key.Type].Unversioned {
			c, err = f.readOne(ctx, caps, w, http.MethodGet) // only its body names the version
		}
		if err != nil {
			f.doubt(err)
			return nil, err
		}
		found[w.Key] = c
	}
	out := make([]resourcemanager.Copy, len(keys))
	for i, k := range keys {
		out[i] = found[k]
		out[i].Content = nil
	}
	return out, nil
}

// searchTags notes what a search for ids finds. An answer that is not what was asked for finds nothing, so that the documents are read.
func (f *FHIR) searchTags(ctx context.Context, caps *Capabilities, t string, ids []string, found map[fhir.Key]resourcemanager.Copy) error {
	q := url.Values{"_id": {strings.Join(ids, ",")}, "_elements": {"id,meta"}, "_count": {strconv.Itoa(len(ids))}}
	r, err := f.link.do(ctx, fhirCall{method: http.MethodGet, path: t + "?" + q.Encode()})
	if err != nil {
		return err
	}
	defer r.close()
	if r.status != http.StatusOK {
		return nil
	}
	_, err = f.link.bundle(ctx, r, "searchset", func(_ int, e fhirEntry) error {
		m := gjson.GetManyBytes(e.Resource, "resourceType", "id", "meta.versionId", "meta.lastUpdated")
		k := fhir.Key{Type: m[0].String(), ID: m[1].String()}
		tag := m[2].String()
		if caps.Types[t].Unversioned {
			tag = ""
		} else if tag == "" {
			return nil
		}
		found[k] = resourcemanager.Copy{Key: k, State: resourcemanager.Present, Tag: tag, Modified: timeOf(m[3].String())}
		return nil
	})
	if err != nil {
		f.doubt(err)
	}
	return err
}
