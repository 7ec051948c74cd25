#!/bin/sh
# One line of JSON: what waits in the stream and before it (runbook 4.3). STREAM_KEY, GROUP, REDIS_URL, DATABASE_URL.
set -eu
. "$(dirname -- "$0")/deepoj.sh"
exec "$deepoj" pressure --json "$@"
