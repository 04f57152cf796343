#!/usr/bin/env bash
# Makes sure of everything that the tests need beside Go: MariaDB, jing, Chromium, curl, jq, xmllint, Node, npm packages, the official FHIR
# examples. What Debian has is installed when it is missing (as root, or with sudo that asks for no password); what cannot be
# installed here is said in one sentence. Running it again costs well under a second.
set -euo pipefail
cd "$(dirname "$0")/.."

examples=hl7.fhir.r4.examples@4.0.1
examples_sum=dce87f1b5b9341867033f7d1f544fa1b5232503f6d62813887ac6b8a8b6cb682
examples_dir=.cache/hl7.fhir.r4.examples

fail() { echo "set-up: $*" >&2; exit 1; }
have() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null 2>&1; }

have go || fail "go is missing: install the Go that go.mod asks for, from https://go.dev/dl/."
have node && have npm || fail "node and npm are missing: install Node.js 20 or newer (on Debian 13: apt-get install nodejs npm)."
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || fail "node $(node --version) is too old: install Node.js 20 or newer."

# look sets missing to the Debian packages of the programs that are not there. Of the server it is the core package alone, which
# brings the program but no system service and no database of its own.
look() {
  missing=()
  have mariadbd && have mariadb-install-db || missing+=(mariadb-server-core)
  have mariadb || missing+=(mariadb-client-core)
  have jing || missing+=(jing)
  have chromium || missing+=(chromium)
  have curl || missing+=(curl)
  have jq || missing+=(jq) # with curl: the example of a device
  have xmllint || missing+=(libxml2-utils) # docs/protocols.md
  have gcc || missing+=(gcc libc6-dev) # the race detector links with it
}

look
if [ ${#missing[@]} -gt 0 ]; then
  how="run: apt-get install --no-install-recommends ${missing[*]}"
  have apt-get || fail "${missing[*]} missing, and this is no Debian: install them, then run again."
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    have sudo && sudo -n true 2>/dev/null || fail "${missing[*]} missing: as root, $how"
    as_root=(sudo -n)
  fi
  echo "set-up: installing ${missing[*]}"
  log=$(mktemp)
  if ! { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "apt-get could not install ${missing[*]}: mend what it says above, or as root $how"
  fi
  rm -f "$log"
  look
  [ ${#missing[@]} -eq 0 ] || fail "${missing[*]} was installed, but its programs are not in PATH."
fi

# npm packages: each folder with a lock file, when its lock differs from the one that was installed.
while IFS= read -r lock; do
  dir=$(dirname "$lock") sum=$(sha256sum <"$lock")
  [ "$(cat "$dir/node_modules/.installed-lock" 2>/dev/null)" != "$sum" ] || continue
  echo "set-up: npm ci in $dir"
  (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error) || fail "npm ci failed in $dir: mend what it says above."
  mkdir -p "$dir/node_modules"
  echo "$sum" >"$dir/node_modules/.installed-lock"
done < <(find . \( -name node_modules -o -name '.?*' -o -name testdata \) -prune -o -name package-lock.json -print)

# The npm packages of tests whose scripts are test data are installed in .cache: FHIR clients and a FHIR server, and what drives a browser.
for name in peertest browsertest; do
  from=internal/$name/testdata to=.cache/npm-$name
  ! cmp -s "$from/package-lock.json" "$to/package-lock.json" || continue
  echo "set-up: npm ci for $from"
  rm -rf "$to" "$to.part"
  mkdir -p "$to.part"
  cp "$from/package.json" "$from/package-lock.json" "$to.part"
  (cd "$to.part" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || fail "npm ci failed for $from: mend what it says above."
  mv "$to.part" "$to"
done

if [ ! -d "$examples_dir" ]; then
  echo "set-up: fetching $examples"
  mkdir -p .cache
  work=$(mktemp -d .cache/unpack.XXXXXX)
  trap 'rm -rf "$work"' EXIT
  npm pack "$examples" --loglevel=error --pack-destination "$work" >/dev/null || fail "npm pack $examples failed: it needs the network once."
  echo "$examples_sum  $(echo "$work"/*.tgz)" | sha256sum --check --quiet || fail "$examples is not the file that the tests were written for."
  mkdir "$work/unpacked"
  tar -xzf "$work"/*.tgz -C "$work/unpacked" --strip-components=1
  mv -T "$work/unpacked" "$examples_dir"
fi
