#!/usr/bin/env bash
# A private MariaDB for tests, apart from any server of this machine: its own data directory, socket and loopback port.
#
#   eval "$(scripts/mariadb.sh start)"   start one; sets TRIBUTARY_TEST_MYSQL, TRIBUTARY_TEST_MYSQL_TCP, TRIBUTARY_TEST_MARIADB
#   scripts/mariadb.sh stop              stop the one that TRIBUTARY_TEST_MARIADB names and remove its data
#
# TRIBUTARY_TEST_MYSQL is a go-sql-driver DSN without a database name; testdb appends the name of a new database.
# With OWNER_PID set, the server also stops when that process is gone, however it ended.
set -euo pipefail

say() { echo "mariadb.sh: $*" >&2; }

find_program() {
  local name
  for name in "$@"; do
    PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$name" && return 0
  done
  return 1
}

stop() { # stop DIRECTORY
  local dir=$1 pid=""
  [ -f "$dir/tributary-test-mariadb" ] || { say "$dir is not the directory of a test server: nothing stopped"; return 1; }
  [ ! -f "$dir/pid" ] || pid=$(cat "$dir/pid")
  if [ -n "$pid" ] && kill "$pid" 2>/dev/null; then
    # The server removes its pid file last; a process that nobody reaps would answer kill -0 for ever.
    for _ in $(seq 200); do [ -f "$dir/pid" ] && kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
    kill -9 "$pid" 2>/dev/null || true
  fi
  rm -rf "$dir"
}

free_port() { # below the range from which the kernel gives out ports, so that no client connection takes it meanwhile
  local port
  while :; do
    port=$(shuf -i 20000-32000 -n 1)
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

try_start() { # try_start DIRECTORY PORT; the directory holds an installed data directory
  local dir=$1 port=$2 pid
  # Not a child of this script's terminal: an interrupt there is for the tests, which stop the server in their own time.
  setsid "$server" --no-defaults "${as_user[@]}" --datadir="$dir/data" --socket="$dir/sock" --port="$port" --bind-address=127.0.0.1 \
    --pid-file="$dir/pid" --log-error="$dir/error.log" --init-file="$dir/init.sql" --skip-name-resolve --max-connections=500 \
    --innodb-flush-log-at-trx-commit=1 --max-allowed-packet=64M --character-set-server=utf8mb4 --collation-server=utf8mb4_bin \
    </dev/null >/dev/null 2>&1 &
  pid=$!
  for _ in $(seq 300); do
    "$client" --no-defaults --protocol=socket --socket="$dir/sock" --user=root --execute='do 0' >/dev/null 2>&1 && return 0
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  return 1
}

start() {
  local install dir port password base=${TMPDIR:-/tmp}
  as_user=()
  server=$(find_program mariadbd) || { say "no mariadbd: run scripts/setup-test.sh"; return 1; }
  install=$(find_program mariadb-install-db) || { say "no mariadb-install-db: run scripts/setup-test.sh"; return 1; }
  client=$(find_program mariadb) || { say "no mariadb client: run scripts/setup-test.sh"; return 1; }
  [ ${#base} -le 60 ] || base=/tmp # the path of a Unix socket has at most 107 bytes
  dir=$(mktemp -d "$base/tributary-mariadb.XXXXXX")
  touch "$dir/tributary-test-mariadb"
  [ "$(id -u)" != 0 ] || as_user=(--user=root)

  if ! "$install" --no-defaults "${as_user[@]}" --datadir="$dir/data" --auth-root-authentication-method=normal --skip-test-db >"$dir/install.log" 2>&1; then
    cat "$dir/install.log" >&2
    rm -rf "$dir"
    return 1
  fi
  # root has no password and comes in by the socket only, which nobody else can reach; over TCP a user with a password does.
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  cat >"$dir/init.sql" <<SQL
delete from mysql.global_priv where user = 'root' and host <> 'localhost' or user = '';
flush privileges;
create or replace user tributary@'127.0.0.1' identified by '$password';
grant all privileges on *.* to tributary@'127.0.0.1' with grant option;
SQL
  for _ in 1 2 3 4 5; do # another program may take the port between the look and the start
    port=$(free_port)
    if try_start "$dir" "$port"; then
      if [ -n "${OWNER_PID:-}" ]; then
        setsid bash -c 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; [ ! -d "$2" ] || exec "$0" stop "$2"' \
          "$(readlink -f "$0")" "$OWNER_PID" "$dir" </dev/null >/dev/null 2>&1 &
      fi
      printf "export TRIBUTARY_TEST_MARIADB='%s'\n" "$dir"
      printf "export TRIBUTARY_TEST_MYSQL='root@unix(%s/sock)/'\n" "$dir"
      printf "export TRIBUTARY_TEST_MYSQL_TCP='tributary:%s@tcp(127.0.0.1:%s)/'\n" "$password" "$port"
      return 0
    fi
  done
  say "the server did not start; its log:"
  tail -n 40 "$dir/error.log" >&2 || true
  rm -rf "$dir"
  return 1
}

case "${1:-}" in
start) start ;;
stop) stop "${2:-${TRIBUTARY_TEST_MARIADB:?is not set: no test server is known to this shell}}" ;;
*) say "usage: mariadb.sh start | stop [DIRECTORY]"; exit 2 ;;
esac
