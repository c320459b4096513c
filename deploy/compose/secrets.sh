#!/bin/sh
# Makes the secrets that docker-compose.yml names, random ones where they are ours to choose; keeps those that are there.
# secrets.sh [FOLDER]: default is deploy/compose/secrets, which git ignores.
set -eu
folder=${1:-$(dirname "$0")/secrets}

# The folder is closed to others on this machine. The files are not: the users of the containers have to read them.
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

keep() {
    [ -s "$folder/$1" ] || printf '%s\n' "$2" >"$folder/$1"
}
random() {
    od -An -v -N24 -tx1 /dev/urandom | tr -d ' \n'
}

keep postgres_password "$(random)"
keep database_password "$(random)"
keep database_url "postgresql://timeoff:$(cat "$folder/database_password")@postgres:5432/timeoff"
keep leave_database_password "$(random)"
keep leave_database_url "postgresql://leave:$(cat "$folder/leave_database_password")@postgres:5432/leave"
keep leave_administrator_password "$(random)"
keep leave_client_secret "$(random)"

# A caller of the balance service shows the token; the service knows its hash.
keep balance_token "$(random)"
keep balance.env "TIMEOFF_BALANCE__TOKENS=[{\"name\": \"first\", \"sha256\": \"$(
    tr -d '\n' <"$folder/balance_token" | sha256sum | cut -d ' ' -f 1
)\", \"access\": \"read\"}]"

# Not ours to choose: what the sandbox expects. Write those of your systems into the files.
keep genesys_client_secret sandbox-secret
keep hris_api_key sandbox-api-key
