"""``deploy/scripts/build.sh``: does nothing when there is nothing to do, and names what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INPUTS = ("pyproject.toml", "setup.py", "sandbox_ext/launcher.c", "deploy/locks/run.txt")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a tree of its own, with a virtual environment as it stands after a build."""
    tree = tmp_path / "checkout"
    (tree / "deploy" / "scripts").mkdir(parents=True)
    (tree / "deploy" / "locks").mkdir()
    (tree / "sandbox_ext").mkdir()
    shutil.copy(ROOT / "deploy" / "scripts" / "build.sh", tree / "deploy" / "scripts")
    for name in INPUTS:
        (tree / name).write_text("")
    (tree / ".venv" / "bin").mkdir(parents=True)
    (tree / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tree / ".venv" / ".built").write_text(f"{tree}\n")
    age(tree, "deploy/scripts/build.sh", *INPUTS)
    return tree


def age(tree: Path, *names: str) -> None:
    """Makes files clearly older than the stamp."""
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


def test_tests_fail_rather_than_skip_where_a_system_package_is_missing(checkout: Path, bare: Path) -> None:
    (checkout / "tests").mkdir()
    (checkout / "tests" / "apt-packages.txt").write_text("# a comment\n\nhello  hello\nls  ls\nslash  /*\n")
    done = build(checkout, bare, "--test")
    assert done.returncode == 2
    assert done.stderr == "deepoj: the tests need these Debian packages, which only root can install: hello.\n"
