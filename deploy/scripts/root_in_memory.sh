#!/bin/sh
# Runs a command that sees copies in memory of the directories that programs in the sandbox share:
#
#     root_in_memory.sh .venv/bin/deepoj node --roles worker
#
# A tmpfs keeps no names that do not exist, and all its pages are always in memory. So a run leaves nothing there that a
# later run could measure (sandbox_ext/README.md, "What one run can tell another"). It needs root, some seconds, and as
# much memory as the directories take: `du -shc /usr /etc`. The command does not see what is changed in them later. Put
# WORKSPACE on a tmpfs as well, or set compile.precompiled_headers to false: programs see those headers, too.
# IN_MEMORY names other directories.
set -eu
if [ "${1-}" != --inside ]; then
    exec unshare --mount --propagation private "$0" --inside "$@"
fi
shift
for directory in ${IN_MEMORY:-/usr /bin /sbin /lib /lib32 /lib64 /libx32 /etc}; do
    if [ ! -d "$directory" ] || [ -L "$directory" ]; then
        continue
    fi
    copy=$(mktemp -d)
    mount -t tmpfs -o mode=755,size=100% tmpfs "$copy"
    cp -a "$directory/." "$copy"
    mount --move "$copy" "$directory"
    rmdir "$copy"
done
exec "$@"
