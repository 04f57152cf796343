package feed_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/feed"
	"github.com/tributary-sync/tributary/syncerr"
)

func TestReadNews(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"RSS 2.0": {
			`<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>Alerts</title><link>https://x/</link>
			<item><guid isPermaLink="false">a1</guid><title>Cholera &amp; more</title><link>https://x/a1</link><description>&lt;p&gt;Boil&nbsp;water&lt;/p&gt;</description>
			<pubDate>Wed, 04 Mar 2026 10:30:00 +0200</pubDate><category>outbreak</category><category>water</category></item>
			<item><title>No guid</title><link>https://x/a2</link></item></channel></rss>`,
			`[{"id":"a1","title":"Cholera \u0026 more","link":"https://x/a1","summary":"\u003cp\u003eBoil\u00a0water\u003c/p\u003e","published":"2026-03-04T08:30:00Z","categories":["outbreak","water"]},` +
				`{"id":"https://x/a2","title":"No guid","link":"https://x/a2"}]`,
		},
		"Atom": {
			`<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><id>f</id><updated>2026-01-01T00:00:00Z</updated><entry><id>urn:e</id><title>T</title>
			<link rel="self" href="https://x/s"/><link href="https://x/e"/><updated>2026-01-02T00:00:00Z</updated><author><name>Ana</name></author><content>C</content><category term="k"/></entry></feed>`,
			`[{"id":"urn:e","title":"T","link":"https://x/e","content":"C","author":"Ana","updated":"2026-01-02T00:00:00Z","categories":["k"]}]`,
		},
		"RSS 1.0": {
			`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel><title>c</title></channel><item><title>T</title><link>https://x/1</link></item></rdf:RDF>`,
			`[{"id":"https://x/1","title":"T","link":"https://x/1"}]`,
		},
		"nothing in it": {`<rss version="2.0"><channel><title>x</title></channel></rss>`, `null`},
	} {
		got, err := feed.ReadNews(strings.NewReader(c.text), 1<<20)
		text, jerr := json.Marshal(got)
		if err != nil || jerr != nil || strings.ReplaceAll(string(text), "\u00a0", `\u00a0`) != c.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", name, err, text, c.want)
		}
	}
	for name, c := range map[string]struct {
		text string
		kind syncerr.Kind
	}{
		"cut off":        {`<rss version="2.0"><channel><item><guid>a</guid></item>`, syncerr.Invalid},
		"an entity":      {`<!DOCTYPE rss [<!ENTITY a "aaaa">]><rss version="2.0"><channel><item><guid>&a;</guid></item></channel></rss>`, syncerr.Invalid},
		"a web page":     {`<html><body>log in</body></html>`, syncerr.Invalid},
		"no id, no link": {`<rss version="2.0"><channel><item><title>T</title></item></channel></rss>`, syncerr.Invalid},
		"empty":          {``, syncerr.Invalid},
		"long":           {`<rss version="2.0"><channel>` + strings.Repeat(" ", 1<<20), syncerr.TooLarge},
	} {
		if got, err := feed.ReadNews(strings.NewReader(c.text), 1<<20); syncerr.KindOf(err) != c.kind || got != nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}
