#!/usr/bin/env bash
# Runs the application's own check, as its own user, without the service: an image that cannot pass is never made.
set -euo pipefail

timeout 120 runuser --user "$REBAKE_SERVICE" -- "/opt/$REBAKE_SERVICE/bin/healthcheck" --self-test
