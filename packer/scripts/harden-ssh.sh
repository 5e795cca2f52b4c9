#!/usr/bin/env bash
# SSH is used for baking only (fleets' security groups keep it closed): keys only, no root, no forwarding.
set -euo pipefail

install --directory --mode=0755 /etc/ssh/sshd_config.d
# 00-: sshd keeps the first value that it reads, so this file wins over what cloud-init adds.
cat >/etc/ssh/sshd_config.d/00-rebake.conf <<'CONFIG'
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
AuthenticationMethods publickey
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
MaxAuthTries 4
LoginGraceTime 30
ClientAliveInterval 60
ClientAliveCountMax 5
CONFIG
chmod 0600 /etc/ssh/sshd_config.d/00-rebake.conf
if ! grep -Eq '^\s*Include\s+/etc/ssh/sshd_config\.d/' /etc/ssh/sshd_config; then
  sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config
fi
