#!/usr/bin/env bash
# Writes a list of every package and its exact version into the image.
set -euo pipefail

install --directory --mode=0755 /usr/share/rebake
pkg_list >/usr/share/rebake/packages.txt
chmod 0644 /usr/share/rebake/packages.txt
echo "$(wc -l </usr/share/rebake/packages.txt) packages are in /usr/share/rebake/packages.txt"
