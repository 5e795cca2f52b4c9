#!/usr/bin/env bash
# Waits until the first boot's set-up is over: it may hold the package manager, or write what is cleaned later.
set -euo pipefail

if command -v cloud-init >/dev/null; then
  # Exit status 2 tells of a recoverable error, such as a warning: the machine is set up all the same.
  cloud-init status --wait >/dev/null || [[ $? -eq 2 ]]
fi
