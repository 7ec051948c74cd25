"""Cases in plain files, kept with the contract of ``ports.TestData``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj.words import Breakage, Problem


@dataclass(frozen=True, slots=True)
class PlainCase:
    """``ports.CaseFiles``."""

    name: str
    input: Path
    answer: Path


class PlainTestData:
    """``ports.TestData`` that serves the same cases for every problem; ``held`` counts what was not released."""

    def __init__(self, directory: Path, cases: list[tuple[bytes, bytes]]) -> None:
        self._cases = []
        for number, (data, answer) in enumerate(cases, 1):
            case = PlainCase(str(number), directory / f"{number}.in", directory / f"{number}.out")
            case.input.write_bytes(data)
            case.answer.write_bytes(answer)
            self._cases.append(case)
        self.breakage: Breakage | None = None
        self.held = 0

    async def cases(self, problem: Problem) -> list[PlainCase]:
        await trio.lowlevel.checkpoint()
        if self.breakage is not None:
            raise self.breakage
        self.held += 1
        return self._cases

    async def release(self, problem: Problem) -> None:
        await trio.lowlevel.checkpoint()
        self.held -= 1
