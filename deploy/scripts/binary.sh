#!/bin/sh
# dist/deepoj: the whole program in one file, for hosts without Python (make binary), and beside it dist/deepoj.cdx.json:
# what is in it. It needs glibc as new as this host's. Does nothing when both are newer than all that goes into them.
set -eu
cd "$(dirname -- "$0")/../.."
work=build/binary
venv=$work/venv
# directories are asked too: they change when a file is removed
newer() {
    find deepoj sandbox_ext sql pyproject.toml setup.py deploy/locks deploy/binary deploy/scripts/binary.sh deploy/testlib_header.py \
        deploy/web_assets.py -name __pycache__ -prune -o -newer dist/deepoj -print
}
if [ -x dist/deepoj ] && [ -e dist/deepoj.cdx.json ] && [ -z "$(newer)" ]; then exit 0; fi

# An environment of its own: what else is in .venv would go in, and an installation there breaks a program that starts
# from it meanwhile.
pip_install() { "$venv/bin/python" -m pip install --disable-pip-version-check -q "$@" >&2; }
mkdir -p "$work"
.venv/bin/python -m venv --clear "$venv" >&2
pip_install --report "$work/installed.json" --require-hashes -r deploy/locks/run.txt -r deploy/locks/binary.txt
# setuptools never empties its directory: a module that is gone from the source would be in there still
rm -rf build/lib.*
# without these the file is made all the same, and that says so
.venv/bin/python deploy/testlib_header.py || :
.venv/bin/python deploy/web_assets.py || :
pip_install --no-build-isolation --no-deps .
"$venv/bin/pyinstaller" --noconfirm --log-level ERROR --distpath "$work/dist" --workpath "$work/work" \
    deploy/binary/deepoj.spec >&2
archive=$work/deepoj.tar.gz
# not -9: four times as long, for half a percent
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$work/dist" -c deepoj | gzip -6n >"$archive"
digest=$(sha256sum "$archive" | cut -c1-32)
lines=$(($(wc -l <deploy/binary/stub.sh) + 1))
mkdir -p dist
sed -e "s/@DIGEST@/$digest/" -e "s/@LINES@/$lines/" deploy/binary/stub.sh | cat - "$archive" >dist/deepoj.new
chmod 755 dist/deepoj.new
"$venv/bin/python" deploy/binary/sbom.py "$work" dist/deepoj.new >dist/deepoj.cdx.json.new
mv dist/deepoj.cdx.json.new dist/deepoj.cdx.json
mv dist/deepoj.new dist/deepoj
echo "dist/deepoj: $(du -h dist/deepoj | cut -f1)"
