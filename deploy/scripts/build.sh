#!/bin/sh
# Leaves a working .venv/bin/deepoj, with --test everything that the tests need as well, and with --test-languages also
# the tools of every language that can be judged.
#
# Idempotent, and quick when there is nothing to do: what was installed for these sources, at this place, is not
# looked at again. As root on a Debian-like system it installs missing system packages; otherwise it names each of them
# in a sentence and goes on with what works without. Exit codes: 0 built, 2 something of this host is missing or too
# old, 3 packages could not be fetched.
set -eu

cd "$(dirname "$0")/../.."
with_tests=no
[ "${1-}" = "--test" ] || [ "${1-}" = "--test-languages" ] && with_tests=yes

VENV=.venv
TEST_PACKAGES=tests/apt-packages.txt
[ "${1-}" = "--test-languages" ] && TEST_PACKAGES="$TEST_PACKAGES tests/apt-packages-languages.txt"

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
[ -t 2 ] || say() { printf '==> %s\n' "$*" >&2; }
fail() { code=$1; shift; printf 'deepoj: %s\n' "$*" >&2; exit "$code"; }

# --- is there anything to do? -----------------------------------------------------------------------------------------

# The stamp names the place too: a virtual environment does not survive being moved or copied. And the kind of build.
kind=$PWD
[ "${DEEPOJ_SANITIZE-}" != 1 ] || kind="$PWD sanitized"
up_to_date() { # STAMP INPUT...
    stamp=$1; shift
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$kind" ] || return 1
    for input in "$@"; do
        [ "$stamp" -nt "$input" ] || return 1
    done
    "$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null || return 1
}

inputs="pyproject.toml setup.py deploy/scripts/build.sh deploy/locks/run.txt"
for source in sandbox_ext/*; do
    [ -f "$source" ] && inputs="$inputs $source"
done
# shellcheck disable=SC2086
up_to_date "$VENV/.built" $inputs && built=yes || built=no
if [ $built = yes ] && [ $with_tests = no ]; then exit 0; fi

# --- system packages --------------------------------------------------------------------------------------------------

can_install=no
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then can_install=yes; fi

restore_policy() { [ -z "${policy-}" ] || rm -f "$policy"; }
trap restore_policy EXIT
trap 'exit 130' INT TERM HUP

# Package lists may be absent (a new machine) or old: the second try is with new ones.
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    # Some packages start a service when they are installed; nobody asked for that.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    options="-y -q --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0"
    # shellcheck disable=SC2086
    apt-get install $options "$@" >&2 || {
        say "the package lists are missing or old: getting new ones"
        apt-get update -q -o DPkg::Lock::Timeout=300 >&2 && apt-get install $options "$@" >&2
    } || fail 3 "these packages could not be installed (see above): $*."
    restore_policy; policy=
}

good_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null; }

find_python() {
    for python in "${PYTHON-}" python3.13 /usr/bin/python3 python3 python3.14; do
        if [ -n "$python" ] && good_python "$python"; then command -v "$python"; return; fi
    done
    found=$(python3 -V 2>&1 || echo "no Python 3")
    fail 2 "Python 3.13 or newer is needed, and there is only $found: install one, or name it as in" \
        "\`make PYTHON=/path/to/python build\`."
}

has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

wanted=
missing() { # PACKAGE SENTENCE...
    package=$1; shift
    wanted="$wanted $package"
    [ $can_install = yes ] || printf 'deepoj: %s (Debian package %s).\n' "$*" "$package" >&2
}

if [ $built = no ]; then
    python=$(find_python)
    has_venv ||
        missing python3-venv "The venv module of $python is missing, without which nothing can be installed"
    "$python" -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_paths()["include"] + "/Python.h"))' ||
        missing python3-dev "Python.h of $python is missing, with which the sandbox is built"
    command -v gcc >/dev/null || missing gcc "The C compiler gcc is missing, with which the sandbox is built"
    [ -x /usr/bin/python3 ] ||
        missing python3 "/usr/bin/python3 is missing, without which Python cannot be judged"
    command -v g++ >/dev/null || missing g++ "The C++ compiler g++ is missing, without which C++ cannot be judged"
    if [ -n "$wanted" ] && [ $can_install = yes ]; then
        say "installing$wanted"
        # shellcheck disable=SC2086
        apt_install $wanted
    fi
    has_venv || fail 2 "nothing can be built without a venv module for $python: install it, or use another Python with" \
        "\`make PYTHON=/path/to/python build\`."
    case "$can_install $wanted " in
        no*' gcc '* | no*' python3-dev '*) fail 2 "the sandbox cannot be built without what is named above." ;;
    esac
fi

# --- Python packages and the sandbox ----------------------------------------------------------------------------------

pip_install() {
    # Warnings about pip itself are noise here.
    "$VENV/bin/python" -m pip install --disable-pip-version-check "$@" >&2
}

not_installed() { # LOCK
    echo "the packages of $1 could not be installed into $VENV (see above): check the network or, where one has no" \
        "wheel for $("$VENV/bin/python" -V) on $(uname -m), build with Python 3.13 on x86_64 or aarch64, as in" \
        "\`make PYTHON=/path/to/python build\`."
}

fresh_venv() {
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && good_python "$VENV/bin/python" &&
        grep -qF "$PWD/$VENV" "$VENV/bin/activate"
}

if [ $built = no ]; then
    if ! fresh_venv; then
        say "creating $VENV with $python ($("$python" -V))"
        "$python" -m venv --clear "$VENV" >&2 ||
            fail 2 "$VENV cannot be created with $python (see above)."
    fi
    say "installing deepoj and what it needs into $VENV"
    pip_install --require-hashes -r deploy/locks/run.txt || fail 3 "$(not_installed deploy/locks/run.txt)"
    # without isolation, which would fetch a setuptools that no lock names
    pip_install --no-build-isolation --no-deps -e . || fail 3 "deepoj could not be built into $VENV (see above)."
    "$VENV/bin/deepoj" --version >/dev/null || fail 2 "$VENV/bin/deepoj does not start (see above)."
    printf '%s\n' "$kind" >"$VENV/.built"
    say "$VENV/bin/deepoj is ready"
fi
[ $with_tests = yes ] || exit 0

# --- what the tests need ----------------------------------------------------------------------------------------------

# A line: the package, then a command or a path (with wildcards) that shows it is there.
# shellcheck disable=SC2086
lines=$(cat $TEST_PACKAGES)
wanted=
while read -r package probe; do
    case $package in '' | '#'*) continue ;; esac
    case $probe in
        /*) # shellcheck disable=SC2086
            ls $probe >/dev/null 2>&1 || wanted="$wanted $package" ;;
        *) command -v "$probe" >/dev/null || wanted="$wanted $package" ;;
    esac
done <<EOF
$lines
EOF
if [ -n "$wanted" ]; then
    [ $can_install = yes ] || fail 2 "the tests need these Debian packages, which only root can install:$wanted."
    say "installing for the tests:$wanted"
    # shellcheck disable=SC2086
    apt_install $wanted
fi

if ! up_to_date "$VENV/.built-tests" "$VENV/.built" deploy/locks/dev.txt; then
    say "installing the tests' Python packages into $VENV"
    pip_install --require-hashes -r deploy/locks/run.txt -r deploy/locks/dev.txt ||
        fail 3 "$(not_installed deploy/locks/dev.txt)"
    printf '%s\n' "$kind" >"$VENV/.built-tests"
fi
