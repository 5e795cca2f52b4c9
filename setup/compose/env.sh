#!/bin/sh
# Write .env, from which docker-compose.yaml takes its secrets and settings. It is safe to run again: it keeps
# existing lines and adds missing ones. It takes settings from the environment, as in
#   REBAKE_BASE_IMAGE=localhost/debian:bookworm setup/compose/env.sh
set -eu

cd "$(dirname "$0")/../.."
project=$(pwd -P)
id=$(printf '%s' "$project" | sha256sum | cut -c 1-8)

random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

keep() { # keep NAME VALUE: the line NAME=VALUE, unless there is one for NAME
  grep -q "^$1=" .env || printf '%s=%s\n' "$1" "$2" >>.env
}

first_of() { # first_of FILE...: the first that exists
  for candidate in "$@"; do
    if [ -s "$candidate" ]; then
      printf '%s' "$candidate"
      return
    fi
  done
  return 1
}

# The worker reads artifacts there, as another user.
mkdir -p build .rebake
umask 077
touch .env
chmod 600 .env
# The build trusts the certificates that this machine trusts: its proxy may sign with one of its own.
: >.rebake/no-certificates
trusted=$(first_of "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
  /etc/ssl/cert.pem) || trusted=$project/.rebake/no-certificates

# Two clones on one machine get names and networks of their own; `make up` takes its networks from 10.64.0.0/10.
hex() { printf '%d' "0x$(printf '%s' "$id" | cut -c "$1")"; }
keep COMPOSE_PROJECT_NAME "${COMPOSE_PROJECT_NAME:-rebake-$id}"
keep REBAKE_NETWORK_CIDR "${REBAKE_NETWORK_CIDR:-10.$((128 + $(hex 1-2) / 4)).$(hex 3-4).0/24}"
# The lower part of it: security groups admit the workers, and not the other instances, by it.
network=$(sed -n 's/^REBAKE_NETWORK_CIDR=//p' .env)
keep REBAKE_WORKER_CIDR "${REBAKE_WORKER_CIDR:-${network%/*}/26}"
keep REBAKE_BASE_IMAGE "${REBAKE_BASE_IMAGE:-docker.io/library/debian:bookworm-slim}"
keep REBAKE_ENGINE_SOCKET "${REBAKE_ENGINE_SOCKET:-/var/run/docker.sock}"
keep REBAKE_CA_BUNDLE "${REBAKE_CA_BUNDLE:-$trusted}"
keep REBAKE_UI_PORT "${REBAKE_UI_PORT:-8080}"
keep REBAKE_APPLICATION_PORT "${REBAKE_APPLICATION_PORT:-8081}"
keep REBAKE_AWS_PORT "${REBAKE_AWS_PORT:-4566}"
keep REBAKE_ADMIN_PASSWORD "$(random 12)"
keep REBAKE_FERNET_KEY "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
keep REBAKE_JWT_SECRET "$(random 32)"
keep REBAKE_API_SECRET "$(random 32)"
keep REBAKE_POSTGRES_PASSWORD "$(random 16)"
keep REBAKE_REDIS_PASSWORD "$(random 16)"
printf 'The settings are in %s/.env; the user of the web interface is admin, its password REBAKE_ADMIN_PASSWORD there.\n' "$project"
