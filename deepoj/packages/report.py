"""What the readers found in a problem's package, in short, for the person who uploaded it.

A report is made from the stored package when somebody asks for it, so it exists for every problem, however the package
came here, and says what today's readers say. Reports are cached by the package's hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj.judging.paths import base
from deepoj.judging.problem import Checker, Limits, Plan
from deepoj.packages.fetching import MISSING, fetched
from deepoj.packages.formats import PackageFault, UnzipLimits, open_package
from deepoj.ports.blobs import Blobs
from deepoj.words.errors import BlobMissing
from deepoj.words.problems import Problem

#: groups in a report; further ones are counted
MAX_GROUPS = 100
#: reports in the cache
_CACHED = 64


@dataclass(frozen=True, slots=True)
class ReportedProgram:
    """A program that decides about outputs: its file, its language's key, its protocol."""

    file: str
    language: str
    protocol: str


@dataclass(frozen=True, slots=True)
class ReportedGroup:
    """A test group with the number of its own tests. ``max_score`` None: the sum of its tests."""

    name: str
    tests: int
    max_score: float | None
    depends_on: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReport:
    """The parts of a package that decide verdicts, and what was left out. ``limits``: those that the package states."""

    format: str
    title: str
    tests: int
    samples: int
    groups: tuple[ReportedGroup, ...]
    #: number of all groups
    group_count: int
    scored: bool
    checker: ReportedProgram | None
    interactor: ReportedProgram | None
    #: how the package itself says that outputs are compared; empty: it does not
    compare: str
    #: name of the standard checker that this comparison replaces; empty: it replaces none
    replaced_checker: str
    limits: Limits
    output_only: bool
    #: languages and kinds of its statements
    statements: tuple[tuple[str, str], ...]
    attachments: int
    input_validators: int
    #: submissions in the package, of which ``promises`` state their verdict
    examples: int
    promises: int
    #: unpacked size of what judging needs
    total_bytes: int
    #: features that are not supported and files that were left out, a sentence each
    notes: tuple[str, ...]


def report_of(plan: Plan) -> PackageReport:
    """Return the report about a plan."""
    tests = Counter(case.group for case in plan.cases)
    groups = [group for group in plan.groups if group.name]
    checkers = [one for one in (plan.checker, plan.output_checker) if one is not None]
    return PackageReport(
        format=plan.format,
        title=plan.title,
        tests=len(plan.cases),
        samples=sum(case.sample for case in plan.cases),
        groups=tuple(
            ReportedGroup(group.name, tests[group.name], group.max_score, group.depends_on)
            for group in groups[:MAX_GROUPS]
        ),
        group_count=len(groups),
        scored=plan.scored,
        checker=next((_program(one) for one in checkers if not one.interactive), None),
        interactor=next((_program(one) for one in checkers if one.interactive), None),
        compare="" if plan.compare is None else plan.compare.way,
        replaced_checker=plan.replaced_checker,
        limits=plan.limits,
        output_only=plan.output_only,
        statements=tuple((one.language, one.kind) for one in plan.statements),
        attachments=len(plan.attachments),
        input_validators=len(plan.input_validators),
        examples=len(plan.examples),
        promises=sum(bool(one.expected or one.expected_scores) for one in plan.examples),
        total_bytes=plan.total_bytes,
        notes=plan.unsupported,
    )


def _program(checker: Checker) -> ReportedProgram:
    return ReportedProgram(base(checker.program.entry), checker.program.language, checker.protocol.value)


class PackageReports:
    """Reports about problems' packages. ``new_path`` returns a path for a fetched package, in an existing directory."""

    def __init__(self, blobs: Blobs, new_path: Callable[[], Path], limits: UnzipLimits) -> None:
        self._blobs, self._new_path, self._limits = blobs, new_path, limits
        self._cache: dict[str, PackageReport | PackageFault] = {}
        #: packages are large: one at a time is fetched
        self._turn = trio.Lock()

    def keep(self, problem: Problem, plan: Plan) -> None:
        """Cache the report of a package that was just read."""
        self._remember(problem.data_hash, report_of(plan))

    async def report(self, problem: Problem) -> PackageReport | PackageFault:
        """Return the report about a problem's package; a fault if today's readers refuse it, or if it is missing.

        Raises:
          BlobsUnavailable: the package cannot be fetched.
        """
        if (known := self._cache.get(problem.data_hash)) is not None:
            return known
        async with self._turn:
            if (known := self._cache.get(problem.data_hash)) is not None:
                return known
            path = self._new_path()
            try:
                async with fetched(self._blobs, problem, path):
                    found = await trio.to_thread.run_sync(_read, path, self._limits)
            except BlobMissing:  # not cached: a backup may bring it back
                return MISSING
        self._remember(problem.data_hash, found)
        return found

    def _remember(self, data_hash: str, report: PackageReport | PackageFault) -> None:
        while len(self._cache) >= _CACHED:
            del self._cache[next(iter(self._cache))]
        self._cache[data_hash] = report


def _read(package: Path, limits: UnzipLimits) -> PackageReport | PackageFault:
    with package.open("rb") as file:
        opened = open_package(file, limits)
        if isinstance(opened, PackageFault):
            return opened
        with opened:
            return report_of(opened.plan)
