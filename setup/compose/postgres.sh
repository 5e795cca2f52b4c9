#!/bin/sh
# Start Postgres with its data in a volume, made on the first start: one role and one database, named airflow.
set -eu

PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
data=/var/lib/postgresql/data
if [ ! -d "$data/current" ]; then
  # Created in another folder and moved at the end, so that an interrupted start leaves no partial data.
  rm -rf "$data/new"
  (umask 077 && printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password)
  initdb --pgdata="$data/new" --username=airflow --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8 \
    --auth-local=trust --auth-host=scram-sha-256
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$data/new/pg_hba.conf"
  echo 'CREATE DATABASE airflow' | postgres --single -D "$data/new" postgres >/dev/null
  mv "$data/new" "$data/current"
fi
exec postgres -D "$data/current" -c listen_addresses='*' -c unix_socket_directories=/tmp
