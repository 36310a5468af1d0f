#!/bin/sh
# Runs a command beside a Postgres server of its own, whose URL is in ROUNDTABLE_TEST_POSTGRES.
#
#   scripts/with-postgres.sh cargo test
#
# The server listens on a free port of 127.0.0.1, keeps its files in a new temporary folder, and is
# stopped and removed when the command ends. No other Postgres server is touched.
set -eu

say() { printf 'with-postgres: %s\n' "$*" >&2; }

[ $# -gt 0 ] || { say "usage: with-postgres.sh COMMAND..."; exit 64; }

# The newest of the installed versions, if initdb is not on the PATH (Debian keeps it off).
find_bin() {
    if command -v initdb >/dev/null 2>&1 && command -v pg_ctl >/dev/null 2>&1; then
        dirname "$(command -v initdb)"
        return
    fi
    for dir in $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -rV); do
        if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then
            echo "$dir"
            return
        fi
    done
}

bin=$(find_bin)
if [ -z "$bin" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installs postgresql"
    # The package would start a server of its own, which nobody asked for.
    export DEBIAN_FRONTEND=noninteractive
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
    { apt-get update && apt-get install -y --no-install-recommends postgresql; } >&2
    bin=$(find_bin)
fi
if [ -z "$bin" ]; then
    say "finds no initdb and pg_ctl, on the PATH or under /usr/lib/postgresql: install postgresql"
    exit 69
fi

# Postgres refuses to run as root.
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || { say "is root, and there is no user postgres"; exit 69; }
    as_owner() { runuser -u postgres -- "$@"; }
else
    as_owner() { "$@"; }
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/roundtable-postgres.XXXXXX")
stop() {
    status=$?
    trap - EXIT INT TERM HUP
    cd /
    as_owner "$bin/pg_ctl" -D "$folder/data" -m immediate -s stop >/dev/null 2>&1 || true
    rm -rf "$folder"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
[ "$(id -u)" != 0 ] || chown postgres "$folder"

start() {
    cd "$folder"
    as_owner "$bin/initdb" -D "$folder/data" -U roundtable -A trust -E UTF8 --locale=C -N \
        >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 70; }
    # fsync stays on: what the tests see is what a server does.
    cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$folder'
max_connections = 200
CONF
}
(start)

# A port may be taken between the choice and the start, so a few are tried.
tries=0
while :; do
    port=$(awk -v seed="$$$tries" 'BEGIN { srand(seed); print 20000 + int(rand() * 12000) }')
    if (cd "$folder" && as_owner "$bin/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w -s \
        -o "-p $port" start >/dev/null 2>&1); then
        break
    fi
    tries=$((tries + 1))
    if [ "$tries" -ge 10 ]; then
        say "the server does not start:"
        cat "$folder/server.log" >&2
        exit 70
    fi
done

# For tests that stop the server and start it again: ctl stop, ctl start.
ROUNDTABLE_TEST_POSTGRES_CTL="$folder/ctl"
{
    printf '#!/bin/sh\ncd "%s" && exec ' "$folder"
    [ "$(id -u)" != 0 ] || printf 'runuser -u postgres -- '
    printf '"%s/pg_ctl" -D data -l server.log -w -s -m fast -o "-p %s" "$@"\n' "$bin" "$port"
} >"$ROUNDTABLE_TEST_POSTGRES_CTL"
chmod +x "$ROUNDTABLE_TEST_POSTGRES_CTL"
export ROUNDTABLE_TEST_POSTGRES_CTL

ROUNDTABLE_TEST_POSTGRES="postgres://roundtable@127.0.0.1:$port/postgres"
export ROUNDTABLE_TEST_POSTGRES
"$@"
