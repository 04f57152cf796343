package patch

import (
	"fmt"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tributary-sync/tributary/syncerr"
)

// operation is one operation of a JSON Patch as it was sent. Members that the standard does not name are ignored (RFC 6902 section 4).
type operation struct {
	Op    *string        `json:"op"`
	Path  *string        `json:"path"`
	From  *string        `json:"from"`
	Value jsontext.Value `json:"value"`
}

// JSON applies a JSON Patch (RFC 6902) to a document and returns what it becomes, of at most limit bytes (0 for any size). It
// returns Invalid where the patch itself is malformed, Unprocessable where an operation cannot be applied to this document, TooLarge
// where the outcome or the work is over the limits; the errors name the operation by index and path.
func JSON(body, patch []byte, limit int) ([]byte, error) {
	ops, err := readJSON(patch)
	if err != nil {
		return nil, err
	}
	d, err := newDoc(body, limit)
	if err != nil {
		return nil, syncerr.Wrap(syncerr.Internal, "patch", err)
	}
	for i, op := range ops {
		if err := op.apply(d); err != nil {
			return nil, fmt.Errorf("operation[%d] %s %.200q: %w", i, *op.Op, *op.Path, err)
		}
	}
	return d.b, nil
}

func readJSON(patch []byte) ([]operation, error) {
	compacted, err := compact(patch)
	if err != nil {
		return nil, fmt.Errorf("JSON Patch: %w", err)
	}
	if compacted[0] != '[' {
		return nil, malformed("it is not an array of operations").WithHint(`Send for example [{"op":"replace","path":"/active","value":true}]`)
	}
	var ops []operation
	if err := jsonv2.Unmarshal(compacted, &ops); err != nil {
		return nil, &syncerr.Error{Kind: syncerr.Invalid, Op: "read JSON Patch", Err: err}
	}
	if len(ops) > MaxOperations {
		return nil, tooMany(len(ops))
	}
	for i, op := range ops {
		if err := op.check(); err != nil {
			return nil, fmt.Errorf("operation[%d]: %w", i, err)
		}
	}
	return ops, nil
}

func malformed(format string, args ...any) *syncerr.Error {
	return syncerr.New(syncerr.Invalid, "read JSON Patch", format, args...)
}

func tooMany(n int) error {
	return syncerr.New(syncerr.TooLarge, "read patch", "%d operations, more than %d", n, MaxOperations).WithHint("Send the whole resource as an update")
}

// check says whether an operation is well-formed (RFC 6902 section 4).
func (op operation) check() error {
	if op.Op == nil {
		return malformed("op: it is missing")
	}
	needsValue, needsFrom := false, false
	switch *op.Op {
	case "add", "replace", "test":
		needsValue = true
	case "move", "copy":
		needsFrom = true
	case "remove":
	default:
		return malformed("op: %.40q is none of add, remove, replace, move, copy and test", *op.Op)
	}
	switch {
	case op.Path == nil:
		return malformed("path: it is missing")
	case needsValue && op.Value == nil:
		return malformed("value: it is missing")
	case needsFrom && op.From == nil:
		return malformed("from: it is missing")
	}
	for _, p := range []*string{op.Path, op.From} {
		if p != nil {
			if _, err := readPointer(*p); err != nil {
				return err
			}
		}
	}
	if needsFrom && *op.Op == "move" && strings.HasPrefix(*op.Path, *op.From+"/") {
		return malformed("from: a value cannot be moved into itself")
	}
	return nil
}

// readPointer reads a JSON Pointer (RFC 6901 section 3).
func readPointer(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' {
		return nil, malformed("path: %.100q does not begin with /", text)
	}
	tokens := strings.Split(text[1:], "/")
	for i, t := range tokens {
		bad := strings.ReplaceAll(strings.ReplaceAll(t, "~0", ""), "~1", "")
		if strings.Contains(bad, "~") {
			return nil, malformed("path: %.100q has a ~ that is neither ~0 nor ~1", text)
		}
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens, nil
}

func cannot(format string, args ...any) *syncerr.Error {
	return syncerr.New(syncerr.Unprocessable, "patch", format, args...)
}

func (op operation) apply(d *doc) error {
	path, err := readPointer(*op.Path)
	if err != nil {
		return err
	}
	switch *op.Op {
	case "add":
		return d.addAt(path, op.Value)
	case "replace":
		at, err := d.find(path)
		if err != nil {
			return err
		}
		return d.splice(at.value, op.Value)
	case "remove":
		return d.removeAt(path)
	case "test":
		at, err := d.find(path)
		if err != nil {
			return err
		}
		if err := d.spend(at.value.to - at.value.from + len(op.Value)); err != nil {
			return err
		}
		if !equal(d.at(at.value), op.Value) {
			return cannot("the value is another one than the test asks for").WithHint("Read the resource again: it may have changed")
		}
		return nil
	}
	from, err := readPointer(*op.From)
	if err != nil {
		return err
	}
	at, err := d.find(from)
	if err != nil {
		return fmt.Errorf("from %.200q: %w", *op.From, err)
	}
	if *op.Op == "move" && *op.From == *op.Path {
		return nil
	}
	value := append([]byte(nil), d.at(at.value)...)
	if *op.Op == "move" {
		if err := d.removeAt(from); err != nil {
			return err
		}
	}
	return d.addAt(path, value)
}

// find returns the value that a pointer names.
func (d *doc) find(path []string) (child, error) {
	c := child{whole: d.root(), value: d.root()}
	for i, token := range path {
		var ok bool
		var err error
		switch d.b[c.value.from] {
		case '{':
			c, ok, err = d.member(c.value, token)
		case '[':
			var index, n int
			if index, err = readIndex(token); err == nil {
				c, n, err = d.item(c.value, index)
				ok = index < n
			}
		}
		if err != nil {
			return child{}, err
		}
		if !ok {
			return child{}, missing(path[:i+1])
		}
	}
	return c, nil
}

func missing(path []string) error {
	text := ""
	for _, t := range path {
		text += "/" + strings.ReplaceAll(strings.ReplaceAll(t, "~", "~0"), "/", "~1")
	}
	return cannot("there is nothing at %.200q", text)
}

// readIndex reads the index of an array element (RFC 6901 section 4).
func readIndex(token string) (int, error) {
	n, err := strconv.ParseUint(token, 10, 31)
	if err != nil || len(token) > 1 && token[0] == '0' {
		return 0, cannot("%.60q is no index of an array", token)
	}
	return int(n), nil
}

func (d *doc) addAt(path []string, value []byte) error {
	if len(path) == 0 {
		return d.splice(d.root(), value)
	}
	parent, err := d.find(path[:len(path)-1])
	if err != nil {
		return err
	}
	last := path[len(path)-1]
	switch d.b[parent.value.from] {
	case '{':
		return d.put(parent.value, last, value)
	case '[':
		_, n, err := d.item(parent.value, -1)
		if err != nil {
			return err
		}
		index := n
		if last != "-" {
			if index, err = readIndex(last); err != nil {
				return err
			}
		}
		if index > n {
			return cannot("index %d is behind the end of an array of %d", index, n)
		}
		return d.insert(parent.value, index, value)
	default:
		return cannot("%.100q is to be added to what is neither an object nor an array", last)
	}
}

func (d *doc) removeAt(path []string) error {
	at, err := d.find(path)
	if err != nil {
		return err
	}
	if len(path) == 0 {
		return cannot("the whole resource cannot be removed by a patch").WithHint("Delete it")
	}
	return d.remove(at)
}
