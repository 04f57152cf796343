package search

import (
	"math"
	"slices"
	"strings"
)

// Op says how a Cond compares the value of an index row.
type Op int

// The comparisons.
const (
	OpAny      Op = iota // every value
	OpEqual              // it is From
	OpPrefix             // it begins with From
	OpContains           // From stands in it
	OpRange              // From <= it < To, as bytes; an empty To is no end
)

// Cond is a condition on one index row of a resource: it has to be a row of one of the elements, its value has to compare, and its
// space has to lie between two numbers, both included.
type Cond struct {
	Params []int32
	Op     Op
	From   string
	To     string
	Low    int64
	High   int64
}

// everySpace makes a condition that asks for no space.
func everySpace(op Op, from string, params ...int32) Cond {
	return Cond{Params: params, Op: op, From: from, Low: math.MinInt64, High: math.MaxInt64}
}

func (c Cond) in(low, high int64) Cond {
	c.Low, c.High = low, high
	return c
}

// AnySpace reports whether the condition asks for no space.
func (c Cond) AnySpace() bool { return c.Low == math.MinInt64 && c.High == math.MaxInt64 }

// holds compares with a row as Values made it: of a string that was cut, with the whole.
func (c Cond) holds(v Value) bool {
	if !slices.Contains(c.Params, v.Param) || v.Space < c.Low || v.Space > c.High {
		return false
	}
	switch c.Op {
	case OpEqual:
		return c.From == v.Value
	case OpPrefix:
		if v.full != "" {
			return strings.HasPrefix(v.full, c.From)
		}
		return strings.HasPrefix(v.Value, c.From)
	case OpContains:
		return strings.Contains(v.Value, c.From)
	case OpRange:
		return c.From <= v.Value && (c.To == "" || v.Value < c.To)
	default:
		return true
	}
}

// Indexed returns the condition as it is asked of the index, which has only the beginning of long strings. Where whole is false,
// rows that hold it may be of resources that do not match: Query.Match tells.
func (c Cond) Indexed() (indexed Cond, whole bool) {
	if c.Op != OpPrefix {
		return c, true
	}
	from := c.From
	c.Op, c.From = OpRange, cut(from)
	// Behind every string that begins so: no string has this letter, it is none.
	c.To = c.From + string(rune(0x10FFFF))
	return c, c.From == from
}
