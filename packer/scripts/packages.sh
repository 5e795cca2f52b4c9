#!/usr/bin/env bash
# The one place that knows how package managers differ. Loaded before each step; needs REBAKE_PACKAGE_MANAGER.

_apt_get() {
  # Waits for a package manager that runs at boot; keeps changed configuration; never prompts.
  DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 --yes --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

_dnf() {
  dnf --quiet --assumeyes --setopt=install_weak_deps=False --setopt=retries=3 "$@"
}

# pkg_update: fetch the lists of packages.
pkg_update() {
  case "$REBAKE_PACKAGE_MANAGER" in
    apt) _apt_get update ;;
    dnf) _dnf makecache ;;
  esac
}

# pkg_upgrade: bring every installed package to the newest version of the release.
pkg_upgrade() {
  case "$REBAKE_PACKAGE_MANAGER" in
    apt) _apt_get dist-upgrade ;;
    # Amazon Linux ties packages to the release of the image; `latest` moves on to the newest one.
    dnf) _dnf upgrade --refresh --releasever=latest ;;
  esac
}

# pkg_install NAME[=VERSION]...: install packages, each at its version (a pattern such as 3.11.*) if one is given.
pkg_install() {
  case "$REBAKE_PACKAGE_MANAGER" in
    apt) _apt_get install "$@" ;;
    dnf) _dnf install "${@/=/-}" ;;
  esac
}

# pkg_install_file FILE: install a package from a file.
pkg_install_file() {
  case "$REBAKE_PACKAGE_MANAGER" in
    apt) _apt_get install "$1" ;;
    dnf) _dnf install "$1" ;;
  esac
}

# pkg_installed NAME: succeed if the package is installed.
pkg_installed() {
  case "$REBAKE_PACKAGE_MANAGER" in
    apt) [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]] ;;
    dnf) rpm --quiet --query "$1" ;;
  esac
}

# pkg_list: print every installed package and its version, sorted.
pkg_list() {
  case "$REBAKE_PACKAGE_MANAGER" in
    apt) dpkg-query --show --showformat='${Package} ${Version} ${Architecture}\n' ;;
    # Without the vendor's keys, which rpm lists as packages too.
    dnf)
      rpm --query --all --queryformat '%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE} %{ARCH}\n' |
        grep -v '^gpg-pubkey '
      ;;
  esac | LC_ALL=C sort
}

# pkg_clean: remove the package managers' caches.
pkg_clean() {
  case "$REBAKE_PACKAGE_MANAGER" in
    apt)
      _apt_get autoremove --purge
      apt-get clean
      rm -rf /var/lib/apt/lists/*
      ;;
    dnf)
      _dnf autoremove
      _dnf clean all
      rm -rf /var/cache/dnf
      ;;
  esac
}

# pkg_agent_url VERSION REGION: print where AWS publishes that Systems Manager agent for this machine.
pkg_agent_url() {
  local machine name
  machine="$(uname -m)"
  case "$REBAKE_PACKAGE_MANAGER:$machine" in
    apt:x86_64) name=debian_amd64/amazon-ssm-agent.deb ;;
    apt:aarch64) name=debian_arm64/amazon-ssm-agent.deb ;;
    dnf:x86_64) name=linux_amd64/amazon-ssm-agent.rpm ;;
    dnf:aarch64) name=linux_arm64/amazon-ssm-agent.rpm ;;
    *)
      echo "no Systems Manager agent is known for machine $machine" >&2
      return 1
      ;;
  esac
  echo "https://s3.$2.amazonaws.com/amazon-ssm-$2/$1/$name"
}
