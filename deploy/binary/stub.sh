#!/bin/sh
# Deep-OJ in one file: this script, and behind its last line a compressed archive of the program. The first start unpacks
# it, once for each version and user; after that it is a plain exec.
#
# Unpacked into DEEPOJ_CACHE, else /var/cache/deepoj (root) or ~/.cache/deepoj. It goes in under another name and is
# renamed when it is whole: what a kill -9 in between leaves is an unused directory.
set -eu
digest=@DIGEST@
lines=@LINES@
if [ -n "${DEEPOJ_CACHE-}" ]; then cache=$DEEPOJ_CACHE
elif [ "$(id -u)" = 0 ]; then cache=/var/cache/deepoj
else cache=${XDG_CACHE_HOME:-${HOME:?set HOME or DEEPOJ_CACHE}/.cache}/deepoj
fi
place=$cache/$digest
# it says where to unpack; to the program, which refuses settings that it does not know, it says nothing
unset DEEPOJ_CACHE
fail() { echo "deepoj: $*" >&2; exit 2; }
if [ ! -e "$place/.whole" ]; then
    for tool in gzip tar; do
        command -v "$tool" >/dev/null || fail "$tool is needed to unpack this program, and is not installed."
    done
    umask 022
    mkdir -p "$cache" || fail "$cache cannot be made: say in DEEPOJ_CACHE where this program may be unpacked."
    [ -O "$cache" ] || fail "$cache is somebody else's: say in DEEPOJ_CACHE where this program may be unpacked."
    fresh=$(mktemp -d "$cache/new.XXXXXX") || fail "$cache cannot be written to."
    trap 'rm -rf "$fresh"' EXIT
    trap 'exit 130' INT TERM HUP
    chmod 755 "$fresh"
    tail -n "+$lines" "$0" | tar -xz --no-same-owner -C "$fresh" || fail "$0 could not be unpacked into $cache (is the disk full, or the file cut short?)."
    : >"$fresh/.whole"
    # somebody else may have been faster: then theirs is used
    mv -T "$fresh" "$place" 2>/dev/null || rm -rf "$fresh"
    trap - EXIT INT TERM HUP
fi
[ -x "$place/deepoj/deepoj" ] ||
    fail "$place/deepoj/deepoj cannot be run: is $cache mounted noexec? Say in DEEPOJ_CACHE where it may be unpacked."
exec "$place/deepoj/deepoj" "$@"
