#!/usr/bin/env bash
# Updates the operating system's packages. Instances never update themselves; a new image replaces them.
set -euo pipefail

pkg_update
pkg_upgrade
