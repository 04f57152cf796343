package node

import (
	"net"
	"time"
)

// What a client has to take of an answer within which time: 4 kbit a second. The deadline moves with what is taken, so that an answer may be as
// long as it is, and one who takes nothing any more holds no connection, and no look at the database, for ever.
const (
	takenPiece  = 64 << 10 // bytes
	takenWithin = 2 * time.Minute
)

// unhurried is a listener whose connections end where nobody takes what is written to them.
type unhurried struct {
	net.Listener
	within time.Duration
}

func (l unhurried) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &unhurriedConn{Conn: c, within: l.within}, nil
}

type unhurriedConn struct {
	net.Conn
	within time.Duration
}

// Write writes piece by piece, each with a deadline of its own.
func (c *unhurriedConn) Write(b []byte) (n int, err error) {
	for first := true; first || len(b) > 0 && err == nil; first = false {
		if err := c.SetWriteDeadline(time.Now().Add(c.within)); err != nil {
			return n, err
		}
		var done int
		done, err = c.Conn.Write(b[:min(len(b), takenPiece)])
		n, b = n+done, b[done:]
	}
	return n, err
}
