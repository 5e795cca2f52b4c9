#!/bin/sh
# Start one component of Airflow: airflow.sh api-server | scheduler | dag-processor | triggerer | celery worker.
# The API server migrates the database, and the others wait for it: not every engine can wait for health, and a
# component that finds an empty database exits.
set -eu

if [ "$1" = api-server ]; then
  (umask 077 && printf '{"admin": "%s"}\n' "$REBAKE_ADMIN_PASSWORD" >"$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")
  unset REBAKE_ADMIN_PASSWORD
  airflow db check --retry 60 --retry-delay 1
  airflow db migrate
  python setup/compose/bucket.py
else
  until python setup/compose/healthcheck.py metadatabase 2>/dev/null; do sleep 1; done
fi
exec airflow "$@"
