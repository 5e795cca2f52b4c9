#!/usr/bin/env bash
# Installs the application: /opt/<service>, a system user for it, and its unit, enabled but not started.
set -euo pipefail

service="$REBAKE_SERVICE"
home="/opt/$service"

if ! echo "$REBAKE_ARTIFACT_SHA256  $REBAKE_ARTIFACT" | sha256sum --check --status; then
  found="$(sha256sum "$REBAKE_ARTIFACT" | cut --delimiter=' ' --fields=1)"
  echo "the artifact that arrived has SHA-256 $found, expected $REBAKE_ARTIFACT_SHA256" >&2
  exit 1
fi

if ! id --user "$service" >/dev/null 2>&1; then
  useradd --system --user-group --home-dir "$home" --no-create-home --shell /usr/sbin/nologin "$service"
fi

# Never on top of another version, whose extra files would stay.
rm -rf "$home"
install --directory --mode=0755 "$home"
# Root owns the files, so that the service cannot change its own code.
(umask 022 && tar --extract --gzip --file="$REBAKE_ARTIFACT" --directory="$home" --no-same-owner)
for required in "$service.service" bin/healthcheck; do
  if [[ ! -f "$home/$required" ]]; then
    echo "the artifact has no $required in its root" >&2
    exit 1
  fi
done
if [[ ! -x "$home/bin/healthcheck" ]]; then
  echo "the artifact's bin/healthcheck is not executable" >&2
  exit 1
fi

missing=()
if [[ -f "$home/packages.txt" ]]; then
  while read -r package; do
    pkg_installed "$package" || missing+=("$package")
  done < <(sed -E 's/#.*//; s/\s+//g; /^$/d' "$home/packages.txt")
fi
if ((${#missing[@]})); then
  echo "the base image lacks: ${missing[*]}"
  pkg_update
  pkg_install "${missing[@]}"
fi

install --mode=0644 "$home/$service.service" "/etc/systemd/system/$service.service"
# With SELinux, files need the labels of their folder.
if command -v restorecon >/dev/null; then
  restorecon -R "$home" "/etc/systemd/system/$service.service"
fi
systemctl enable --quiet "$service.service"
