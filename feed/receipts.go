package feed

import (
	"io"

	"github.com/tributary-sync/tributary/syncerr"
	"github.com/tributary-sync/tributary/version"
)

// WriteReceipts writes the answers to a push and the end line; errors as those of Encoder.
func WriteReceipts(w io.Writer, receipts []Receipt, end End) error {
	e := NewEncoder(w)
	for _, r := range receipts {
		if err := e.Receipt(r); err != nil {
			return err
		}
	}
	return e.End(end)
}

// ReadReceipts reads the answers to a push, at most limit of them (TooLarge above) in lines of at most maxLine bytes (0 for
// DefaultMaxLine). With every error it returns the receipts of the whole lines before it: a cut response is used as far
// as it goes. Errors are those of Decoder.Next.
func ReadReceipts(r io.Reader, maxLine, limit int) ([]Receipt, End, error) {
	var out []Receipt
	end, err := readAll(r, maxLine, kindReceipt|kindName, func(v anyLine) error {
		if v.receipt == nil {
			return nil
		}
		if len(out) >= limit {
			return syncerr.New(syncerr.TooLarge, "read receipts", "more than %d receipts", limit)
		}
		out = append(out, *v.receipt)
		return nil
	})
	return out, end, err
}

// WriteRefs writes a list of wanted contents and the end line; errors as those of Encoder.
func WriteRefs(w io.Writer, refs []Ref) error {
	e := NewEncoder(w)
	for _, r := range refs {
		if err := e.Ref(r); err != nil {
			return err
		}
	}
	return e.End(End{})
}

// ReadRefs reads a list of wanted contents, at most limit of them; limits and errors as those of ReadReceipts.
func ReadRefs(r io.Reader, maxLine, limit int) ([]Ref, error) {
	var out []Ref
	_, err := readAll(r, maxLine, kindRef, func(v anyLine) error {
		if len(out) >= limit {
			return syncerr.New(syncerr.TooLarge, "read refs", "more than %d refs", limit)
		}
		out = append(out, *v.ref)
		return nil
	})
	return out, err
}

func readAll(r io.Reader, maxLine int, want kinds, take func(anyLine) error) (End, error) {
	s := stream{in: newLines(r, maxLine), want: want}
	var end End
	for {
		v, err := s.next()
		switch {
		case err == io.EOF:
			return end, nil
		case err != nil:
			return end, err
		case v.End != nil:
			end = *v.End
		default:
			if err := take(v); err != nil {
				return end, err
			}
		}
	}
}

func (r Ref) check() error {
	if err := r.Key.Validate(); err != nil {
		return err
	}
	if !r.Version.Replica.Valid() || r.Version.Tick == 0 {
		return syncerr.New(syncerr.Invalid, "check ref", "%s has no version", r.Key)
	}
	return nil
}

// wanted checks a ref that asks for a content: it may leave the version out.
func (r Ref) wanted() error {
	if r.Version.IsZero() {
		return r.Key.Validate()
	}
	return r.check()
}

func (r Receipt) check() error {
	if err := (Ref{Key: r.Key, Version: r.Version}).check(); err != nil {
		return err
	}
	switch r.Result {
	case Applied, Same, EqualCopy, Superseded, Decided, Deferred, Held, Refused:
	default:
		return syncerr.New(syncerr.Invalid, "check receipt", "%s: %.40q is no result", r.Key, string(r.Result))
	}
	if s := r.Stamp; s.IsZero() && len(s.Vector) == 0 && s.Author == "" && s.Authored == 0 && s.Origin.IsZero() && !s.Deleted && s.Hash == (version.Hash{}) {
		return nil // the receiver has no copy
	}
	return r.Stamp.Validate()
}
