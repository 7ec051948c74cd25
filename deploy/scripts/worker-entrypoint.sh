#!/bin/sh
# What a worker's container begins with. Where it was given what `full` takes (root with CAP_SYS_ADMIN and a cgroup
# namespace of its own, deploy/compose.full.yaml), the group that it is in becomes writable: container engines mount it
# read-only. The engine's init, if there is one, is in that group too and goes into one below: the kernel hands
# controllers on only from a group without processes, and the node moves no process but its own. Whatever the engine
# starts later (a health check) then goes where its init is. Otherwise nothing is done here, and the node says which
# level it has.
set -eu
group=/sys/fs/cgroup
if [ "$(id -u)" = 0 ] && [ -e "$group/cgroup.controllers" ] && grep -qx '0::/' /proc/self/cgroup; then
    if [ ! -w "$group/cgroup.procs" ]; then
        mount -o remount,rw "$group" || echo "deepoj: $group cannot be made writable: no isolation level full here" >&2
    fi
    if [ "$$" != 1 ] && [ -w "$group/cgroup.procs" ]; then
        mkdir -p "$group/init"
        echo 1 >"$group/init/cgroup.procs"
    fi
fi
exec deepoj "$@"
