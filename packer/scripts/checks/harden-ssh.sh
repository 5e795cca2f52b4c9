#!/usr/bin/env bash
# Checks that sshd, after reading all its files, uses the settings of harden-ssh.sh.
set -euo pipefail

work="$(mktemp --directory)"
trap 'rm -rf "$work"' EXIT
# sshd needs a host key and its runtime folder to print its settings, and an image has no host key.
ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
install --directory --mode=0755 /run/sshd
effective="$(sshd -T -h "$work/host_key")"

failed=0
while read -r expected; do
  if ! grep -Fxq "$expected" <<<"$effective"; then
    found="$(grep -i "^${expected%% *} " <<<"$effective" || true)"
    echo "sshd would use '${found:-nothing}' and not '$expected'" >&2
    failed=1
  fi
done < <(tr '[:upper:]' '[:lower:]' </etc/ssh/sshd_config.d/00-rebake.conf)

for required in 'permitrootlogin no' 'passwordauthentication no' 'kbdinteractiveauthentication no' 'permitemptypasswords no'; do
  if ! grep -Fxq "$required" <<<"$effective"; then
    echo "sshd would not use '$required'" >&2
    failed=1
  fi
done

exit "$failed"
