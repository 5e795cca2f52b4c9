# Shared by the scripts of this folder; sourced, not run.
# shellcheck shell=bash

set -euo pipefail

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
STATE=$PROJECT/.rebake
export PROJECT STATE

# Debian's folder for root's programs, such as iptables, which is not on every user's PATH.
export PATH=$PATH:/usr/sbin:/sbin

# shellcheck source=setup/versions.env
source "$PROJECT/setup/versions.env"

# Keep the tools' caches in the project, not in the home folder.
export UV_CACHE_DIR=$STATE/cache/uv UV_PYTHON_DOWNLOADS=never
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

export REBAKE_BEGAN=${REBAKE_BEGAN:-$EPOCHSECONDS}

step() { # step MESSAGE: print what happens next, with the seconds since the start
  printf '==> [%3d s] %s\n' "$((EPOCHSECONDS - REBAKE_BEGAN))" "$*"
}

die() { # die MESSAGE...: print the error, a line each, and exit
  printf 'error: %s\n' "$1" >&2
  shift
  local line
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

at_least() { # at_least MINIMUM VERSION: whether VERSION is MINIMUM or newer
  [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

as_root() { # as_root COMMAND...: as root itself, or by sudo
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() {
  if [ "$(id -u)" -eq 0 ]; then
    # Root of an unprivileged container cannot mount: bit 21 of the capabilities is CAP_SYS_ADMIN.
    local capabilities
    capabilities=$(sed -n 's/^CapEff:\s*//p' /proc/self/status)
    (((16#$capabilities >> 21) & 1))
  else
    have sudo && sudo -n true 2>/dev/null
  fi
}

find_python() { # the first Python that is new enough; PYTHON names one by hand
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3}; do
    if "$candidate" -c "import sys; sys.exit(not (${PYTHON_MINIMUM/./, }) <= sys.version_info[:2] < (3, 15))" \
      >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

find_packer() { # a Packer on PATH that is new enough; our own folder is not searched
  local version
  have packer || return 1
  version=$(CHECKPOINT_DISABLE=1 timeout 20 packer version 2>/dev/null | sed -n 's/^Packer v\([0-9.]*\).*/\1/p' | head -n 1)
  [ -n "$version" ] && at_least "$PACKER_MINIMUM" "$version" && command -v packer
}

find_terraform() { # a Terraform or OpenTofu on PATH that is new enough
  local tool version
  for tool in terraform tofu; do
    have "$tool" || continue
    version=$(CHECKPOINT_DISABLE=1 TF_CLI_CONFIG_FILE=/dev/null timeout 20 "$tool" version 2>/dev/null |
      sed -n 's/^\(Terraform\|OpenTofu\) v\([0-9.]*\).*/\2/p' | head -n 1)
    if [ -n "$version" ] && at_least "$TERRAFORM_MINIMUM" "$version"; then
      command -v "$tool"
      return
    fi
  done
  return 1
}

docker_answers() { # whether a Docker engine (not Podman posing as one) listens on the default socket
  [ -S /var/run/docker.sock ] && [ -w /var/run/docker.sock ] && have python3 && python3 - <<'PY' 2>/dev/null
import json, socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(3)
    client.connect("/var/run/docker.sock")
    client.sendall(b"GET /version HTTP/1.0\r\nHost: engine\r\n\r\n")
    answer = b"".join(iter(lambda: client.recv(65536), b""))
version = json.loads(answer.split(b"\r\n\r\n", 1)[1])
names = [component["Name"] for component in version["Components"]]
sys.exit(version["Os"] != "linux" or "Engine" not in names)
PY
}
