#!/usr/bin/env bash
# Runs the benchmarks once each and prints their figures. SIZE (rows of the big store) is read by the benchmarks.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SAMPLES_DIR:=$PWD/../shared/fhir-samples}"
export SAMPLES_DIR
[ -n "${SIZE:-}" ] || unset SIZE
exec "${GO:-go}" test ./internal/bench -run '^$' -bench . -benchtime 1x -count=1 -timeout 8m
