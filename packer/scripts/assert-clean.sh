#!/usr/bin/env bash
# Fails the bake if the clean-up left a key or a machine identity.
set -euo pipefail

failed=0
complain() {
  echo "not clean: $*" >&2
  failed=1
}

keys="$(find /root /home /etc/ssh \( -name authorized_keys -o -name 'ssh_host_*' -o -name 'id_*' \) -size +0)"
[[ -z "$keys" ]] || complain "keys are left: ${keys//$'\n'/ }"
[[ ! -s /etc/machine-id ]] || complain "/etc/machine-id holds an id"
histories="$(find /root /home -name '.*_history')"
[[ -z "$histories" ]] || complain "shell histories are left: ${histories//$'\n'/ }"
[[ "$(passwd --status root)" == 'root L'* ]] || complain "root may log in with a password"

exit "$failed"
