# Read by the scripts beside it: the names that the runbook's scripts take become those of the program's settings.
# shellcheck shell=sh
DEEPOJ=${DEEPOJ-$(dirname -- "$0")/../../.venv/bin/deepoj}
if [ ! -x "$DEEPOJ" ]; then
    echo "deepoj: there is no program at $DEEPOJ: run \`make build\`, or say in DEEPOJ where it is." >&2
    exit 2
fi
if [ -n "${STREAM_KEY-}" ]; then export JOB_STREAM_KEY="$STREAM_KEY"; fi
if [ -n "${GROUP-}" ]; then export JOB_STREAM_GROUP="$GROUP"; fi
unset STREAM_KEY GROUP
# DEEPOJ says to this script where the program is; to the program it says nothing
deepoj=$DEEPOJ
unset DEEPOJ
