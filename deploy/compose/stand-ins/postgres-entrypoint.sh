#!/usr/bin/env bash
# First start: make the data folder, run what lies in /docker-entrypoint-initdb.d. Then run the server.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
    chown postgres:postgres /var/lib/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
user=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    initdb --username "$user" --pwfile "${POSTGRES_PASSWORD_FILE:?names the file with the password}" \
        --auth-local trust --auth-host scram-sha-256 --encoding UTF8 --locale C
    printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    # No TCP yet: whoever waits for the server must not take this one for it.
    pg_ctl -D "$PGDATA" -w -o "-c listen_addresses='' -c unix_socket_directories=$PGHOST" start
    export POSTGRES_USER=$user
    if [ "${POSTGRES_DB:-$user}" != postgres ]; then createdb --username "$user" "${POSTGRES_DB:-$user}"; fi
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
            *.sql) psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$user" --dbname "${POSTGRES_DB:-$user}" -f "$script" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories="$PGHOST"
