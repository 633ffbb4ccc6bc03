#!/usr/bin/env bash
# What the compose file relies on, of the entrypoint of Postgres's image.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
    chown -R postgres "$PGDATA"
    chmod 0700 "$PGDATA"
    exec setpriv --reuid postgres --regid postgres --init-groups "$BASH_SOURCE" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    ls /docker-entrypoint-initdb.d/ > /dev/null
    [ -n "${POSTGRES_PASSWORD:-}" ] || { echo "Error: POSTGRES_PASSWORD is empty."; exit 1; }
    initdb --username postgres --pwfile <(echo "$POSTGRES_PASSWORD") --auth-local trust --auth-host scram-sha-256
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait --options "-c listen_addresses=''" start
    [ -z "${POSTGRES_DB:-}" ] || createdb --username postgres "$POSTGRES_DB"
    for script in /docker-entrypoint-initdb.d/*; do
        case "$script" in
            *.sh) . "$script" ;;
            *.sql) psql --set ON_ERROR_STOP=1 --username postgres --file "$script" ;;
        esac
    done
    pg_ctl --wait --mode fast stop
fi
exec "$@"
