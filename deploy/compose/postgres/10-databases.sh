#!/bin/sh
# Runs once, when the data folder is new: a database and its owner for the ledger, and for the leave service.
set -eu

create() {
    psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
        -v name="$1" -v file="$2" <<'SQL'
\set password `cat :'file'`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

create timeoff /run/secrets/database_password
create leave /run/secrets/leave_database_password
