"""A problem's package as an attempt reads it: what judges the program, and what decides each test."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from deepoj.execution.compiling import on_sources
from deepoj.judging import exec_rules
from deepoj.judging.abilities import lacks
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.languages import Language
from deepoj.judging.problem import Plan
from deepoj.judging.reuse import Deciders, checkers_mark, program_mark
from deepoj.judging.scoring.submission import Scoring
from deepoj.ports.testdata import Prepared, TestData
from deepoj.words.errors import BlobMissing, BlobsUnavailable, TestDataBroken
from deepoj.words.jobs import Claim
from deepoj.words.problems import Problem
from deepoj.words.results import Infra
from deepoj.words.sandbox import FileIn, RunLimits


@dataclass(frozen=True, slots=True)
class OpenPackage:
    """A package for one attempt. ``limits``: the program's, before a test widens them."""

    prepared: Prepared
    limits: RunLimits

    @property
    def plan(self) -> Plan:
        return self.prepared.plan


@dataclass(frozen=True, slots=True)
class ScoredPackage(OpenPackage):
    """A package by which all tests are judged."""

    scoring: Scoring
    deciders: Deciders
    #: by test
    _fingerprints: dict[int, str] = field(default_factory=dict)

    def fingerprint(self, number: int) -> str:
        """Return the fingerprint of what decides a test."""
        # Submitted outputs are cheap to check, and their assignment depends on the names of all tests.
        if self.plan.output_only:
            return ""
        if number not in self._fingerprints:
            self._fingerprints[number] = self.deciders.fingerprint(self.plan.cases[number])
        return self._fingerprints[number]


def open_package(prepared: Prepared, claim: Claim, language: Language, settings: JudgeSettings) -> OpenPackage | Infra:
    plan = prepared.plan
    if (lack := lacks(plan, claim.problem.compare)) is not None:
        return Infra("unsupported_plan", lack)
    return OpenPackage(prepared, exec_rules.run_limits(claim.problem, settings, language, plan.limits))


async def score_package(
    opened: OpenPackage, claim: Claim, language: Language, sources: Sequence[FileIn], settings: JudgeSettings
) -> ScoredPackage | Infra:
    """Read what decides the tests. ``sources``: the entry point first. Raises OSError: a source cannot be read."""
    plan, prepared, limits = opened.plan, opened.prepared, opened.limits
    if not plan.cases:
        return Infra("no_verdict", "the problem has no tests")
    try:
        scoring = Scoring(plan)
    except ValueError as error:
        return Infra("unsupported_plan", str(error))

    def read_deciders() -> Deciders:
        texts = {one.name: one.path.read_bytes() for one in sources}
        program = program_mark(language, texts, sources[0].name, settings.toolchain)
        checkers = checkers_mark(plan, settings.toolchain)
        return Deciders(program, plan, prepared.digest, claim.problem.compare, limits, checkers)

    return ScoredPackage(prepared, limits, scoring, await on_sources(sources, read_deciders))


async def fetch(test_data: TestData, problem: Problem) -> None:
    """Fetch a package while the compiler runs. After a compile error the fetch goes on: the next submission needs the
    package. A breakage is met again by the attempt, which waits for this fetch or makes one of its own."""
    with suppress(BlobsUnavailable, BlobMissing, TestDataBroken):
        await test_data.prepare(problem)
        await test_data.release(problem)
