package api

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/store"
	"github.com/tributary-sync/tributary/syncerr"
)

// The limits of what is remembered of a child's processes.
const (
	maxLives    = 8  // the youngest of them
	maxInstance = 64 // bytes of an id
	// maxReturns is how often a process may come again after a younger one took its place. Once may be a request that was under way for
	// long while the node started anew; what comes again twice lives beside the other. That the younger one then comes again says nothing.
	maxReturns = 1
)

// whoPath is where a child asks who its parent is. The answer says what the parent remembers of the child's log: it shows a child that it is
// an older copy of itself, or one of two.
const whoPath = "/sync/node"

// fetchPath is where contents are asked for by their versions, also by a child that has just learnt that it is an older copy and holds its own
// against them. Nothing is taken there, nor told of what others sent.
const fetchPath = "/sync/fetch"

// single refuses a child of which two copies run (DESIGN.md 4.3, restore and clone): both write under one name and one credential, so that
// neither may go on before a person has decided. It is called before anything is taken or given.
func (s *Server) single(r *http.Request) error {
	c := callerOf(r.Context())
	id, count, _ := strings.Cut(r.Header.Get("Tributary-Instance"), ".")
	n, err := strconv.ParseUint(count, 10, 63)
	if id != "" && err != nil || len(id) > maxInstance {
		return syncerr.New(syncerr.Invalid, "sync", "the Tributary-Instance header is not an id of at most %d bytes, a dot and a number", maxInstance)
	}
	var lives store.Lives
	err = s.engine.Store().Read(r.Context(), func(rd *store.Reader) error {
		var err error
		lives, err = rd.Lives(c.ID)
		return err
	})
	if err != nil {
		return err
	}
	turn, err := strconv.ParseUint(cmp.Or(r.Header.Get("Tributary-Turn"), "0"), 10, 63)
	if err != nil {
		return syncerr.New(syncerr.Invalid, "sync", "the Tributary-Turn header is not a number")
	}
	if lives.Cloned == 0 && id != "" && r.URL.Path != whoPath && r.URL.Path != fetchPath && len(lives.Seen) > 0 && (lives.Last != id || turn != lives.Turn) {
		// It asked who this is, and another came since: what that one sent under their common name it has not seen, unless it asks again and
		// hears the answer. What it sent before it did so comes too late as well, and a question of it that was under way for long is none.
		return syncerr.New(syncerr.EpochChanged, "sync", "another process of child %q was here since this one asked who this node is", c.Name)
	}
	comes := r.URL.Path != fetchPath || lives.Last == id
	if lives.Cloned == 0 && comes && s.requests.newest(c.ID+"/"+id, n) && meet(&lives, id) {
		if lives, err = s.meet(r, c, id); err != nil {
			return err
		}
	}
	if lives.Cloned == 0 {
		return nil
	}
	return cloned(c.Name)
}

// requests remembers the number of the last request of each process: what comes with an older one was under way for long, or comes twice,
// and tells nothing of who lives now.
type requests struct {
	mu   sync.Mutex
	last map[string]uint64
}

func (q *requests) newest(process string, n uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n <= q.last[process] {
		return false
	}
	if q.last == nil || len(q.last) > 10_000 {
		q.last = map[string]uint64{}
	}
	q.last[process] = n
	return true
}

// meet notes that a process of a child came, on what other requests have noted by now.
func (s *Server) meet(r *http.Request, c Caller, id string) (store.Lives, error) {
	var lives store.Lives
	err := s.engine.Store().Write(r.Context(), func(tx *store.Tx) error {
		var err error
		if lives, err = tx.Lives(c.ID); err != nil || lives.Cloned != 0 || !meet(&lives, id) {
			return err
		}
		if slices.ContainsFunc(lives.Seen, func(l store.Life) bool { return l.Returns > maxReturns }) {
			lives.Cloned = s.clock().UnixMilli()
			tx.Audit(audit.Record{
				Operation: audit.Admin, Outcome: audit.Refused, Action: "CLONE", Peer: c.Name, LocalURL: s.deps.URL, Details: cloned(c.Name).Error(),
			})
		}
		return tx.SetLives(c.ID, lives)
	})
	return lives, err
}

// meet notes that the process of that id came, and reports whether that is news. A client that says no id is not looked at.
func meet(lives *store.Lives, id string) bool {
	if id == "" || lives.Last == id {
		return false
	}
	if lives.Last != "" {
		lives.Turn++
	}
	lives.Last = id
	switch i := slices.IndexFunc(lives.Seen, func(l store.Life) bool { return l.ID == id }); {
	case i < 0:
		lives.Seen = append(lives.Seen, store.Life{ID: id})
		lives.Seen = lives.Seen[max(0, len(lives.Seen)-maxLives):]
	default:
		if i < len(lives.Seen)-1 {
			lives.Seen[i].Returns++
		}
	}
	return true
}

func cloned(child string) *syncerr.Error {
	return syncerr.New(syncerr.Denied, "sync", "child %q runs twice: two running copies of its database come in turn, and both are refused", child).
		WithHint("Stop one of the two machines. For the one that goes on, run `tributary child remove %s` and `tributary child add %s` at this "+
			"node, the parent, and give it the new credential. On the other one run `tributary init` in an empty folder and add it as a child "+
			"with a name of its own; what was entered only there does not come over by itself", child, child)
}
