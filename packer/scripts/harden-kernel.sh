#!/usr/bin/env bash
# Kernel settings, read at every boot. A container shares its host's kernel and cannot change them.
set -euo pipefail

cat >/etc/sysctl.d/60-rebake.conf <<'CONFIG'
# Only root reads kernel messages and addresses, and traces other processes.
kernel.dmesg_restrict = 1
kernel.kptr_restrict = 2
kernel.yama.ptrace_scope = 1
kernel.unprivileged_bpf_disabled = 1
net.core.bpf_jit_harden = 2
fs.suid_dumpable = 0

# Protect users from links and pipes that others place in shared folders.
fs.protected_hardlinks = 1
fs.protected_symlinks = 1
fs.protected_fifos = 2
fs.protected_regular = 2

# An instance routes no packets and ignores unsolicited redirects.
net.ipv4.ip_forward = 0
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.default.send_redirects = 0
net.ipv4.conf.all.accept_source_route = 0
net.ipv4.conf.default.accept_source_route = 0
net.ipv4.conf.all.rp_filter = 1
net.ipv4.conf.default.rp_filter = 1
net.ipv4.icmp_echo_ignore_broadcasts = 1
net.ipv4.tcp_syncookies = 1
net.ipv6.conf.all.accept_redirects = 0
net.ipv6.conf.default.accept_redirects = 0
net.ipv6.conf.all.accept_source_route = 0
net.ipv6.conf.default.accept_source_route = 0
CONFIG
chmod 0644 /etc/sysctl.d/60-rebake.conf

if systemd-detect-virt --quiet --container; then
  echo "in a container: the settings are written, not applied"
else
  # --ignore: a kernel may lack one of the settings.
  sysctl --quiet --ignore --load=/etc/sysctl.d/60-rebake.conf
fi
