#!/bin/sh
# Fails if anything of a running deployment needs etcd (runbook 0.1). API_METRICS_URL.
set -eu
. "$(dirname -- "$0")/deepoj.sh"
exec "$deepoj" verify b1 "$@"
