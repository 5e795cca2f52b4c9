#!/usr/bin/env bash
# Make .venv with exactly the packages of requirements.lock, by uv, which the project installs for itself.
set -euo pipefail
# shellcheck source=setup/lib.sh
source "$(dirname "$0")/lib.sh"

venv=$PROJECT/.venv
uv=$STATE/uv/bin/uv
stamp=$venv/rebake.stamp
want=$(cat "$PROJECT/requirements.lock" "$PROJECT/setup/versions.env" | sha256sum | cut -d ' ' -f 1)

if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then exit 0; fi

python=$(find_python) || die "no Python $PYTHON_MINIMUM or newer was found"
if [ "$("$uv" --version 2>/dev/null | cut -d ' ' -f 2)" != "$UV_VERSION" ]; then
  step "installing uv $UV_VERSION into .rebake/uv"
  rm -rf "$STATE/uv"
  "$python" -m venv "$STATE/uv"
  printf 'uv==%s --hash=sha256:%s\n' "$UV_VERSION" "$UV_SHA256" >"$STATE/uv/uv.txt"
  "$STATE/uv/bin/pip" install --quiet --require-hashes --only-binary :all: -r "$STATE/uv/uv.txt"
fi

step "installing $(grep -c '==' "$PROJECT/requirements.lock") Python packages into .venv"
[ -x "$venv/bin/python" ] || "$uv" venv --quiet --python "$python" "$venv"
"$uv" pip sync --quiet --python "$venv/bin/python" --require-hashes --compile-bytecode "$PROJECT/requirements.lock"
printf '%s' "$want" >"$stamp"
