#!/usr/bin/env bash
# Turns off what a server in a fleet does not need, and what would change an image after it was tested.
set -euo pipefail

unwanted=(
  # Updates come with the next image.
  apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service dnf-automatic.timer
  # Services of desktops and local networks.
  avahi-daemon.service avahi-daemon.socket bluetooth.service cups.service cups.socket ModemManager.service
  rpcbind.service rpcbind.socket nfs-server.service exim4.service postfix.service
  # A root shell on a console.
  debug-shell.service
)
# Masking, not disabling: a package that is installed later cannot turn them on again. It also holds for units that
# are not there.
systemctl mask --quiet "${unwanted[@]}" 2>/dev/null
