#!/bin/sh
# What a worker's container begins with. Where it was given what `full` takes (root with CAP_SYS_ADMIN and a cgroup
# namespace of its own, deploy/compose.full.yaml), the group that it is in becomes writable: container engines mount it
# read-only. Otherwise nothing is done here, and the node says which level it has.
set -eu
group=/sys/fs/cgroup
if [ "$(id -u)" = 0 ] && [ -e "$group/cgroup.controllers" ] && [ ! -w "$group/cgroup.procs" ]; then
    mount -o remount,rw "$group" || echo "deepoj: $group cannot be made writable: no isolation level full here" >&2
fi
exec deepoj "$@"
