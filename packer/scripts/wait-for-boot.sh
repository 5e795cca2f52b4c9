#!/usr/bin/env bash
# Waits for cloud-init: it may hold the package manager's lock, or write files that the clean-up removes.
set -euo pipefail

if command -v cloud-init >/dev/null; then
  # Exit status 2 is a recoverable error, such as a warning: the machine is set up nevertheless.
  cloud-init status --wait >/dev/null || [[ $? -eq 2 ]]
fi
