package feed

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"time"

	"github.com/mmcdole/gofeed/atom"
	"github.com/mmcdole/gofeed/rss"

	"github.com/tributary-sync/tributary/syncerr"
)

// News is one item of a feed that is no feed of changes: RSS 0.9 to 2.0, RDF, or Atom. Times are instants of FHIR, empty where the feed has
// none that can be read.
type News struct {
	ID         string   `json:"id,omitempty"` // its guid or Atom id, else its link
	Title      string   `json:"title,omitempty"`
	Link       string   `json:"link,omitempty"`
	Summary    string   `json:"summary,omitempty"` // HTML as the feed has it
	Content    string   `json:"content,omitempty"` // the same
	Author     string   `json:"author,omitempty"`
	Published  string   `json:"published,omitempty"`
	Updated    string   `json:"updated,omitempty"`
	Categories []string `json:"categories,omitempty"`
}

// rdfNamespace is that of the root of RSS 0.9 and 1.0.
const rdfNamespace = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

// ReadNews reads a feed of at most limit bytes, its items in the order of the feed. The errors are those of ReadAtom; an item without guid,
// id and link is Invalid as well, since nobody could tell it from another. It returns no part of a bad feed.
func ReadNews(r io.Reader, limit int64) ([]News, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Transient, "read feed", err)
	}
	if int64(len(body)) > limit {
		return nil, syncerr.New(syncerr.TooLarge, "read feed", "it is longer than %d bytes", limit)
	}
	if body, err = utf8Body(body); err != nil {
		return nil, err
	}
	c := xmlCheck{kind: "RSS or Atom", roots: []xml.Name{{Local: "rss"}, {Space: rdfNamespace, Local: "RDF"}, {Space: atomNamespace, Local: "feed"}}}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Entity = xml.HTMLEntity // RSS is often written with those of HTML
	if err := c.all(d); err != nil {
		return nil, err
	}
	var out []News
	if c.root.Local == "feed" {
		out, err = atomNews(body)
	} else {
		out, err = rssNews(body)
	}
	if err != nil {
		return nil, xmlError(err)
	}
	for i := range out {
		if out[i].ID == "" {
			out[i].ID = out[i].Link
		}
		if out[i].ID == "" {
			return nil, xmlInvalid("item %d has no guid and no link", i+1)
		}
	}
	return out, nil
}

func rssNews(body []byte) ([]News, error) {
	parsed, err := (&rss.Parser{}).Parse(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var out []News
	for _, i := range parsed.Items {
		n := News{Title: i.Title, Link: i.Link, Summary: i.Description, Content: i.Content, Author: i.Author, Published: instantOf(i.PubDateParsed)}
		if i.GUID != nil {
			n.ID = strings.TrimSpace(i.GUID.Value)
		}
		for _, c := range i.Categories {
			n.Categories = append(n.Categories, c.Value)
		}
		out = append(out, n)
	}
	return out, nil
}

func atomNews(body []byte) ([]News, error) {
	parsed, err := (&atom.Parser{}).Parse(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var out []News
	for _, e := range parsed.Entries {
		n := News{ID: strings.TrimSpace(e.ID), Title: e.Title, Summary: e.Summary, Published: instantOf(e.PublishedParsed), Updated: instantOf(e.UpdatedParsed)}
		if e.Content != nil {
			n.Content = e.Content.Value
		}
		for _, l := range e.Links {
			if n.Link == "" && (l.Rel == "" || l.Rel == "alternate") {
				n.Link = l.Href
			}
		}
		for _, a := range e.Authors {
			if n.Author == "" {
				n.Author = a.Name
			}
		}
		for _, c := range e.Categories {
			n.Categories = append(n.Categories, c.Term)
		}
		out = append(out, n)
	}
	return out, nil
}

func instantOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}
