#!/usr/bin/env bash
# Runs the application's own check, as its own user, without the service. If it fails, no image is made.
set -euo pipefail

timeout 120 runuser --user "$REBAKE_SERVICE" -- "/opt/$REBAKE_SERVICE/bin/healthcheck" --self-test
