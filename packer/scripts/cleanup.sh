#!/usr/bin/env bash
# Leaves nothing of the builder in the image: no key that opens it, no identity of its own, no traces, no caches.
# The connection that this runs over stays up: sshd reads none of this again for it.
set -euo pipefail

pkg_clean

# Keys: of the build, and of this host. Each instance makes host keys of its own at its first boot.
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub

# Identity. Empty, not missing: systemd makes a new id, without taking it for the vendor's very first boot.
: >/etc/machine-id
[[ -L /var/lib/dbus/machine-id ]] || rm -f /var/lib/dbus/machine-id
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
if command -v cloud-init >/dev/null; then
  cloud-init clean --logs >/dev/null
fi

# Traces.
rm -f /root/.*_history /home/*/.*_history /root/.wget-hsts /home/*/.sudo_as_admin_successful
rm -rf /var/log/journal/*
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -delete
find /var/log -type f -exec truncate --size=0 {} +

rm -rf /var/tmp/* /root/.cache /home/*/.cache
