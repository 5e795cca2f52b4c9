#!/usr/bin/env bash
# Installs the runtime of most applications, so that application images rarely need packages of their own.
set -euo pipefail

case "$REBAKE_PACKAGE_MANAGER" in
  apt) version="$PYTHON_VERSION_APT" ;;
  dnf) version="$PYTHON_VERSION_DNF" ;;
esac
pkg_install "python3=$version" ca-certificates
python3 -c 'import http.server, json, ssl' # Debian's python3-minimal lacks these; an image without them is useless
