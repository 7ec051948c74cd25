#!/bin/sh
# Leaves a working .venv/bin/deepoj, with --test everything that the tests need as well, and with --test-languages also
# the tools of every language that can be judged.
#
# Idempotent, and quick when there is nothing to do: what was installed for these sources, at this place, is not
# looked at again. As root on a Debian-like system it installs missing system packages; otherwise it names each of them
# in a sentence and goes on with what works without. What apt, pip and gcc print goes to build/build.log. Exit codes: 0
# built, 2 something of this host is missing or too old, 3 packages could not be fetched, 130 interrupted.
set -eu

cd "$(dirname "$0")/../.."
with_tests=no
[ "${1-}" = "--test" ] || [ "${1-}" = "--test-languages" ] && with_tests=yes

VENV=.venv
LOG=build/build.log # not in .venv, which `venv --clear` empties
TEST_PACKAGES=tests/apt-packages.txt
[ "${1-}" = "--test-languages" ] && TEST_PACKAGES="$TEST_PACKAGES tests/apt-packages-languages.txt"

exec 3>&2 # for the reader; a step's stderr is the log
arrow='==>' on_terminal=no
if [ -t 3 ] && [ "${TERM-dumb}" != dumb ]; then
    on_terminal=yes
    [ -n "${NO_COLOR-}" ] || arrow=$(printf '\033[1m==>\033[0m')
fi
say() { printf '%s %s\n' "$arrow" "$*" >&3; }
fail() { code=$1; shift; printf 'deepoj: %s\n' "$*" >&3; exit "$code"; }

# --- steps that take a while ------------------------------------------------------------------------------------------

# Runs a command with its output in the log. A terminal shows the seconds and the last line of the log meanwhile.
step() { # TITLE COMMAND...
    title=$1; shift
    [ -n "${logging-}" ] || { mkdir -p build && : >"$LOG" && logging=yes; }
    began=$(date +%s) status=0
    if [ $on_terminal = yes ]; then
        follow "$title" &
        follower=$!
    else
        say "$title"
    fi
    "$@" >>"$LOG" 2>&1 || status=$?
    if [ $on_terminal = yes ]; then
        stop_following
        say "$title ($(($(date +%s) - began)) s)"
    fi
    return $status
}

follow() { # TITLE
    columns=$(stty size <&3 2>/dev/null) && columns=${columns#* } || columns=80
    [ "$columns" -gt 5 ] || columns=80 # 0: a terminal without a size, as a serial line
    seconds=0
    while kill -0 $$ 2>/dev/null; do # a killed shell stops nothing
        # Printable ASCII only: it can be cut anywhere, and no escape sequence of a tool gets through.
        last=$(tail -n 1 "$LOG" | tr -cd ' -~' | sed 's/^ */: /')
        printf '%s %.*s\033[K\r' "$arrow" $((columns - 5)) "$1 ($seconds s)$last" >&3
        sleep 1 >/dev/null 2>&1
        seconds=$((seconds + 1))
    done
}

stop_following() {
    [ -n "${follower-}" ] || return 0
    kill "$follower" 2>/dev/null || :
    wait "$follower" 2>/dev/null || :
    follower=
    printf '\r\033[K' >&3
}

# Ends as `fail` does, after the last lines of the log.
fail_with_log() { # CODE SENTENCE...
    # Only the last of pip's retry lines: all of them fill a screen.
    grep -v -e '^ *$' -e 'Retry(total=[1-9]' "$LOG" | tail -n 10 >&3
    code=$1; shift
    fail "$code" "$*; the lines above are the end of $LOG."
}

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

testlib=deepoj/judging/testlib/testlib.h
# Each build tries again, and says so: without it the program works, and refuses packages that need it.
fetch_testlib() {
    [ ! -e "$testlib" ] || return 0
    step "fetching testlib.h" "$VENV/bin/python" deploy/testlib_header.py ||
        { grep 'WARNING: testlib.h' "$LOG" || echo "deepoj: WARNING: testlib.h was not fetched: see $LOG"; } | tail -n 1 >&3
}

# The same for the scripts and styles of the web pages. The times are compared first: Python would take longer to start.
make_assets() {
    made=deepoj/web/static/manifest.json stale=no
    for source in deepoj/web/assets deepoj/web/assets/* deepoj/web/assets/*/* deepoj/web/assets/*/*/*; do
        [ ! -e "$source" ] || [ "$made" -nt "$source" ] || stale=yes
    done
    [ $stale = yes ] || return 0
    step "making the web pages' scripts and styles" "$VENV/bin/python" deploy/web_assets.py ||
        { grep 'WARNING: The scripts' "$LOG" || echo "deepoj: WARNING: the web pages' scripts were not made: see $LOG"; } | tail -n 1 >&3
}

inputs="pyproject.toml setup.py deploy/scripts/build.sh deploy/locks/run.txt"
for source in sandbox_ext/*; do
    [ -f "$source" ] && inputs="$inputs $source"
done
# shellcheck disable=SC2086
up_to_date "$VENV/.built" $inputs && built=yes || built=no
if [ $built = yes ]; then fetch_testlib; make_assets; fi
if [ $built = yes ] && [ $with_tests = no ]; then exit 0; fi
# `venv --clear` follows the link and deletes what it finds: the environment of another checkout.
if [ $built = no ] && [ -L "$VENV" ]; then
    fail 2 "$VENV is a symbolic link: remove it, and the build makes a directory of its own."
fi

# --- system packages --------------------------------------------------------------------------------------------------

can_install=no
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then can_install=yes; fi

# Some packages start a service when they are installed, which a build must not do.
forbid_services() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

allow_services() {
    [ -z "${policy-}" ] || rm -f "$policy"
    policy=
}

clean_up() { stop_following; allow_services; }
trap clean_up EXIT
trap 'stop_following; fail 130 "interrupted: the next build goes on from here."' INT TERM HUP

# Package lists may be absent (a new machine) or old: the second try is with new ones.
apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    options="-y -q --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0"
    # shellcheck disable=SC2086
    apt-get install $options "$@" || {
        echo "the package lists are missing or old: getting new ones"
        apt-get update -q -o DPkg::Lock::Timeout=300 && apt-get install $options "$@"
    }
}

install_packages() { # TITLE PACKAGE...
    title=$1; shift
    forbid_services
    step "$title $*" apt_install "$@" ||
        fail_with_log 3 "these Debian packages could not be installed: $*"
    allow_services
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
    [ -x /usr/bin/ld.mold ] ||
        missing mold "mold is missing, without which C and C++ are linked slowly, by ld"
    [ -x /usr/bin/pandoc ] ||
        missing pandoc "/usr/bin/pandoc is missing, without which problem statements are shown as their source"
    if [ -n "$wanted" ] && [ $can_install = yes ]; then
        # shellcheck disable=SC2086
        install_packages "installing" $wanted
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
    "$VENV/bin/python" -m pip install --disable-pip-version-check "$@"
}

not_installed() { # LOCK
    sentence="the packages of $1 could not be installed into $VENV"
    ! grep -q 'DO NOT MATCH THE HASHES' "$LOG" ||
        fail_with_log 3 "$sentence, since what was downloaded is not what was locked: nothing of it was installed"
    # the last retry of all
    ! grep -q 'Retrying (Retry(total=0' "$LOG" ||
        fail_with_log 3 "$sentence, since the package index cannot be reached"
    fail_with_log 3 "$sentence; where one has no wheel for $("$VENV/bin/python" -V) on $(uname -m), build with" \
        "Python 3.13 on x86_64 or aarch64, as in \`make PYTHON=/path/to/python build\`"
}

fresh_venv() {
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && good_python "$VENV/bin/python" &&
        grep -qF "$PWD/$VENV" "$VENV/bin/activate"
}

if [ $built = no ]; then
    if ! fresh_venv; then
        step "creating $VENV with $("$python" -V), $python" \
            "$python" -m venv --clear "$VENV" ||
            fail_with_log 2 "$VENV cannot be created with $python"
    fi
    step "installing deepoj's packages into $VENV" pip_install \
        --require-hashes -r deploy/locks/run.txt ||
        not_installed deploy/locks/run.txt
    fetch_testlib
    make_assets
    # without isolation, which would fetch a setuptools that no lock names
    step "building the sandbox" pip_install \
        --no-build-isolation --no-deps -e . ||
        fail_with_log 3 "deepoj could not be built into $VENV"
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
    # shellcheck disable=SC2086
    install_packages "installing for the tests:" $wanted
fi

if ! up_to_date "$VENV/.built-tests" "$VENV/.built" deploy/locks/dev.txt; then
    step "installing the tests' Python packages into $VENV" pip_install \
        --require-hashes -r deploy/locks/run.txt -r deploy/locks/dev.txt ||
        not_installed deploy/locks/dev.txt
    printf '%s\n' "$kind" >"$VENV/.built-tests"
fi

checker=build/html-checker/installed-lock.json
if ! cmp -s tests/web/checker/package-lock.json $checker; then
    step "installing the HTML checker" "$VENV/bin/python" -m tests.web.html_checker ||
        fail_with_log 3 "the HTML checker of tests/web could not be installed with npm"
fi
