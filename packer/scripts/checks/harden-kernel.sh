#!/usr/bin/env bash
# Checks that the kernel uses the settings of harden-kernel.sh. A container shares its host's kernel: there only
# the file counts.
set -euo pipefail

settings=/etc/sysctl.d/60-rebake.conf
if [[ ! -s "$settings" ]]; then
  echo "$settings is missing or empty" >&2
  exit 1
fi
if systemd-detect-virt --quiet --container; then
  exit 0
fi

failed=0
while IFS='=' read -r name expected; do
  name="${name// /}" expected="${expected# }"
  path="/proc/sys/${name//.//}"
  # A kernel without the setting has nothing to harden.
  [[ -e "$path" ]] || continue
  found="$(<"$path")"
  if [[ "$found" != "$expected" ]]; then
    echo "$name is $found and not $expected" >&2
    failed=1
  fi
done < <(grep -E '^[a-z]' "$settings")

exit "$failed"
