package clients_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/api"
	"github.com/tributary-sync/tributary/clients"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
	"github.com/tributary-sync/tributary/engine"
	"github.com/tributary-sync/tributary/feedreader"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/resourcemanager"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// atomNode is a node of ours with pages of five, and its handler.
func atomNode(t *testing.T) (*engine.Engine, http.Handler) {
	t.Helper()
	st, err := store.Create(t.Context(), store.Options{DSN: filepath.Join(t.TempDir(), "n.db"), Volatile: true, Clock: time.Now}, "district", 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	eng, mux := engine.New(st, engine.Config{}), http.NewServeMux()
	deps := api.Deps{Engine: eng, Clock: time.Now, Control: control.New(eng, config.Config{}, nil, control.Deps{}), Version: "test", URL: "https://public.example/n"}
	api.New(deps).Register(mux)
	return eng, mux
}

func author(t *testing.T, eng *engine.Engine, op engine.Op, kind, body string) string {
	t.Helper()
	r, err := fhir.ParseAs(kind, []byte(body), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Author(t.Context(), "test", []engine.Write{{Op: op, Key: r.Key, Body: r}}); err != nil {
		t.Fatal(err)
	}
	return r.Key.String()
}

// The feed of a node of ours, under another address than the node knows of itself: documents with their versions, so that only what is
// not known has to be asked for; a page that was read costs nothing more.
func TestAtomOfANode(t *testing.T) {
	eng, mux := atomNode(t)
	var want []string
	for n := range 12 {
		want = append(want, author(t, eng, engine.Update, "Patient", fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, n)))
	}
	want = append(want, author(t, eng, engine.Update, "program", `{"uuid":"`+uuidOf(1)+`","name":"HIV"}`))
	want = append(want, author(t, eng, engine.Delete, "Patient", `{"resourceType":"Patient","id":"p3"}`))
	status := map[int]int{}
	count := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &codeWriter{ResponseWriter: w, code: http.StatusOK}
		mux.ServeHTTP(seen, r)
		status[seen.code]++
	})
	r := newAtom(t, count, "http://127.0.0.1:8080/ws/atomfeed/all/recent")
	rest := clients.NewREST("http://127.0.0.1:8080", clients.RESTOptions{}, handled{mux})
	r.want(want...)
	if status[http.StatusOK] != 5 || len(status) != 1 { // the newest, 1 to 3, and the newest again
		t.Errorf("answers %v", status)
	}
	r.want()
	if status[http.StatusNotModified] != 1 {
		t.Errorf("answers %v", status)
	}
	fresh := newAtom(t, mux, "http://127.0.0.1:8080/ws/atomfeed/all/recent")
	more := true
	for more {
		var err error
		fresh.place, more, err = fresh.Changes(t.Context(), fresh.place, func(it feedreader.Item) error {
			got, err := rest.Read(t.Context(), []resourcemanager.Want{{Key: it.Key}})
			if err != nil {
				return err
			}
			if it.Key.ID != "p3" && got[0].Tag != it.Tag || it.Deleted || it.Modified.IsZero() {
				t.Errorf("%+v: the server has %q", it, got[0].Tag)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	patients := newAtom(t, mux, "http://127.0.0.1:8080/ws/atomfeed/patient/recent")
	patients.want(append(append([]string{}, want[:12]...), want[13])...)
	r.want(author(t, eng, engine.Update, "Patient", `{"resourceType":"Patient","id":"p3"}`))

	// Another node comes under its address.
	eng2, mux2 := atomNode(t)
	var there []string
	for n := range 20 {
		there = append(there, author(t, eng2, engine.Update, "Patient", fmt.Sprintf(`{"resourceType":"Patient","id":"q%d"}`, n)))
	}
	r.Atom = clients.NewAtom([]string{"http://127.0.0.1:8080/ws/atomfeed/all/recent"}, secret(""), handled{mux2}, time.Now)
	r.want(there...)
	none := newAtom(t, mux, "http://127.0.0.1:8080/ws/atomfeed/nothing_here/recent")
	if _, err := none.round(); syncerr.KindOf(err) != syncerr.NotFound || !strings.Contains(syncerr.HintOf(err), "/ws/atomfeed/") {
		t.Errorf("%v, %q", err, syncerr.HintOf(err))
	}
}

type codeWriter struct {
	http.ResponseWriter
	code int
}

func (w *codeWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}
