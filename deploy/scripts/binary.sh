#!/bin/sh
# dist/deepoj: the whole program in one file, for hosts without Python (make binary). It needs glibc as new as this host's.
# Does nothing when the file is newer than all that goes into it.
set -eu
cd "$(dirname -- "$0")/../.."
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# directories are asked too: they change when a file is removed, and the packages' when one is installed
newer() { find deepoj sql pyproject.toml deploy/binary deploy/scripts/binary.sh -name __pycache__ -prune -o -newer dist/deepoj -print; }
if [ -x dist/deepoj ] && [ -z "$(newer)" ] && ! [ "$site" -nt dist/deepoj ]; then exit 0; fi
work=build/binary
# not without need: installing takes the program away from whoever runs it here for a moment
.venv/bin/python -c 'import PyInstaller' 2>/dev/null ||
    .venv/bin/python -m pip install --disable-pip-version-check -q -e '.[binary]' >&2
.venv/bin/python -m PyInstaller --noconfirm --log-level ERROR --distpath "$work/dist" --workpath "$work/work" \
    deploy/binary/deepoj.spec >&2
archive=$work/deepoj.tar.gz
# not -9: four times as long, for half a percent
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$work/dist" -c deepoj | gzip -6n >"$archive"
digest=$(sha256sum "$archive" | cut -c1-32)
lines=$(($(wc -l <deploy/binary/stub.sh) + 1))
mkdir -p dist
sed -e "s/@DIGEST@/$digest/" -e "s/@LINES@/$lines/" deploy/binary/stub.sh | cat - "$archive" >dist/deepoj.new
chmod 755 dist/deepoj.new
mv dist/deepoj.new dist/deepoj
echo "dist/deepoj: $(du -h dist/deepoj | cut -f1)"
