"""A problem's files in a plain folder, with the contract of ``ports.TestData``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj.judging.problem import Case, Plan
from deepoj.words.errors import Breakage
from deepoj.words.problems import Problem


@dataclass(frozen=True, slots=True)
class PlainPackage:
    """``ports.Prepared``: names are those of the files in ``directory``."""

    plan: Plan
    directory: Path
    #: digests known in advance, of files that a test removes; others are computed
    digests: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        if name not in self.plan.files():
            raise KeyError(name)
        return self.directory / name

    def digest(self, name: str) -> str:
        return self.digests.get(name) or hashlib.sha256(self.path(name).read_bytes()).hexdigest()


class PlainTestData:
    """``ports.TestData`` that serves one package for every problem; ``held`` counts packages that are not released.

    It gets cases, which are named 1, 2, …, or a plan and its files.
    """

    def __init__(
        self,
        directory: Path,
        cases: list[tuple[bytes, bytes]] | None = None,
        *,
        plan: Plan | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        named = dict(files or {})
        made = []
        for number, (data, answer) in enumerate(cases or (), 1):
            named |= {f"{number}.in": data, f"{number}.out": answer}
            made.append(Case(name=str(number), input=f"{number}.in", answer=f"{number}.out"))
        for name, data in named.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(data)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in named.items()}
        self.package = PlainPackage(plan or Plan(format="own", cases=tuple(made)), directory, digests)
        self.breakage: Breakage | None = None
        #: until it is set, ``prepare`` waits
        self.gate: trio.Event | None = None
        self.held = 0
        #: number of calls of ``prepare``
        self.prepared = 0

    def is_here(self, problem: Problem) -> bool:
        return self.prepared > 0

    async def prepare(self, problem: Problem) -> PlainPackage:
        self.prepared += 1
        await trio.lowlevel.checkpoint()
        if self.gate is not None:
            await self.gate.wait()
        if self.breakage is not None:
            raise self.breakage
        self.held += 1
        return self.package

    async def release(self, problem: Problem) -> None:
        await trio.lowlevel.checkpoint()
        self.held -= 1
