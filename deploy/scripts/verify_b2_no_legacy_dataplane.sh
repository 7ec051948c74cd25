#!/bin/sh
# Fails unless jobs travel by the stream alone (runbook 0.2). REDIS_URL, STREAM_KEY, GROUP, SCHEDULER_METRICS_URL.
set -eu
. "$(dirname -- "$0")/deepoj.sh"
exec "$deepoj" verify b2 "$@"
