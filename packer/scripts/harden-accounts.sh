#!/usr/bin/env bash
# Forbids password logins, and restricts system files and new files to their owners.
set -euo pipefail

passwd --quiet --lock root 2>/dev/null || usermod --lock root
sed -i -E 's/^(UMASK)\s+.*/\1 027/; s/^(HOME_MODE)\s+.*/\1 0700/' /etc/login.defs
printf '%s\n' '# New files are readable by their owner and group only.' 'umask 027' >/etc/profile.d/rebake-umask.sh

chmod 0644 /etc/passwd /etc/group
for file in /etc/shadow /etc/gshadow; do
  chmod u-x,g-wx,o-rwx "$file"
done
for path in /root /etc/crontab /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly; do
  [[ ! -e "$path" ]] || chmod go-rwx "$path"
done
