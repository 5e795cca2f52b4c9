#!/usr/bin/env bash
# Runs provisioning steps in order: run-steps.sh STEP...; a step is the script STEP.sh beside this one. The first
# step that fails ends the bake, with its name. Versions and package functions are loaded for each step.
set -euo pipefail
exec 2>&1 # in one stream, messages keep their order

case "${REBAKE_PACKAGE_MANAGER:-}" in
  apt | dnf) ;;
  *)
    echo "REBAKE_PACKAGE_MANAGER='${REBAKE_PACKAGE_MANAGER:-}': must be apt or dnf"
    exit 1
    ;;
esac

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=packer/scripts/versions.sh
source "$here/versions.sh"
# shellcheck source=packer/scripts/packages.sh
source "$here/packages.sh"

step=""
name_the_failed_step() {
  local status=$?
  [[ $status -eq 0 ]] || echo "step $step failed with exit status $status"
}
trap name_the_failed_step EXIT

for step in "$@"; do
  if [[ ! -f "$here/$step.sh" ]]; then
    echo "there is no script $step.sh"
    exit 1
  fi
  began=$SECONDS
  echo "==> $step"
  # In a subshell, so that a step cannot change variables of the next.
  # shellcheck source=/dev/null
  (source "$here/$step.sh")
  echo "    $step: $((SECONDS - began)) s"
done
