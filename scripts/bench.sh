#!/usr/bin/env bash
# Runs the benchmarks once each and prints their figures. SIZE (rows of the big store) is read by the benchmarks.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SAMPLES_DIR:=$PWD/../shared/fhir-samples}"
export SAMPLES_DIR
# The usual run ends within 8 minutes; a million rows take longer to make than to measure.
timeout=8m
if [ -n "${SIZE:-}" ]; then timeout=3h; else unset SIZE; fi
if [ -z "${TRIBUTARY_TEST_MYSQL:-}" ]; then eval "$(OWNER_PID=$$ scripts/mariadb.sh start)"; fi
"${GO:-go}" test ./reconcile -run '^$' -bench 'Decide|Merge' -benchtime 300ms -count=1
exec "${GO:-go}" test ./internal/bench -run '^$' -bench . -benchtime 1x -count=1 -timeout "$timeout"
