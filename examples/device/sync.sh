#!/usr/bin/env bash
# Keeps a folder in step with what a Tributary node lets this device see: one file for each resource, Type/id.json.
#
#   TRIBUTARY_URL=https://clinic.example TRIBUTARY_TOKEN=$(cat device.token) examples/device/sync.sh FOLDER
#
# The token is what `tributary device add NAME SCOPE...` printed. Run it as often as you like, as from cron: it fetches what changed. It
# needs curl and jq. Whatever goes wrong, run it again: the node sends again what was not acknowledged.
set -euo pipefail
folder=${1:?name a folder}
url=${TRIBUTARY_URL:?set TRIBUTARY_URL to the node\'s address}
token=${TRIBUTARY_TOKEN:?set TRIBUTARY_TOKEN to the credential of the device}

# The device id is made once and kept: under another one everything comes again.
mkdir -p "$folder"
[ -s "$folder/.device" ] || cat /proc/sys/kernel/random/uuid >"$folder/.device"
device=$(cat "$folder/.device")

page=$(mktemp "$folder/.page.XXXXXX")
trap 'rm -f "$page" "$page.items" "$page.ack"' EXIT

# call METHOD PATH [curl's options] writes the answer's body to $page and prints the status. The token goes by a file descriptor, not by
# the command line, which others on this machine can read.
call() {
  curl --silent --show-error --max-time 120 --retry 3 --output "$page" --write-out '%{http_code}' --request "$1" \
    --header "@"<(printf 'Authorization: Bearer %s\n' "$token") --header "X-Tributary-Device-UUID: $device" "${@:3}" "$url$2"
}

fail() {
  echo "sync: the node answered $1: $(jq -r '.errors[0].error.message // .' "$page" 2>/dev/null || true)" >&2
  exit 1
}

status=$(call POST /v2/sync/start)
case $status in
  201) session=$(jq -r .data.id "$page") ;;
  204) echo "nothing new"; exit 0 ;;
  *) fail "$status" ;;
esac

stored=0 deleted=0
while true; do
  # A page is given once in a session: curl must not ask for it again by itself.
  status=$(call GET "/v2/sync/$session/queues/main" --retry 0)
  case $status in
    200) ;;
    204) break ;; # the end: never an empty page
    *) fail "$status" ;;
  esac
  # Two lines for each item: what to do with it, and the resource.
  jq -r '.items[] | "\(.meta.sync.event_type) \(.meta.type) \(.data.id // .data.uuid)", (.data | tojson)' "$page" >"$page.items"
  while read -r event type id && IFS= read -r resource; do
    if ! [[ $type =~ ^[A-Za-z][A-Za-z0-9-]*$ && $id =~ ^[A-Za-z0-9.-]{1,64}$ ]]; then
      echo "sync: the node sent what is no resource" >&2 # and must not choose the names of files
      exit 1
    fi
    if [ "$event" = deleted ]; then
      rm -f "$folder/$type/$id.json"
      deleted=$((deleted + 1))
      continue
    fi
    mkdir -p "$folder/$type"
    printf '%s\n' "$resource" >"$folder/$type/.$id.part"
    mv "$folder/$type/.$id.part" "$folder/$type/$id.json"
    stored=$((stored + 1))
  done <"$page.items"
  # Only what is stored is acknowledged.
  jq -c '{data: {ack_keys: [.items[].meta.sync.ack_key]}}' "$page" >"$page.ack"
  status=$(call POST /v2/sync/ack --header 'Content-Type: application/json' --data-binary "@$page.ack")
  [ "$status" = 202 ] || fail "$status"
done
echo "$stored stored, $deleted deleted"
