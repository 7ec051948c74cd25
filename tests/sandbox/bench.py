"""Run a test program in the box in one line."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, Isolation, RunLimits, RunOutcome, RunSpec
from tests import host

if TYPE_CHECKING:
    from tests.sandbox.lent import LentBox

MIB = 1024 * 1024


@asynccontextmanager
async def open_box(slots: int, **more: Any) -> AsyncIterator[LinuxBox]:
    """Open a box with the strongest isolation of this host, or with exactly ``DEEPOJ_TEST_ISOLATION``."""
    wanted = os.environ.get("DEEPOJ_TEST_ISOLATION")
    if wanted is None:
        more = {"min_isolation": host.asked(), **more}
    else:
        more = {"at_most": Isolation(wanted), "min_isolation": Isolation(wanted), **more}
    async with LinuxBox.open(slots, **more) as box:
        assert wanted is None or box.isolation is Isolation(wanted), box.preflight
        yield box


def is_counted(level: str | None) -> bool:
    """Whether too many processes end the run instead of being refused: without namespaces and root."""
    return level == Isolation.WEAK and os.geteuid() != 0


def limits(**changed: int) -> RunLimits:
    """Return generous limits, for loaded and emulated machines; a test sets the limit that it is about."""
    generous: dict[str, int] = {
        "cpu_ms": 20_000,
        "wall_ms": 60_000,
        "memory_bytes": 64 * MIB,
        "output_bytes": 1 * MIB,
    }
    return RunLimits(**{**generous, **changed})


@dataclass(frozen=True)
class Bench:
    """A box and the programs to run in it."""

    box: LinuxBox | LentBox
    programs: Path
    directory: Path

    @property
    def full(self) -> bool:
        return self.box.isolation is Isolation.FULL

    @property
    def weak(self) -> bool:
        return self.box.isolation is Isolation.WEAK

    @property
    def counted(self) -> bool:
        return is_counted(self.box.isolation)

    @property
    def shares_user(self) -> bool:
        """Whether all slots have one user: the node is no root, or may not use what root may."""
        return os.geteuid() != 0 or any("have one user" in reason for reason in self.box.preflight.reasons)

    def spec(self, *words: str | int, program: str = "probe", lim: RunLimits | None = None, **more: Any) -> RunSpec:
        main = FileIn("main", self.programs / program, executable=True, program=True)
        brought = (main, *more.pop("files_in", ()))
        argv = (f"{PROGRAM_DIR}/main", *(str(word) for word in words))
        return RunSpec(argv=argv, limits=lim or limits(), files_in=brought, **more)

    async def run(self, *words: str | int, **more: Any) -> RunOutcome:
        return await self.box.run(self.spec(*words, **more))


def said(outcome: RunOutcome) -> dict[str, str]:
    """Return the output lines ``name value`` of a program as a dict."""
    return dict(line.split(" ", 1) for line in outcome.stdout.decode().splitlines())
