#!/usr/bin/env bash
# Every version that Rebake pins; the vendor's release decides all others. Loaded before each step.
# shellcheck disable=SC2034 # the steps use them

# The runtime that the base image offers to applications: the release's own series, so that a new base image gets
# security fixes only. /usr/share/rebake/packages.txt lists the exact versions installed.
PYTHON_VERSION_APT="3.11.*"
PYTHON_VERSION_DNF="3.9.*"

# https://github.com/aws/amazon-ssm-agent/releases
SSM_AGENT_VERSION="3.3.4624.0"
