package node

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Who takes nothing any more is let go; who takes little at a time gets all, however long that lasts.
func TestSlowClients(t *testing.T) {
	const within = 1500 * time.Millisecond // so long that a busy machine does not make the slow one idle
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	all := bytes.Repeat([]byte("x"), 24<<20) // more than what the system holds for both ends
	wrote := make(chan error, 1)
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(all)
		wrote <- err
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(unhurried{l, within}) }()
	ask := func() net.Conn {
		t.Helper()
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
		if err == nil {
			_, err = io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	idle := ask()
	defer idle.Close()
	select {
	case err := <-wrote:
		if err == nil {
			t.Error("all was written, though nobody read it")
		}
	case <-time.After(time.Minute):
		t.Error("a client that reads nothing is waited for")
	}

	slow, began := ask(), time.Now()
	defer slow.Close()
	tick := time.NewTicker(within / 10)
	defer tick.Stop()
	got := int64(0)
	for {
		n, err := io.CopyN(io.Discard, slow, 1<<20)
		got += n
		if err != nil {
			break
		}
		<-tick.C
	}
	if err := <-wrote; err != nil || got < int64(len(all)) {
		t.Errorf("the slow one got %d bytes: %v", got, err)
	}
	if took := time.Since(began); took < 2*within {
		t.Errorf("it took %s only, which proves nothing", took)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	<-served
}
