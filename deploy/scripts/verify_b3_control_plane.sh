#!/bin/sh
# Fails unless the scheduler is a control plane whose loops go round (runbook 0.3). SCHEDULER_METRICS_URL.
set -eu
. "$(dirname -- "$0")/deepoj.sh"
exec "$deepoj" verify b3 "$@"
