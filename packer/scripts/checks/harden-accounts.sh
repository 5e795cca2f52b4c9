#!/usr/bin/env bash
# Checks what harden-accounts.sh set: nobody can log in with a password, and files are closed to other users.
set -euo pipefail

failed=0
complain() {
  echo "$*" >&2
  failed=1
}

[[ "$(passwd --status root)" == 'root L'* ]] || complain "root has a password: passwd --status says '$(passwd --status root)'"
empty="$(awk -F: '$2 == "" { print $1 }' /etc/shadow)"
[[ -z "$empty" ]] || complain "accounts without any password: ${empty//$'\n'/ }"
grep -Eq '^UMASK\s+027$' /etc/login.defs || complain "/etc/login.defs does not set UMASK 027"
grep -Eq '^umask 027$' /etc/profile.d/rebake-umask.sh || complain "/etc/profile.d/rebake-umask.sh does not set umask 027"
for file in /etc/shadow /etc/gshadow; do
  open="$(find "$file" -perm /o=rwx)"
  [[ -z "$open" ]] || complain "$file is open to everybody: its mode is $(stat --format=%a "$file")"
done
for path in /root /etc/crontab /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly; do
  [[ -e "$path" ]] || continue
  open="$(find "$path" -maxdepth 0 -perm /go=rwx)"
  [[ -z "$open" ]] || complain "$path is open to others: its mode is $(stat --format=%a "$path")"
done

exit "$failed"
