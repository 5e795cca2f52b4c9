#!/usr/bin/env bash
# Installs the Systems Manager agent if the vendor's image lacks it. Instances without an open SSH port are
# reached through it. Also runs at the first boot of a builder that is reached by session_manager only.
set -euo pipefail

if [[ "$REBAKE_INSTALL_AGENTS" != true ]]; then
  echo "agents are not wanted in this environment"
elif systemctl cat amazon-ssm-agent.service >/dev/null 2>&1; then
  systemctl enable --now --quiet amazon-ssm-agent.service
else
  package="$(mktemp --directory)/$(basename "$(pkg_agent_url "$SSM_AGENT_VERSION" "$REBAKE_REGION")")"
  pkg_update
  pkg_install ca-certificates curl
  curl --fail --silent --show-error --location --proto '=https' --retry 3 \
    --output "$package" "$(pkg_agent_url "$SSM_AGENT_VERSION" "$REBAKE_REGION")"
  pkg_install_file "$package"
  rm -r "$(dirname "$package")"
  systemctl enable --now --quiet amazon-ssm-agent.service
fi
