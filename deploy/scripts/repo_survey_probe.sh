#!/bin/sh
# Looks once at a running deployment: stream, tables, metrics (runbook 6). REDIS_URL, DATABASE_URL, API_METRICS_URL,
# SCHEDULER_METRICS_URL, WORKER_METRICS_URL, STREAM_KEY.
set -eu
. "$(dirname -- "$0")/deepoj.sh"
exec "$deepoj" probe "$@"
