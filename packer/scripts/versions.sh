#!/usr/bin/env bash
# Every version that is chosen here rather than by the vendor's release. Loaded before each step.
# shellcheck disable=SC2034 # the steps use them

# The runtime that the base image gives to applications: the release's own series, so that a new base image takes
# its security fixes and nothing else. The exact versions installed are in /usr/share/rebake/packages.txt.
PYTHON_VERSION_APT="3.11.*"
PYTHON_VERSION_DNF="3.9.*"

# https://github.com/aws/amazon-ssm-agent/releases
SSM_AGENT_VERSION="3.3.4624.0"
