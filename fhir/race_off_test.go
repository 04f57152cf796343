//go:build !race

package fhir_test

// oneIn is the share of the samples that the dear checks look at.
const oneIn = 1
