#!/usr/bin/env bash
# Prepare this machine and this folder. Quick when there is nothing to do.
#   setup.sh [PACKAGE...]    further Debian packages that a target needs, such as shellcheck
set -euo pipefail
# shellcheck source=setup/lib.sh
source "$(dirname "$0")/lib.sh"
here=$PROJECT/setup

missing=$("$here/check.sh" "$@")
mkdir -p "$STATE/logs"

needs() { grep -qx "$1" <<<"$missing"; }

# The operating system image takes longest, and its first part needs one package only, so start with it.
# stack/osimage.py waits for it.
background=
if needs mmdebstrap; then
  step "installing the Debian package mmdebstrap"
  "$here/packages.sh" mmdebstrap
  missing=$(grep -vx mmdebstrap <<<"$missing" || true)
fi
if [ -z "$(find "$STATE/cache" -maxdepth 1 -name 'rootfs-*.tar' 2>/dev/null)" ] && have mmdebstrap; then
  step "making Debian $OS_SUITE for the instances, in the background"
  "$here/rootfs.sh" >/dev/null 2>&1 &
  background=$!
  trap 'kill "$background" 2>/dev/null || true' ERR INT TERM
fi
if [ -n "$missing" ]; then
  step "installing the Debian packages $(tr '\n' ' ' <<<"$missing")"
  # shellcheck disable=SC2086 # a list of names
  "$here/packages.sh" $missing
fi

"$here/venv.sh"
"$here/tools.sh"
