#!/usr/bin/env bash
# Removes everything of the builder from the image: keys, machine identity, logs, caches. The SSH connection
# that this runs over stays up, because sshd has already read these files for it.
set -euo pipefail

pkg_clean

# Keys: of the build, and of this host. Each instance generates host keys at its first boot.
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub

# Identity. Empty, not missing: systemd generates a new id without treating the boot as the very first.
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
