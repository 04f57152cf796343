package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"regexp"

	"github.com/klauspost/compress/gzhttp"

	"github.com/tributary-sync/tributary/syncerr"
)

//go:embed assets
var assets embed.FS

// refresh is after how many seconds a page that shows how things stand renews itself.
const refresh = 30

// asset is a file that pages load.
type asset struct {
	kind, version string
	content       []byte
}

func loadAssets() (map[string]asset, error) {
	out := map[string]asset{}
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml", "live.js": "text/javascript; charset=utf-8"} {
		b, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return nil, err
		}
		out[name] = asset{kind: kind, version: digest(b), content: b}
	}
	return out, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// address is where pages find an asset: another address for another content, so that browsers may keep it for a year.
func (w *Web) address(name string) string { return "/assets/" + name + "?v=" + w.assets[name].version }

func (w *Web) sendAsset(out http.ResponseWriter, r *http.Request) error {
	a, ok := w.assets[r.PathValue("name")]
	if !ok {
		return syncerr.New(syncerr.NotFound, "show", "there is no %.60q", r.PathValue("name"))
	}
	head := out.Header()
	head.Set("Content-Type", a.kind)
	head.Del("Vary")
	head.Set("Cache-Control", "private, max-age=3600")
	if r.URL.Query().Get("v") == a.version {
		head.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	if _, err := out.Write(a.content); err != nil {
		w.log.Debug("send asset", "error", err)
	}
	return nil
}

// packer compresses what is worth it, for browsers that can read it.
func packer() func(http.Handler) http.HandlerFunc {
	pack, err := gzhttp.NewWrapper(gzhttp.MinSize(600), gzhttp.CompressionLevel(gzip.DefaultCompression))
	if err != nil {
		panic("bug: " + err.Error())
	}
	return pack
}

// passing is what changes on a page by time alone: the words of a time, and when the page was made.
var passing = regexp.MustCompile(`(?s)<time [^>]*data-ago[^>]*>.*?</time>|data-now="\d*"|<p id="made".*?</p>`)

// tagOf returns the entity tag of a page (RFC 9110, section 8.8.3): a weak one, equal where nothing but time has passed. Times are
// worded anew by the script; of a time only its moment counts.
func tagOf(body []byte) string {
	return `W/"` + digest(passing.ReplaceAllFunc(body, func(m []byte) []byte {
		if end := bytes.IndexByte(m, '>'); bytes.HasPrefix(m, []byte("<time ")) && end > 0 {
			return m[:end]
		}
		return nil
	})) + `"`
}
