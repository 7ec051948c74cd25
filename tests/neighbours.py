"""What a program does to its neighbour in the other slot, as a table for people.

    python -m tests.neighbours --rounds 200          `namespaces`, a quarter of the rounds at `weak`, a 20th at `full`
    python -m tests.neighbours --rounds 20 --level weak

For each kind of hog a round is a victim alone, then the same victim beside the hog. The victim does a fixed amount of
work; its limits are a small multiple of what it needs alone, in the proportions of a problem's limits. `full` runs in a
virtual machine. Exit 1 if any verdict was wrong; the CPU figures are printed, and decide nothing.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio
from rich.console import Console
from rich.table import Table

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.judging.borderline import is_starved
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, Isolation, RunLimits, RunOutcome, RunSpec, RunVerdict
from tests.sandbox.bench import limits, open_box

REPOSITORY = Path(__file__).parents[1]
SOURCE = Path(__file__).parent / "sandbox" / "hogs.c"
PROGRAM = "hogs"
KINDS = ("processes", "threads", "sessions", "bandwidth", "faults", "talkers")
#: with its first process one less than a run may have
WORKERS = 18
#: of kinds whose workers are two processes each
PAIRS = 9
#: what a victim needs alone
WORK_CPU_MS = 80
#: of that: its CPU limit, and of the CPU limit its wall limit, as ``runs.wall_limit_ms`` has it of a long one
CPU_FACTOR, WALL_FACTOR = 2, 3
#: a hog is ended once its victim is done; these only bound what is left of one if we are killed
HOG_CPU_MS = 600_000
READY_S = 120.0
#: a level's share of the rounds asked for
SHARES = {Isolation.NAMESPACES: 1, Isolation.WEAK: 4, Isolation.FULL: 20}
MACHINE_S = 900.0
#: of what was wrong, of a kind of hog
MOST_SHOWN = 5


def compile_hogs(directory: Path) -> None:
    """Leaves ``hogs`` in the directory."""
    subprocess.run(("gcc", "-O1", "-pthread", "-o", directory / PROGRAM, SOURCE), check=True, timeout=600)


@dataclass(slots=True)
class Figures:
    """What the victims of one kind of hog came to."""

    alone_ms: list[int] = field(default_factory=list)
    beside_ms: list[int] = field(default_factory=list)
    wall_ms: list[int] = field(default_factory=list)
    #: the runs that came to anything but the right verdict and output, a sentence each
    wrong: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Street:
    """A box of two slots, and the victim's work."""

    box: LinuxBox
    programs: Path
    directory: Path
    work: int = 0
    cpu_ms: int = 0
    output: bytes = b""

    async def calibrate(self) -> None:
        """Finds how much work takes ``WORK_CPU_MS`` here, and what it prints."""
        self.work, self.cpu_ms = 50, HOG_CPU_MS
        outcome = await self.victim()
        while outcome.cpu_ms < WORK_CPU_MS:
            self.work *= 2
            outcome = await self.victim()
        runs = [await self.victim() for _ in range(5)]
        self.cpu_ms = CPU_FACTOR * round(statistics.median(run.cpu_ms for run in runs))
        self.output = outcome.stdout

    async def victim(self) -> RunOutcome:
        """One run of the victim; repeated once when it was starved, as a node does."""
        lim = limits(cpu_ms=self.cpu_ms, wall_ms=WALL_FACTOR * self.cpu_ms)
        outcome = await self.run("work", self.work, lim=lim)
        return await self.run("work", self.work, lim=lim) if is_starved(outcome, lim) else outcome

    async def run(self, kind: str, count: int, *, lim: RunLimits | None = None) -> RunOutcome:
        """One run of the program."""
        return await self.box.run(self._spec(kind, str(count), lim=lim or limits()))

    @asynccontextmanager
    async def hog(self, kind: str) -> AsyncIterator[None]:
        """A hog at work in the other slot."""
        said = self.directory / "hog.out"
        said.unlink(missing_ok=True)
        count = str(PAIRS if kind == "talkers" else WORKERS)
        spec = self._spec(kind, count, lim=limits(cpu_ms=HOG_CPU_MS, wall_ms=HOG_CPU_MS), stdout_to=said)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.box.run, spec)
            with trio.fail_after(READY_S):
                while not (said.exists() and said.stat().st_size):
                    await trio.sleep(0.005)
            yield
            nursery.cancel_scope.cancel()

    async def round(self, kind: str, figures: Figures) -> None:
        """A victim alone and a victim beside the hog."""
        alone = await self.victim()
        async with self.hog(kind):
            beside = await self.victim()
        figures.alone_ms.append(alone.cpu_ms)
        figures.beside_ms.append(beside.cpu_ms)
        figures.wall_ms.append(beside.wall_ms)
        for where, outcome in (("alone", alone), (f"beside {kind}", beside)):
            if outcome.verdict is not RunVerdict.OK or outcome.stdout != self.output:
                figures.wrong.append(
                    f"{where}: {outcome.verdict} by rule {outcome.rule}, {outcome.cpu_ms} ms CPU of"
                    f" {self.cpu_ms}, {outcome.wall_ms} ms by the clock"
                )

    def _spec(self, *words: str, **more: object) -> RunSpec:
        lim = more.pop("lim")
        main = FileIn("main", self.programs / PROGRAM, executable=True, program=True)
        return RunSpec(argv=(f"{PROGRAM_DIR}/main", *words), limits=lim, files_in=(main,), **more)  # type: ignore[arg-type]


async def play(street: Street, rounds: int) -> dict[str, Figures]:
    """The rounds of every kind, in turn."""
    figures = {kind: Figures() for kind in KINDS}
    await street.calibrate()
    for _ in range(rounds):
        for kind in KINDS:
            await street.round(kind, figures[kind])
    return figures


def high(values: Sequence[int]) -> float:
    """The value that 95 of 100 do not exceed."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def show(level: Isolation, street: Street, figures: dict[str, Figures], console: Console) -> None:
    columns = ("hog", "right", "alone ms", "beside ms", "median", "alone 95%", "beside 95%", "95%", "clock 95%")
    title = f"neighbours at {level}: limits {street.cpu_ms} ms CPU, {WALL_FACTOR * street.cpu_ms} ms by the clock"
    table = Table(*columns, title=title)
    for kind, of_kind in figures.items():
        alone, beside = statistics.median(of_kind.alone_ms), statistics.median(of_kind.beside_ms)
        high_alone, high_beside = high(of_kind.alone_ms), high(of_kind.beside_ms)
        total = len(of_kind.beside_ms)
        wrong = sum(not sentence.startswith("alone") for sentence in of_kind.wrong)
        table.add_row(
            kind,
            f"{total - wrong} of {total}",
            f"{alone:g}",
            f"{beside:g}",
            f"{beside / alone - 1:+.0%}",
            f"{high_alone:g}",
            f"{high_beside:g}",
            f"{high_beside / high_alone - 1:+.0%}",
            f"{high(of_kind.wall_ms):g}",
            style="red" if wrong else None,
        )
    console.print(table)
    for of_kind in figures.values():
        for sentence in of_kind.wrong[:MOST_SHOWN]:
            console.print(f"WRONG {sentence}", markup=False, highlight=False)


async def at_level(level: Isolation, rounds: int, programs: Path, console: Console) -> bool:
    """Whether every verdict was right."""
    with tempfile.TemporaryDirectory(prefix="neighbours-") as directory:
        async with open_box(2, at_most=level, min_isolation=level) as box:
            street = Street(box, programs, Path(directory))
            figures = await play(street, rounds)
    show(level, street, figures, console)
    return not any(of_kind.wrong for of_kind in figures.values())


def in_machine(rounds: int, programs: Path) -> int:
    """The level `full` within a virtual machine."""
    inner = [
        sys.executable, "-m", "tests.neighbours", "--level", Isolation.FULL, "--here", "--programs", str(programs),
        "--rounds", str(rounds),
    ]  # fmt: skip
    # exec'd: a shell beside it would sit in its cgroup
    script = f"exec env PYTHONDONTWRITEBYTECODE=1 COLUMNS=140 {shlex.join(inner)}"
    machine = [
        sys.executable, f"{REPOSITORY}/tests/vmrun", "--timeout", str(MACHINE_S), "--cache", f"{programs}/cache",
        "-C", str(REPOSITORY), "--", "/bin/sh", "-ec", script,
    ]  # fmt: skip
    return subprocess.run(machine, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.neighbours", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--level", type=Isolation, choices=list(Isolation), help="this one alone, with all the rounds")
    parser.add_argument("--here", action="store_true", help="`full` without a virtual machine")
    parser.add_argument("--programs", type=Path, help="where they are compiled already")
    asked = parser.parse_args()
    os.environ.pop("DEEPOJ_TEST_ISOLATION", None)
    levels = {level: max(1, asked.rounds // share) for level, share in SHARES.items()}
    if asked.level is not None:
        levels = {asked.level: asked.rounds}
    good = True
    with tempfile.TemporaryDirectory(prefix="neighbours-") as directory:
        programs = asked.programs or Path(directory)
        if asked.programs is None:
            compile_hogs(programs)
        for level, rounds in levels.items():
            if level is Isolation.FULL and not asked.here:
                good = in_machine(rounds, programs) == 0 and good
            else:
                good = trio.run(at_level, level, rounds, programs, Console()) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
