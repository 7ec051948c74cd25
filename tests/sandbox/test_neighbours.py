"""What a program does to its neighbour in the other slot, and what a host that is busy with others does to a run.

``python -m tests.neighbours`` makes a table of it, with many rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepoj.adapters.linux_box import LinuxBox
from tests.neighbours import KINDS, Figures, Street, compile_hogs

ROUNDS = 3


@pytest.fixture(scope="module")
def hogs(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Path:
    if (programs / "hogs").exists():
        return programs
    directory = tmp_path_factory.mktemp("hogs")
    compile_hogs(directory)
    return directory


@pytest.fixture
async def street(box: LinuxBox, hogs: Path, tmp_path: Path) -> Street:
    street = Street(box, hogs, tmp_path)
    await street.calibrate()
    return street


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hog_does_not_make_its_neighbour_fail(street: Street, kind: str) -> None:
    figures = Figures()

    for _ in range(ROUNDS):
        await street.round(kind, figures)

    assert figures.wrong == []
