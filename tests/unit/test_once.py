"""Directories that the workers of a run of pytest share."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import once
from tests.once import made_once

#: makes a directory with its own pid, and says whose pid it found there
MAKER = """
import os, sys
from tests.once import made_once
sys.stdout.write((made_once("one", lambda place: (place / "pid").write_text(str(os.getpid()))) / "pid").read_text())
"""


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Path]]]:
    """A run of its own. Return the directories of runs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "a-run")
    once._room.cache_clear()
    yield lambda: list(tmp_path.glob("ojonce-*"))
    once._room.cache_clear()


def test_directory_is_made_by_the_first_that_asks(tmp_path: Path) -> None:
    mine = made_once("one", lambda place: (place / "pid").write_text(str(os.getpid())))
    env = os.environ | {"TMPDIR": str(tmp_path)}
    other = subprocess.run(
        [sys.executable, "-c", MAKER], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    assert (mine / "pid").read_text() == other.stdout == str(os.getpid())


def test_directory_that_could_not_be_made_is_made_by_the_next() -> None:
    def fail(place: Path) -> None:
        (place / "half").touch()
        raise ValueError

    with pytest.raises(ValueError):
        made_once("one", fail)
    assert list(made_once("one", lambda place: (place / "whole").touch()).iterdir()) == [
        made_once("one", fail) / "whole"
    ]


def test_last_one_that_leaves_removes_the_directories(room: Callable[[], list[Path]]) -> None:
    made_once("one", Path.touch)
    mine = once._room()
    once._room.cache_clear()
    another = once._room()
    once._leave(*mine)
    assert len(room()) == 1
    fcntl.flock(mine[1], fcntl.LOCK_UN)
    once._leave(*another)
    assert room() == []
