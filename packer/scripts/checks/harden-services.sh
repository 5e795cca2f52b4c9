#!/usr/bin/env bash
# Checks that harden-services.sh masked its units, and that nothing updates the system by itself.
set -euo pipefail

failed=0
for unit in \
  apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service dnf-automatic.timer \
  avahi-daemon.service avahi-daemon.socket bluetooth.service cups.service cups.socket ModemManager.service \
  rpcbind.service rpcbind.socket nfs-server.service exim4.service postfix.service \
  debug-shell.service; do
  if [[ "$(readlink "/etc/systemd/system/$unit")" != /dev/null ]]; then
    echo "$unit is not masked" >&2
    failed=1
  fi
done

exit "$failed"
