#!/usr/bin/env bash
# Install Debian packages: packages.sh NAME...
set -euo pipefail
# shellcheck source=setup/lib.sh
source "$(dirname "$0")/lib.sh"

install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >>"$STATE/logs/apt.log" 2>&1
}

mkdir -p "$STATE/logs"
: >>"$STATE/logs/apt.log"
# Recent package lists need no update: try without one first.
if ! install "$@"; then
  as_root apt-get update >>"$STATE/logs/apt.log" 2>&1 || true
  install "$@" || die "apt-get could not install: $*" "The end of $STATE/logs/apt.log:" "$(tail -n 5 "$STATE/logs/apt.log")"
fi
