package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/tributary-sync/tributary/carry"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/syncerr"
)

// Sticks returns with whom the node exchanges sticks.
func (c *Client) Sticks(ctx context.Context) (control.Sticks, error) {
	return get[control.Sticks](ctx, c, within, http.MethodGet, "/carry", nil, nil)
}

// Introduce takes over cards and returns the node's own.
func (c *Client) Introduce(ctx context.Context, call control.Introduce) (control.Introduction, error) {
	return get[control.Introduction](ctx, c, within, http.MethodPost, "/carry/introduce", nil, call)
}

// ForgetPeer ends the exchange of sticks with a node.
func (c *Client) ForgetPeer(ctx context.Context, name string) error {
	return c.call(ctx, within, http.MethodDelete, "/carry/"+url.PathEscape(name), nil, nil, nil)
}

// Carrier returns the node as a folder sees it (carry.Node).
func (c *Client) Carrier() carry.Node { return sticks{c} }

// sticks streams bundles to and from a node.
type sticks struct{ c *Client }

// Write has the node make a bundle.
func (s sticks) Write(ctx context.Context, peer string, space int64, keep func(uint64, carry.Part) error) ([]byte, carry.Written, error) {
	call, err := json.Marshal(map[string]any{"peer": peer, "space": space})
	if err != nil {
		return nil, carry.Written{}, syncerr.Wrap(syncerr.Internal, "write a stick", err)
	}
	res, err := s.post(ctx, "/carry/out", bytes.NewReader(call))
	if err != nil {
		return nil, carry.Written{}, err
	}
	defer func() { _ = res.Body.Close() }() // what matters of it was read
	return carry.NewFrameReader(res.Body).Bundle(keep)
}

// Check has the node look at a manifest.
func (s sticks) Check(ctx context.Context, manifest []byte) (carry.Manifest, error) {
	var m carry.Manifest
	res, err := s.post(ctx, "/carry/check", bytes.NewReader(manifest))
	if err != nil {
		return m, err
	}
	return m, s.answer(res, &m)
}

// Take has the node take a bundle. Its files are read as the node asks for more.
func (s sticks) Take(ctx context.Context, manifest []byte, part func(int) ([]byte, error)) (carry.Taken, error) {
	m, err := carry.ReadManifest(manifest)
	if err != nil {
		return carry.Taken{}, err
	}
	body := &bundle{manifest: manifest, parts: len(m.Parts), part: part}
	res, err := s.post(ctx, "/carry/in", body)
	if body.err != nil {
		return carry.Taken{}, body.err // the folder could not be read: the node only sees that the stream ends
	}
	if err != nil {
		return carry.Taken{}, err
	}
	var t carry.Taken
	return t, s.answer(res, &t)
}

// bundle is a stream of frames that is made as it is read.
type bundle struct {
	manifest []byte
	parts    int
	part     func(int) ([]byte, error)
	next     int
	buf      bytes.Buffer
	err      error // of part
}

// Read gives the next bytes of the manifest, and then of each file.
func (b *bundle) Read(p []byte) (int, error) {
	if b.buf.Len() == 0 {
		out := carry.NewFrameWriter(&b.buf)
		switch {
		case b.err != nil:
			return 0, b.err
		case b.manifest != nil:
			_ = out.Manifest(b.manifest) // a buffer takes everything
			b.manifest = nil
		case b.next < b.parts:
			file, err := b.part(b.next)
			if err != nil {
				b.err = err
				return 0, err
			}
			b.buf.Grow(len(file) + 16)
			_ = out.File(file)
			b.next++
		default:
			return 0, io.EOF
		}
	}
	return b.buf.Read(p)
}

// post makes an exchange that may take long. Only ctx bounds it.
func (s sticks) post(ctx context.Context, path string, body io.Reader) (*http.Response, error) {
	op := "post " + path
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.c.base+path, body)
	if err != nil {
		return nil, syncerr.New(syncerr.Usage, op, "%w", err).WithHint("Give the node's address as http://host:port")
	}
	if s.c.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.c.token)
	}
	res, err := s.c.http.Do(req)
	if err != nil {
		return nil, s.c.unreachable(op, err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		err := s.c.refused(op, res)
		var e *syncerr.Error
		if errors.As(err, &e) {
			err = e.WithHint("") // what is denied is the stick, not the caller
		}
		_ = res.Body.Close() // what matters of it was read
		return nil, err
	}
	return res, nil
}

func (s sticks) answer(res *http.Response, into any) error {
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return s.c.unreachable("read the answer", err)
	}
	return syncerr.Wrap(syncerr.Unsupported, "read the answer", json.Unmarshal(b, into))
}
