//go:build race

package api_test

// oneIn is the share of the samples that TestFidelity sends: under the race detector, which makes each ten times dearer, one in
// eight. scripts/test.sh sends all of them without it.
const oneIn = 8
