#!/usr/bin/env bash
# Masks services that a fleet does not need, and those that would change an image after its test.
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
# Masked, not disabled, so that a package installed later cannot enable them again. Masking also works for units
# that do not exist yet.
systemctl mask --quiet "${unwanted[@]}" 2>/dev/null
