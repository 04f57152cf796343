#!/usr/bin/env bash
# Fuzzes every Fuzz function of the module for FUZZTIME each, one after the other, and names the targets that failed.
# A failing input is written by go test to testdata/fuzz of its package; commit it: from then on it is a test row.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go} time=${FUZZTIME:-20s} count=0 failed=()
packages=$("$go" list -f '{{.ImportPath}} {{.Dir}}' ./...)
while read -r package dir; do
  targets=$(grep -hoE '^func Fuzz[A-Za-z0-9_]*\(' "$dir"/*_test.go 2>/dev/null | sed -E 's/^func (.*)\($/\1/' | sort -u || true)
  for target in $targets; do
    echo "== $package $target ($time)"
    count=$((count + 1))
    "$go" test "$package" -run '^$' -fuzz "^${target}\$" -fuzztime "$time" </dev/null || failed+=("$package $target")
  done
done <<<"$packages"
echo "fuzzed $count targets, ${#failed[@]} failed"
if [ ${#failed[@]} -gt 0 ]; then printf '%s\n' "${failed[@]}"; exit 1; fi
[ "$count" -gt 0 ] || { echo "no fuzz target was found: every decoder of bytes from outside needs one"; exit 1; }
