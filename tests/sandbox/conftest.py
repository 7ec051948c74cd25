"""The box and the programs of the sandbox tests.

The host's compiler compiles the programs once a session. ``DEEPOJ_TEST_PROGRAMS`` names a directory with compiled
programs: a virtual machine and an unprivileged user run the same tests with the programs of the host.
``DEEPOJ_TEST_ISOLATION`` is the level that the box must have, ``DEEPOJ_TEST_LAUNCHER`` another launcher to use.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deepoj.adapters.sandbox import launcher as launching
from deepoj.adapters.sandbox import talk
from deepoj.adapters.sandbox.box import LinuxBox
from tests.once import made_once
from tests.sandbox.bench import Bench, open_box
from tests.sandbox.lent import LentBox, lent_box

HERE = Path(__file__).parent


def compile_programs(directory: Path) -> None:
    """Compile ``probe``, ``probe-static``, ``ordinary``, ``talk`` and ``counted`` into the directory."""
    commands = (
        ("gcc", "-O1", "-pthread", "-o", directory / "probe", HERE / "probe.c"),
        ("gcc", "-O1", "-pthread", "-static", "-o", directory / "probe-static", HERE / "probe.c"),
        ("g++", "-O0", "-pthread", "-o", directory / "ordinary", HERE / "ordinary.cpp"),
        ("gcc", "-O1", "-pthread", "-o", directory / "talk", HERE / "talk.c"),
        ("gcc", "-O1", "-pthread", "-o", directory / "counted", HERE / "counted.c"),
    )
    for command in commands:
        subprocess.run(command, check=True, timeout=600)


def use_launcher(patch: pytest.MonkeyPatch) -> None:
    other = os.environ.get("DEEPOJ_TEST_LAUNCHER")
    if other:
        patch.setattr(launching, "LAUNCHER", Path(other))


@pytest.fixture(autouse=True)
def launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    use_launcher(monkeypatch)


@pytest.fixture(scope="module")
def lent() -> Iterator[LentBox]:
    """A box for all tests of a module that only run programs."""
    with pytest.MonkeyPatch.context() as patch:
        use_launcher(patch)
        with lent_box(2) as opened:
            yield opened


@pytest.fixture(scope="session")
def programs() -> Path:
    ready = os.environ.get("DEEPOJ_TEST_PROGRAMS")
    return Path(ready) if ready else made_once("programs", compile_programs)


@pytest.fixture
async def box() -> AsyncIterator[LinuxBox]:
    async with open_box(2) as opened:
        yield opened


@pytest.fixture
def bench(box: LinuxBox, programs: Path, tmp_path: Path) -> Bench:
    return Bench(box, programs, tmp_path)


@pytest.fixture
def no_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no cgroup count the CPU time of boxes that are opened later."""
    wrapper = tmp_path / "launcher"
    wrapper.write_text(f'#!/bin/sh\nexec {launching.LAUNCHER} --no-counting "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(launching, "LAUNCHER", wrapper)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a launcher answer late: on a loaded host it would be replaced, which looks like a crash of it.

    Tests of that deadline set it themselves.
    """
    monkeypatch.setattr(launching, "HELLO_S", 120.0)
    monkeypatch.setattr(launching, "LEAVE_S", 120.0)
    monkeypatch.setattr(talk, "CANCEL_S", 120.0)
