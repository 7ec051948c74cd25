#!/bin/sh
# Submits to PROBLEM_ID and fails unless the outbox delivers it (runbook 4.2). API_METRICS_URL, REDIS_URL, DATABASE_URL.
set -eu
. "$(dirname -- "$0")/deepoj.sh"
exec "$deepoj" verify d1 "$@"
