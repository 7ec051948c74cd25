"""The hostile table many times in a row, as a table for people: `make hostile`.

    python -m tests.hostile --rounds 20          here, at the level of this host
    python -m tests.hostile --rounds 20 --vm     in a virtual machine, at level full

Each round runs every row on one slot in an order of its own, then all of them again beside an innocent neighbour. The
seed of the orders is printed. Exit 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import trio
from rich.console import Console
from rich.table import Table

from tests.sandbox.hostile.arena import Arena, beside, compile_hostile
from tests.sandbox.hostile.table import FINDINGS, TABLE, Row

REPOSITORY = Path(__file__).parents[1]
NEIGHBOUR = "(all of them beside a neighbour)"
#: for starting the machine and for the round that is under way when its time is up
MACHINE_S = 900.0


@dataclass(slots=True)
class Score:
    """How one row fared, a mark for each round."""

    marks: str = ""
    seconds: list[float] = field(default_factory=list)

    def add(self, good: bool, seconds: float) -> None:
        self.marks += "." if good else "F"
        self.seconds.append(seconds)


@dataclass(slots=True)
class Tally:
    """All rows, and what was wrong."""

    console: Console
    scores: dict[str, Score] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    isolation: str = ""

    def add(self, name: str, number: int, found: Sequence[str], seconds: float) -> None:
        self.scores.setdefault(name, Score()).add(not found, seconds)
        self.wrong += [f"round {number}, {name}: {line}" for line in found]
        for line in self.wrong[len(self.wrong) - len(found) :]:  # at once: what follows may take an hour, or hang
            self.console.print(f"WRONG {line}", markup=False, highlight=False)


class Playground:
    """Fresh directories for arenas, which watch theirs as a whole."""

    def __init__(self, programs: Path, scratch: Path) -> None:
        self._programs = programs
        self._scratch = scratch
        self._count = 0

    def arena(self, slots: int) -> tuple[Path, Path, int]:
        self._count += 1
        directory = self._scratch / str(self._count)
        directory.mkdir()
        return self._programs, directory, slots


async def play_rows(ground: Playground, rows: Sequence[Row], number: int, tally: Tally) -> None:
    """Each row on the slot that has been through the ones before; after a failure on a fresh one."""
    async with AsyncExitStack() as stack:
        arena: Arena | None = None
        for row in rows:
            if arena is None:
                arena = await stack.enter_async_context(Arena.open(*ground.arena(1)))
                tally.isolation = str(arena.box.isolation)
            began = time.monotonic()
            found = await arena.check(row)
            tally.add(row.name, number, found, time.monotonic() - began)
            if found:
                await stack.aclose()
                arena = None


async def play(rounds: int, seconds: float, seed: int, ground: Playground, tally: Tally) -> None:
    """Rounds until they are done or the seconds are used up; one at least."""
    deadline = time.monotonic() + seconds
    for number in range(1, rounds + 1):
        order = list(TABLE)
        random.Random(seed + number).shuffle(order)
        began = time.monotonic()
        await play_rows(ground, order, number, tally)
        middle = time.monotonic()
        async with Arena.open(*ground.arena(2)) as arena:
            found = await beside(arena, [row for row in TABLE if not row.shared], seed + number)
        tally.add(NEIGHBOUR, number, found, time.monotonic() - middle)
        tally.console.print(f"round {number}: {time.monotonic() - began:.1f} s, {len(tally.wrong)} wrong so far")
        if time.monotonic() > deadline:
            break


async def look_at_findings(ground: Playground, console: Console) -> None:
    """What is known not to hold: whether that is still so. Decides nothing."""
    tally = Tally(Console(quiet=True))
    await play_rows(ground, FINDINGS, 0, tally)
    for row in FINDINGS:
        state = "closed, take it into the table" if "F" not in tally.scores[row.name].marks else "open"
        console.print(f"finding: {row.name}: {state} ({row.why})")
    for row in (row for row in TABLE if row.shared):
        async with Arena.open(*ground.arena(2)) as arena:
            found = await beside(arena, [row], 0, but=())
        state = "open" if found else "closed"
        console.print(f"finding: {row.name}, felt by the neighbour: {state} (counted by user, and slots share one)")


def show(tally: Tally) -> None:
    """Rows by rounds, then what was wrong once more."""
    table = Table("row", "expected", "rounds", "mean s", "max s", title=f"hostile table at {tally.isolation}")
    expected = {row.name: " or ".join(row.expected) for row in TABLE}
    for name, score in tally.scores.items():
        mean = sum(score.seconds) / len(score.seconds)
        style = "red" if "F" in score.marks else None
        figures = (f"{mean:.2f}", f"{max(score.seconds):.2f}")
        table.add_row(name, expected.get(name, ""), score.marks, *figures, style=style)
    tally.console.print(table)
    for line in tally.wrong:
        tally.console.print(f"WRONG {line}", markup=False, highlight=False)


def in_machine(rounds: int, seconds: float, seed: int) -> int:
    """The same within a virtual machine, with what was compiled here."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as directory:
        compile_hostile(Path(directory))
        inner = [
            sys.executable, "-m", "tests.hostile", "--programs", directory, "--rounds", str(rounds),
            "--seconds", str(seconds), "--seed", str(seed),
        ]  # fmt: skip
        # exec'd: a shell beside it would sit in its cgroup
        script = f"exec env PYTHONDONTWRITEBYTECODE=1 COLUMNS=140 DEEPOJ_TEST_ISOLATION=full {shlex.join(inner)}"
        machine = [
            sys.executable, f"{REPOSITORY}/tests/vmrun", "--timeout", str(seconds + MACHINE_S),
            "--cache", f"{directory}/cache", "-C", str(REPOSITORY), "--", "/bin/sh", "-ec", script,
        ]  # fmt: skip
        return subprocess.run(machine, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1800.0, help="begin no further round after so many")
    parser.add_argument("--seed", type=int, default=secrets.randbits(31))
    parser.add_argument("--programs", type=Path, help="where they are compiled already")
    parser.add_argument("--vm", action="store_true")
    asked = parser.parse_args()
    if asked.vm:
        return in_machine(asked.rounds, asked.seconds, asked.seed)
    console = Console()
    console.print(f"seed {asked.seed}")
    with tempfile.TemporaryDirectory(prefix="hostile-") as directory:
        programs = asked.programs
        if programs is None:
            programs = Path(directory, "programs")
            programs.mkdir()
            compile_hostile(programs)
        scratch = Path(directory, "scratch")
        scratch.mkdir()
        ground = Playground(programs, scratch)
        tally = Tally(console)
        trio.run(play, asked.rounds, asked.seconds, asked.seed, ground, tally)
        show(tally)
        trio.run(look_at_findings, ground, console)
    played = len(tally.scores[NEIGHBOUR].marks)
    console.print(f"{played} of {asked.rounds} rounds at {tally.isolation}, {len(tally.wrong)} wrong")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
