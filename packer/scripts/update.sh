#!/usr/bin/env bash
# Brings the operating system to its newest packages. Instances never update themselves: a new image does.
set -euo pipefail

pkg_update
pkg_upgrade
