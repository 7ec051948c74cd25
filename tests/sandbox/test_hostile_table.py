"""The hostile table, row by row; see ``hostile/table.py``. `make hostile` runs it many times in a row."""

from __future__ import annotations

import fcntl
import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from deepoj.adapters.sandbox import launcher as launching
from deepoj.words.sandbox import Isolation
from tests.host import PROC
from tests.once import made_once
from tests.sandbox.hostile.arena import Arena, beside, compile_hostile, inspection
from tests.sandbox.hostile.ring import Ring
from tests.sandbox.hostile.table import TABLE, Row


@pytest.fixture(scope="module")
def hostile() -> Path:
    ready = os.environ.get("DEEPOJ_TEST_PROGRAMS")
    if ready and Path(ready, "hostile-inspector").exists():
        return Path(ready)
    return made_once("hostile", compile_hostile)


@pytest.fixture(scope="module")
def ring(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """One box for all rows: the slot has been through everything that came before."""
    with pytest.MonkeyPatch.context() as patch:
        other = os.environ.get("DEEPOJ_TEST_LAUNCHER")
        if other:
            patch.setattr(launching, "LAUNCHER", Path(other))
        with Ring.open(hostile, tmp_path_factory.mktemp("arena")) as opened:
            yield opened


ROWS = [pytest.param(row, marks=pytest.mark.needs(PROC) if row.needs_proc else ()) for row in TABLE]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_hostile_program_gets_its_verdict_and_harms_nothing(ring: Ring, row: Row) -> None:
    assert ring.check(row) == []


async def test_arena_reports_each_kind_of_harm(hostile: Path, tmp_path: Path) -> None:
    async with Arena.open(hostile, tmp_path) as arena:
        assert await arena.harm() == []
        (tmp_path / "secret").write_text("another answer")
        name, _, value = arena.mark.partition("=")
        with (tmp_path / "input").open("rb") as leaked:
            fcntl.flock(leaked, fcntl.LOCK_EX)
            daemon = await trio.lowlevel.open_process(["/bin/sleep", "1000"], env={name: value})
            harm = arena.look().harm_since(arena.before)
            with trio.fail_after(60):  # it has its environment when it has begun
                while not any(line.startswith("marked") for line in harm):
                    await trio.sleep(0.01)
                    harm = arena.look().harm_since(arena.before)
            daemon.kill()
            await daemon.wait()
        kinds = {line.partition(":")[0] for line in harm}
        assert kinds == {"marked processes", "files", "locks", "descriptors"}

        other = await arena.box.run(inspection(hostile, "HOSTILE_MARK=another"))
        assert len(arena.compare(other, "another")) == 2, "one line of the environment, there and not there"


@pytest.mark.full
async def test_a_neighbour_sees_nothing_of_it(hostile: Path, tmp_path: Path) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails

    async with Arena.open(hostile, tmp_path, slots=2) as arena:
        rows = [row for row in TABLE if not row.shared and (arena.box.has_proc or not row.needs_proc)]
        if arena.box.isolation is Isolation.FULL:  # where processes are emulated; `make hostile` takes them all
            rows = random.Random(seed).sample(rows, len(rows) // 2)
        found = await beside(arena, rows, seed)

    assert found == [], f"seed {seed}"
