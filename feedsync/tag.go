package feedsync

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// tagOf begins a tag of a feed's item, so that it is told from those of servers.
const tagOf = "feedsync "

// Tag names the newest update of an item in a text: who has it has seen that update. Another set of conflicts is another tag.
func (x Item) Tag() string {
	u, rivals := x.top(), ""
	if len(x.Conflicts) > 0 {
		h := sha256.New()
		for _, c := range x.Conflicts {
			h.Write([]byte(c.Tag() + "\n"))
		}
		rivals = "+" + hex.EncodeToString(h.Sum(nil)[:4])
	}
	return tagOf + strconv.FormatUint(u.Sequence, 10) + rivals + " " + strconv.FormatInt(u.When, 10) + " " + u.By
}

// ParseTag reads what Tag writes; false for anything else.
func ParseTag(s string) (Update, bool) {
	rest, ok := strings.CutPrefix(s, tagOf)
	f := strings.SplitN(rest, " ", 3)
	if !ok || len(f) != 3 {
		return Update{}, false
	}
	number, _, _ := strings.Cut(f[0], "+")
	seq, err1 := strconv.ParseUint(number, 10, 63)
	when, err2 := strconv.ParseInt(f[1], 10, 64)
	return Update{Sequence: seq, When: when, By: f[2]}, err1 == nil && err2 == nil && seq > 0
}
