//go:build !race

package api_test

// oneIn is the share of the samples that TestFidelity sends.
const oneIn = 1
