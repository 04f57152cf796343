package clients

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/syncerr"
)

// estimateBytes bounds an answer: a line for each type.
const estimateBytes = 1 << 20

// Estimate asks the peer how much it would send of types, nil for all, to one who has that knowledge. It returns an Unsupported error
// where the peer is too old to know the question, Transient where the link broke, and Invalid where it answers something else.
func (n *Node) Estimate(ctx context.Context, known []feed.Known, types []string) ([]feed.Estimate, error) {
	const op = "ask how much that is"
	body, err := n.encode(resourcemanager.Shipment{Known: known})
	if err != nil {
		return nil, err
	}
	path := "/sync/estimate"
	if types != nil {
		path += "?" + url.Values{"types": {strings.Join(types, ",")}}.Encode()
	}
	ctx, stop := n.deadline(ctx, upload(len(body)))
	defer stop()
	res, err := n.do(ctx, http.MethodPost, path, body, http.Header{"Content-Encoding": {"zstd"}})
	if err != nil {
		return nil, err
	}
	defer drain(res.Body)
	r, err := n.decoded(res)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, estimateBytes))
	if err != nil {
		return nil, n.cut(op, err)
	}
	var out []feed.Estimate
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, syncerr.Wrap(syncerr.Invalid, op, err)
	}
	for _, e := range out {
		if !fhir.Selected(types, e.Type) || e.Copies < 0 || e.Deleted < 0 || e.Deleted > e.Copies || e.Bytes < 0 {
			return nil, syncerr.New(syncerr.Invalid, op, "its answer about %.60q cannot be true", e.Type).WithHint("This program and the peer may be of different versions")
		}
	}
	return out, nil
}
