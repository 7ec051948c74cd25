#!/bin/sh
# Submits to PROBLEM_ID and fails unless it becomes an entry with its payload (runbook 4.1). API_METRICS_URL, REDIS_URL.
set -eu
. "$(dirname -- "$0")/deepoj.sh"
exec "$deepoj" verify c1 "$@"
