#!/usr/bin/env bash
# Reports the state of an instance, a fact a line, its fields separated by tabs: see rebake/base/inspection.py, which puts before
# it the package functions, the lists `services`, `sysctls` and `files`, and what the function `checks` runs.
set -uo pipefail
declare -a services sysctls files

fact() {
  local IFS=$'\t'
  printf '%s\n' "$*"
}

os_release() {
  # shellcheck source=/dev/null
  (source /etc/os-release && fact os "$ID" "${VERSION_ID:-}")
}

packages() {
  pkg_list | sed 's/^/package\t/; s/ /\t/g'
}

units() {
  local unit
  for unit in "${services[@]}"; do
    # Both print the state and exit by it; a unit that is not there has none.
    fact service "$unit" "$(systemctl is-enabled "$unit" 2>/dev/null)" "$(systemctl is-active "$unit" 2>/dev/null)"
  done
}

ports() {
  # Without the program the ports are unknown, and must not be reported as closed.
  command -v ss >/dev/null || fact port unknown '*' unknown 'ss is not installed'
  ss --no-header --listening --numeric --processes --tcp --udp | while read -r protocol _ _ _ address _ users; do
    fact port "$protocol" "${address%:*}" "${address##*:}" "$(sed -nE 's/^users:\(\("([^"]+)".*/\1/p' <<<"$users")"
  done
}

# A container has its host's kernel: there counts what its own files would set.
settings() {
  local name configured=""
  if systemd-detect-virt --quiet --container; then
    configured="$(/usr/lib/systemd/systemd-sysctl --cat-config)"
  fi
  for name in "${sysctls[@]}"; do
    if [[ -n "$configured" ]]; then
      fact sysctl "$name" "$(sed -nE "s|^${name//./\\.}\s*=\s*||p" <<<"$configured" | tail -n 1)"
    else
      fact sysctl "$name" "$(sysctl --values "$name" 2>/dev/null | tr '\t' ' ')"
    fi
  done
}

users() {
  local name id shell status
  while IFS=: read -r name _ id _ _ _ shell; do
    status="$(passwd --status "$name" 2>/dev/null | cut --delimiter=' ' --fields=2)"
    fact user "$name" "$id" "$shell" "$status"
  done < <(getent passwd)
}

paths() {
  local path
  for path in "${files[@]}"; do
    if [[ -e "$path" || -L "$path" ]]; then
      fact file "$path" "$(stat --format=%04a "$path")" "$(stat --format=%U "$path")" "$(stat --format=%G "$path")"
    else
      fact file "$path"
    fi
  done
}

keys() {
  local path key
  while read -r path; do
    while read -r key; do
      # The end of the line is the comment; the key itself is not reported.
      fact authorized_key "$path" "${key##* }"
    done < <(grep -Ev '^\s*(#|$)' "$path")
  done < <(find /root /home -name 'authorized_keys*' -type f)
  # A bake writes this list shortly before it removes the builder's host keys: an instance's own are newer.
  local baked=/usr/share/rebake/packages.txt
  [[ -e "$baked" ]] || fact old_host_key "$baked is missing, so the age of host keys is unknown"
  while read -r path; do
    fact old_host_key "$path"
  done < <(find /etc/ssh -name 'ssh_host_*_key' ! -newer "$baked" 2>/dev/null)
}

# check STEP: run the check on standard input.
check() {
  local output code
  output="$(bash -s 2>&1)"
  code=$?
  fact check "$1" "$code" "${output//[$'\n\t']/; }"
}

# What starts at boot has started then. Its own verdict does not matter here: each unit is checked.
timeout 120 systemctl is-system-running --wait >/dev/null 2>&1

# Run Command hands on 24,000 characters of output, and a list of packages alone may have more.
{
  os_release
  packages
  units
  ports
  settings
  users
  paths
  keys
  checks
  fact end
} | gzip --best | base64 --wrap=0
