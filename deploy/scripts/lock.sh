#!/bin/sh
# Writes deploy/locks (make lock): each package that pyproject.toml asks for, directly or not, at one version and with the
# hashes of all its files. One lock serves x86-64 and ARM64, CPython 3.13 and newer. Takes the newest versions that are
# allowed; with PACKAGE=name only that package moves. testlib.txt is not written: deploy/testlib_header.py has a hash, too.
set -eu
cd "$(dirname -- "$0")/../.."
[ -x .venv/bin/uv ] || deploy/scripts/build.sh --test

if [ -n "${PACKAGE-}" ]; then moved="--upgrade-package $PACKAGE"; else moved=--upgrade; fi

# Wheels alone: what builds itself while it is installed fetches packages that no lock names.
compile() { # LOCK OPTION...
    lock=$1; shift
    # shellcheck disable=SC2086
    .venv/bin/uv pip compile --quiet --no-config --universal --python-version 3.13 --generate-hashes \
        --only-binary :all: --emit-build-options --annotation-style line --custom-compile-command "make lock" \
        $moved "$@" --output-file "$lock" pyproject.toml
    # uv ends the file with a comment that lists what was left out
    sed -i '/^$/{N;/\n# The following packages were excluded/Q}' "$lock"
}

compile deploy/locks/run.txt --extra build
# what run.txt has stands there alone: binary.txt and dev.txt are installed together with it
locked=$(sed -n 's/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p' deploy/locks/run.txt)
# shellcheck disable=SC2086
compile deploy/locks/binary.txt --extra binary --constraint deploy/locks/run.txt $locked
# shellcheck disable=SC2086
compile deploy/locks/web.txt --extra web --constraint deploy/locks/run.txt $locked
# shellcheck disable=SC2086
compile deploy/locks/dev.txt --extra dev --constraint deploy/locks/run.txt $locked

# uv says nothing of a name that it does not come across
[ -z "${PACKAGE-}" ] || grep -q "^$PACKAGE==" deploy/locks/*.txt || {
    echo "deepoj: nothing was locked for PACKAGE=$PACKAGE: no file of deploy/locks has that name; write it as they do." >&2
    exit 2
}
