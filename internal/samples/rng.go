package samples

import (
	"math/bits"
	"math/rand/v2"

	"github.com/google/uuid"
)

// rng draws whole numbers from a PCG stream. It maps the stream to ranges by itself because math/rand/v2 promises the
// output of PCG, but not how Rand reduces it.
type rng struct{ pcg rand.PCG }

func (r *rng) seed(a, b uint64) { r.pcg.Seed(a, b) }

// n returns a number in [0, n).
func (r *rng) n(n int) int {
	hi, _ := bits.Mul64(r.pcg.Uint64(), uint64(n))
	return int(hi)
}

// between returns a number in [lo, hi].
func (r *rng) between(lo, hi int) int { return lo + r.n(hi-lo+1) }

// bell returns a number in [mid-spread, mid+spread], near mid more often than far from it.
func (r *rng) bell(mid, spread int) int {
	return mid + (r.between(-spread, spread)+r.between(-spread, spread)+r.between(-spread, spread))/3
}

// chance is true in percent of all cases.
func (r *rng) chance(percent int) bool { return r.n(100) < percent }

// uuid returns a version 4 UUID (RFC 9562 section 5.4).
func (r *rng) uuid() string {
	var id uuid.UUID
	hi, lo := r.pcg.Uint64(), r.pcg.Uint64()
	for i := range 8 {
		id[i], id[8+i] = byte(hi>>(8*i)), byte(lo>>(8*i))
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// fill returns the pattern with each # replaced by a digit, each @ by a digit but 0 and each ? by a capital letter.
func (r *rng) fill(pattern string) string {
	b := make([]byte, 0, 32)
	for i := range len(pattern) {
		switch c := pattern[i]; c {
		case '#':
			b = append(b, byte('0'+r.n(10)))
		case '@':
			b = append(b, byte('1'+r.n(9)))
		case '?':
			b = append(b, byte('A'+r.n(26)))
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// pick returns one element of list, which must not be empty.
func pick[T any](r *rng, list []T) *T { return &list[r.n(len(list))] }
