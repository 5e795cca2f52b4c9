#!/usr/bin/env bash
# Check the machine and name everything that is missing and cannot be installed, before anything changes.
# Prints the Debian packages to install, one a line.
set -euo pipefail
# shellcheck source=setup/lib.sh
source "$(dirname "$0")/lib.sh"

packages=()
problems=()

[ "$(uname -sm)" = "Linux x86_64" ] ||
  problems+=("This machine is $(uname -sm). The tools that are installed are for Linux x86_64: use such a machine.")
case $PROJECT in
  *[[:space:]:,]*) problems+=("The folder's path $PROJECT holds a space, comma or colon, which engines take apart: move it.") ;;
esac

python=$(find_python) || {
  python=
  problems+=("No Python $PYTHON_MINIMUM or newer (below 3.15) was found. Install one, for example:
         apt-get install python3 python3-venv     and name it if it is not on PATH: make PYTHON=/path/to/python")
}
if [ -n "$python" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  case $(readlink -f "$python") in
    /usr/bin/*) packages+=(python3-venv) ;;
    *) problems+=("$python cannot make virtual environments (module ensurepip is missing): name another by PYTHON=") ;;
  esac
fi

find_packer >/dev/null || packages+=(packer)

root=no
can_be_root && root=yes

if docker_answers; then
  # Debian's tools build the operating system image if they are installed or may be.
  if [ "$root" = yes ] && have apt-get; then
    have mmdebstrap || packages+=(mmdebstrap)
  fi
elif [ "$root" = yes ]; then
  have mmdebstrap || packages+=(mmdebstrap)
  for command in podman runc conmon iptables; do
    have "$command" || packages+=("$command")
  done
  [ -x /usr/lib/podman/netavark ] || packages+=(netavark)
  [ -x /usr/lib/podman/aardvark-dns ] || packages+=(aardvark-dns)
else
  problems+=("No Docker engine answers on /var/run/docker.sock, and without root Podman cannot be set up. Either:
         start a Docker engine and join its group:     sudo usermod -aG docker $(id -un)     (then log in again)
         or become root:                               sudo make ...     or let sudo remember you first: sudo -v
         (root of a container needs the capability SYS_ADMIN: docker run --privileged)")
fi

for package in "$@"; do
  dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' || packages+=("$package")
done

if [ ${#packages[@]} -gt 0 ]; then
  if ! have apt-get; then
    problems+=("These programs are missing, and there is no apt-get to install them with: ${packages[*]}. Install them by
         your system's package manager, then run this again.")
  elif [ "$root" = no ]; then
    problems+=("These packages are missing, and installing them takes root:
         sudo apt-get install --no-install-recommends ${packages[*]}")
  fi
fi

if [ ${#problems[@]} -gt 0 ]; then
  printf 'error: the set-up cannot go on, and has changed nothing.\n' >&2
  printf '     * %s\n' "${problems[@]}" >&2
  exit 1
fi
[ ${#packages[@]} -eq 0 ] || printf '%s\n' "${packages[@]}"
