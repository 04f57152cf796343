//go:build race

package fhir_test

// oneIn is the share of the samples that the dear checks look at: under the race detector, which makes them ten times dearer and
// has nothing to find in a package without goroutines, one in four. scripts/test.sh runs all of them without it.
const oneIn = 4
