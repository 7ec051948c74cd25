"""``deploy/scripts/build.sh``: does nothing when there is nothing to do, and names what is missing."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INPUTS = ("pyproject.toml", "setup.py", "sandbox_ext/launcher.c", "deploy/locks/run.txt")


TESTLIB = "deepoj/judging/testlib/testlib.h"
MANIFEST = "deepoj/web/static/manifest.json"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a copy of the tree, with a virtual environment as a build leaves it."""
    tree = tmp_path / "checkout"
    (tree / "deploy" / "scripts").mkdir(parents=True)
    (tree / "deploy" / "locks").mkdir()
    (tree / "sandbox_ext").mkdir()
    shutil.copy(ROOT / "deploy" / "scripts" / "build.sh", tree / "deploy" / "scripts")
    for name in INPUTS:
        (tree / name).write_text("")
    (tree / TESTLIB).parent.mkdir(parents=True)
    (tree / TESTLIB).write_text("as it was fetched")
    (tree / ".venv" / "bin").mkdir(parents=True)
    (tree / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tree / ".venv" / ".built").write_text(f"{tree}\n")
    age(tree, "deploy/scripts/build.sh", *INPUTS)
    return tree


def age(tree: Path, *names: str) -> None:
    """Make files clearly older than the stamp of the build."""
    built = (tree / ".venv" / ".built").stat().st_mtime
    for name in names:
        os.utime(tree / name, (built - 10, built - 10))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH of an ordinary user without a compiler."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dirname", "cat", "ls"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    (tools / "id").write_text("#!/bin/sh\necho 1000\n")
    (tools / "id").chmod(0o755)
    return tools


def build(tree: Path, path: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(tree / "deploy" / "scripts" / "build.sh"), *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PATH": str(path), "PYTHON": sys.executable, **environment},
    )


def test_nothing_to_do_is_silent(checkout: Path, bare: Path) -> None:
    done = build(checkout, bare)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("changed", [*INPUTS, "deploy/scripts/build.sh"])
def test_a_changed_source_is_built_and_what_is_missing_named(checkout: Path, bare: Path, changed: str) -> None:
    later = (checkout / ".venv" / ".built").stat().st_mtime + 10
    os.utime(checkout / changed, (later, later))
    done = build(checkout, bare)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert "deepoj: The C compiler gcc is missing, with which the sandbox is built (Debian package gcc)." in lines
    assert "deepoj: The C++ compiler g++ is missing, without which C++ cannot be judged (Debian package g++)." in lines
    assert lines[-1] == "deepoj: the sandbox cannot be built without what is named above."


def test_a_moved_checkout_is_built_again(checkout: Path, bare: Path) -> None:
    moved = checkout.rename(checkout.with_name("moved"))
    assert build(moved, bare).returncode == 2


def test_another_kind_of_build_is_built(checkout: Path, bare: Path) -> None:
    assert build(checkout, bare, DEEPOJ_SANITIZE="1").returncode == 2
    (checkout / ".venv" / ".built").write_text(f"{checkout} sanitized\n")
    assert build(checkout, bare, DEEPOJ_SANITIZE="1").returncode == 0
    assert build(checkout, bare).returncode == 2


def test_a_broken_environment_is_built_again(checkout: Path, bare: Path) -> None:
    (checkout / ".venv" / "bin" / "python").unlink()
    assert build(checkout, bare).returncode == 2


def test_an_environment_of_another_checkout_is_refused_and_not_emptied(checkout: Path, bare: Path) -> None:
    theirs = (checkout / ".venv").rename(checkout.with_name("theirs"))
    (checkout / ".venv").symlink_to(theirs)
    (theirs / ".built").write_text("/of/another/checkout\n")
    before = sorted(theirs.rglob("*"))
    done = build(checkout, bare)
    assert (done.returncode, sorted(theirs.rglob("*"))) == (2, before)
    assert done.stderr == "deepoj: .venv is a symbolic link: remove it, and the build makes a directory of its own.\n"


def test_tests_fail_rather_than_skip_where_a_system_package_is_missing(checkout: Path, bare: Path) -> None:
    (checkout / "tests").mkdir()
    (checkout / "tests" / "apt-packages.txt").write_text("# a comment\n\nhello  hello\nls  ls\nslash  /*\n")
    done = build(checkout, bare, "--test")
    assert done.returncode == 2
    assert done.stderr == "deepoj: the tests need these Debian packages, which only root can install: hello.\n"


@pytest.fixture
def changed(checkout: Path) -> Path:
    """The tree with a newer source and a fake Python, whose pip prints numbers and the file ``words`` and fails.

    If the file ``wait`` exists, it waits instead of failing.
    """
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text(
        f"""#!/bin/sh
case "$*" in
*" install "*) seq 30; cat words; [ ! -e wait ] || exec sleep 600; exit 1 ;;
*--version) exit 0 ;;
esac
exec {sys.executable} "$@"
"""
    )
    python.chmod(0o755)
    (checkout / "words").write_text("cannot install\n")
    (python.parent / "activate").write_text(f"VIRTUAL_ENV={checkout}/.venv\n")
    later = (checkout / ".venv" / ".built").stat().st_mtime + 10
    os.utime(checkout / "setup.py", (later, later))
    return checkout


@pytest.fixture
def user_path(tmp_path: Path) -> Path:
    """A PATH of an ordinary user with everything that a build needs; compilers are not called."""
    tools = tmp_path / "user-tools"
    tools.mkdir()
    names = [
        "cat",
        "cut",
        "date",
        "dirname",
        "grep",
        "mkdir",
        "sed",
        "seq",
        "sh",
        "sleep",
        "stty",
        "tail",
        "tr",
        "uname",
    ]
    for name in [*names, "true"]:
        found = shutil.which(name)
        assert found, name
        (tools / name).symlink_to(found)
    for name in ("gcc", "g++"):
        (tools / name).symlink_to(tools / "true")
    (tools / "id").write_text("#!/bin/sh\necho 1000\n")
    (tools / "id").chmod(0o755)
    return tools


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("cannot install", "; where one has no wheel for Python 3."),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            ", since what was downloaded is not what was locked",
        ),
        ("WARNING: Retrying (Retry(total=0)): /simple/", ", since the package index cannot be reached; the lines"),
    ],
)
def test_failed_install_shows_the_end_of_the_log_and_names_it(
    changed: Path, user_path: Path, words: str, why: str
) -> None:
    (changed / "words").write_text(f"{words}\n")
    done = build(changed, user_path)
    assert done.returncode == 3
    title, *log_end, sentence = done.stderr.splitlines()
    assert title == "==> installing deepoj's packages into .venv"
    assert log_end == [*map(str, range(22, 31)), words]
    assert sentence.startswith(f"deepoj: the packages of deploy/locks/run.txt could not be installed into .venv{why}")
    assert sentence.endswith("; the lines above are the end of build/build.log.")
    assert (changed / "build" / "build.log").read_text().startswith("1\n2\n3\n")


@pytest.mark.parametrize("fetches", [False, True], ids=["cannot be fetched", "fetched"])
def test_build_without_testlib_tries_again_and_says_so(checkout: Path, user_path: Path, fetches: bool) -> None:
    (checkout / TESTLIB).unlink()
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    does = f": >{TESTLIB}" if fetches else "echo 'deepoj: WARNING: testlib.h could not be had.' >&2; exit 3"
    python.write_text(f"#!/bin/sh\ncase $1 in deploy/testlib_header.py) {does} ;; esac\n")
    python.chmod(0o755)

    done = build(checkout, user_path)

    assert done.returncode == 0
    warned = [] if fetches else ["deepoj: WARNING: testlib.h could not be had."]
    assert done.stderr.splitlines() == ["==> fetching testlib.h", *warned]
    assert build(checkout, user_path).stderr.splitlines() == ([] if fetches else ["==> fetching testlib.h", *warned])


@pytest.mark.parametrize("works", [False, True], ids=["cannot be made", "made"])
@pytest.mark.parametrize("changed", ["deepoj/web/assets/js/app.js", "deepoj/web/assets/js"])
def test_changed_sources_of_the_pages_are_made_again_until_that_works(
    checkout: Path, user_path: Path, changed: str, works: bool
) -> None:
    """A directory is newer when a file was removed from it."""
    manifest = checkout / MANIFEST
    (checkout / "deepoj/web/assets/js").mkdir(parents=True)
    (checkout / "deepoj/web/assets/js/app.js").write_text("")
    manifest.parent.mkdir()
    manifest.write_text("{}")
    age(checkout, "deepoj/web/assets", "deepoj/web/assets/js", "deepoj/web/assets/js/app.js")
    assert build(checkout, user_path).stderr == ""

    os.utime(manifest, (1, 1))
    age(checkout, *(name for name in ("deepoj/web/assets/js/app.js", "deepoj/web/assets/js") if name != changed))
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    does = f": >{MANIFEST}" if works else "echo 'deepoj: WARNING: The scripts could not be made.' >&2; exit 3"
    python.write_text(f"#!/bin/sh\ncase $1 in deploy/web_assets.py) {does} ;; esac\n")
    python.chmod(0o755)

    done = build(checkout, user_path)

    warned = [] if works else ["deepoj: WARNING: The scripts could not be made."]
    title = "==> making the web pages' scripts and styles"
    assert (done.returncode, done.stderr.splitlines()) == (0, [title, *warned])
    assert build(checkout, user_path).stderr.splitlines() == ([] if works else [title, *warned])


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Our end of a pseudo-terminal, and the program's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def read_until(descriptor: int, text: str) -> str:
    """Read a terminal until ``text`` is in its output. AssertionError after 60 s."""
    output, deadline = "", time.monotonic() + 60
    while text not in output:
        assert select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0], output
        output += os.read(descriptor, 4096).decode()
    return output


def test_interrupted_install_on_a_terminal_ends_with_one_sentence(
    changed: Path, user_path: Path, terminal: tuple[int, int]
) -> None:
    (changed / "wait").touch()
    ours, theirs = terminal
    environment = {"PATH": str(user_path), "PYTHON": sys.executable, "TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(
        ["/bin/sh", str(changed / "deploy" / "scripts" / "build.sh")],
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env=environment,
    )
    try:
        # the last line of the log stands beside the seconds
        read_until(ours, "into .venv (0 s)")
        read_until(ours, "s): cannot install\x1b[K\r")
        os.killpg(process.pid, signal.SIGINT)
        ending = read_until(ours, "\n").rpartition("\r\x1b[K")[2]
        assert ending == "deepoj: interrupted: the next build goes on from here.\r\n"
        assert process.wait(60) == 130
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)


def test_build_on_a_terminal_of_no_size_shows_lines_of_80_columns(
    changed: Path, user_path: Path, terminal: tuple[int, int]
) -> None:
    (changed / "words").write_text("long " * 100 + "\n")
    (changed / "wait").touch()
    ours, theirs = terminal
    termios.tcsetwinsize(theirs, (0, 0))
    environment = {"PATH": str(user_path), "PYTHON": sys.executable, "TERM": "xterm", "NO_COLOR": "1"}
    command = ["/bin/sh", str(changed / "deploy" / "scripts" / "build.sh")]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, start_new_session=True, env=environment) as process:
        try:
            read_until(ours, "long long")
            assert max(map(len, read_until(ours, "long long").split("\r"))) < 90
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize(("package", "code"), [("rich", 0), ("ritch", 2)])
def test_lock_of_a_package_that_is_in_no_lock_is_refused(tmp_path: Path, package: str, code: int) -> None:
    for name in ("deploy/scripts", "deploy/locks", ".venv/bin"):
        (tmp_path / name).mkdir(parents=True)
    script = shutil.copy(ROOT / "deploy" / "scripts" / "lock.sh", tmp_path / "deploy" / "scripts")
    for lock in ("run", "binary", "web", "dev"):
        (tmp_path / "deploy" / "locks" / f"{lock}.txt").write_text("rich==1.0\n")
    uv = tmp_path / ".venv" / "bin" / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "PACKAGE": package}
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    assert (f"PACKAGE={package}" in done.stderr) is (code != 0)
