#!/usr/bin/env bash
# Everything that has to hold before a change is merged, in stages with a budget each. A failing stage does not stop the later
# ones; the run fails at the end. Every package of the module is tested exactly once: what no other stage claims by its folder
# belongs to "unit and store".
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
exec 2>&1 # one stream, so that a log shows an error where it happened

# stage_of FOLDER names the stage in which the tests of a folder run.
stage_of() {
  case "$1" in
  internal/simnet | internal/simnet/*) echo simulator ;;
  cmd/* | internal/processtest | internal/processtest/*) echo processes ;;
  internal/browsertest | internal/browsertest/*) echo browser ;;
  internal/peertest | internal/peertest/*) echo peers ;;
  *) echo "unit and store" ;;
  esac
}

# SQLite's translated C is many times slower under the race detector and has no Go memory to watch; our own code keeps it.
race=(-race)
# Not the driver: of a generic function that it shares with us (sync.Map's) the linker may take its copy, which the detector would not see.
for off in sqlite/lib libc/... memory/...; do race+=("-gcflags=modernc.org/$off=-race=false"); done
# Only the race detector needs cgo; without it the checks share what `make build` compiles.
export CGO_ENABLED=0

stages=("set-up" "build and vet" "unit and store" "simulator" "processes" "browser" "peers")
minutes=(2 5 4 4 3 2 3)
declare -A took result
failed=0

run() { # run STAGE COMMAND... ; keeps the stage's time and fate
  local stage=$1 start=$SECONDS
  shift
  echo
  echo "=== $stage"
  if "$@"; then result[$stage]=ok; else result[$stage]=FAILED; failed=1; fi
  took[$stage]=$((SECONDS - start))
}

budget() {
  local i stage seconds total=0 sum=0
  echo
  printf '%-16s %8s %10s  %s\n' stage budget took result
  for i in "${!stages[@]}"; do
    stage=${stages[$i]} seconds=${took[${stages[$i]}]:-}
    sum=$((sum + minutes[i])) total=$((total + ${seconds:-0}))
    printf '%-16s %4d min %10s  %s\n' "$stage" "${minutes[$i]}" "${seconds:+$seconds s}" \
      "${result[$stage]:-not run}$([ "${seconds:-0}" -le $((minutes[i] * 60)) ] || echo ', over its budget')"
  done
  printf '%-16s %4d min %8d s\n' all "$sum" "$total"
}

finish() {
  [ -z "${TRIBUTARY_TEST_MARIADB:-}" ] || scripts/mariadb.sh stop "$TRIBUTARY_TEST_MARIADB" || true
}

set_up() {
  scripts/setup-test.sh || return 1
  make --no-print-directory .tools/gofumpt@v0.12.0/gofumpt .tools/staticcheck@v0.8.2/staticcheck || return 1
  "$go" mod download || return 1
  local server
  server=$(OWNER_PID=$$ scripts/mariadb.sh start) || return 1
  eval "$server"
  echo "set-up: private MariaDB in $TRIBUTARY_TEST_MARIADB"
}

build_and_vet() {
  local bad=0
  CGO_ENABLED=1 "$go" build "${race[@]}" ./... || return 1
  make --no-print-directory build || bad=1
  make --no-print-directory lint vet || bad=1
  return $bad
}

tests() { # vet has run on everything already
  CGO_ENABLED=1 "$go" test -vet=off "${race[@]}" -shuffle=on -count=1 -timeout 20m "$@"
}

# Of the 13,000 real documents the race detector sees a share (oneIn in the tests of fhir and api): without it, all are read.
unit_and_store() {
  local bad=0
  "$go" test -vet=off -count=1 -run 'Samples|OfficialExamples|Fidelity' ./fhir ./api || bad=1
  tests "$@" || bad=1
  return $bad
}

unset TRIBUTARY_TEST_MARIADB # a server that the caller's shell knows is not ours to stop
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

: "${SAMPLES_DIR:=$PWD/../shared/fhir-samples}"
SAMPLES_DIR=$(cd "$SAMPLES_DIR" 2>/dev/null && pwd) || {
  echo "the FHIR samples are not at ../shared/fhir-samples: set SAMPLES_DIR to the folder that holds them" >&2
  exit 1
}
TRIBUTARY_TEST_EXAMPLES=$PWD/.cache/hl7.fhir.r4.examples
export SAMPLES_DIR TRIBUTARY_TEST_EXAMPLES

if [ "${1:-}" = --budget ]; then budget; exit; fi

run "set-up" set_up
CHROMIUM=$(command -v chromium || true)
export CHROMIUM
if [ $failed = 0 ]; then
  run "build and vet" build_and_vet
  module=$("$go" list -m)
  packages=$("$go" list ./...)
  for stage in "${stages[@]:2}"; do
    mine=()
    for package in $packages; do
      folder=${package#"$module"}
      [ "$(stage_of "${folder#/}")" != "$stage" ] || mine+=("$package")
    done
    if [ "$stage" = "unit and store" ]; then
      run "$stage" unit_and_store "${mine[@]}"
    elif [ ${#mine[@]} -gt 0 ]; then run "$stage" tests "${mine[@]}"; else result[$stage]="no package"; fi
  done
fi
budget
exit $failed
