#!/usr/bin/env bash
# Make the root file system that the embedded cloud's instances start from: .rebake/cache/rootfs-<inputs>.tar.
# Prints its path; prints nothing if Debian's tools may not be used, and the engine pulls Docker's image instead.
set -euo pipefail
# shellcheck source=setup/lib.sh
source "$(dirname "$0")/lib.sh"

inputs=$(printf '%s %s' "$OS_SUITE" "$OS_PACKAGES" | sha256sum | cut -c 1-12)
tar=$STATE/cache/rootfs-$inputs.tar
mkdir -p "$STATE/cache" "$STATE/logs" "$STATE/tmp"

if [ ! -f "$tar" ]; then
  have mmdebstrap && can_be_root || exit 0
  # Two at a time would be slower: the second waits for the first's result.
  exec 9>"$STATE/cache/rootfs.lock"
  flock 9
  if [ ! -f "$tar" ]; then
    as_root env TMPDIR="$STATE/tmp" mmdebstrap --mode=root --format=tar --variant=apt --include="$OS_PACKAGES" \
      "$OS_SUITE" "$tar.part" >"$STATE/logs/rootfs.log" 2>&1 9>&- ||
      die "mmdebstrap could not make Debian $OS_SUITE" "The end of $STATE/logs/rootfs.log:" "$(tail -n 5 "$STATE/logs/rootfs.log")"
    mv -f "$tar.part" "$tar"
  fi
fi
printf '%s\n' "$tar"
