"""Verifications of a package: its own submissions judged, and their verdicts compared with those that it promises.

``deepoj problem verify`` judges them on this host, the judge nodes judge them for a page and a route of the API. Both
compare by ``promises``, and give the advice about the time limit that stands here.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from deepoj.judging import timing
from deepoj.judging.problem import Example, Points
from deepoj.judging.promises import Kept, PromiseResult
from deepoj.words.results import Report, TestResult, Verdict
from deepoj.words.sources import Sources

#: an accepted solution that takes more of the limit than that may fail on a slower day
_TIGHT = 0.5
#: submissions of a package that are judged, and the bytes of their sources together
MAX_EXAMPLES, MAX_SOURCE_BYTES = 300, 8 * 1024 * 1024
#: tests that are shown with the longest time of any submission. Each submission keeps as many, its slowest: a test that
#: is shown is one of them in the submission that took longest
MAX_TIMES = 10
_WHY_CHARS = 1_000


class VerificationState(enum.StrEnum):
    """The state of a verification."""

    RUNNING = "running"
    #: each submission was judged, or cannot be
    DONE = "done"
    CANCELLED = "cancelled"
    #: the problem was changed before all was judged
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleDraft:
    """A submission of a package, ready to be judged as a contestant's would be."""

    example: Example
    #: the key of the language that it is judged in; may be empty where it is skipped
    language: str
    #: None: it cannot be judged
    sources: Sources | None = None
    #: why it cannot be judged
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationDraft:
    """A verification to be started, of a version of a problem."""

    problem_id: int
    problem_version: int
    points: Points
    examples: tuple[ExampleDraft, ...]
    #: submissions of the package beyond ``MAX_EXAMPLES``
    left_out: int = 0
    #: where the package states no time limit: the limit ÷ the slowest accepted run (``timing``), and its steps
    time_factor: float | None = None
    time_resolution_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """A verification and its progress."""

    id: int
    problem_id: int
    problem_version: int
    #: of the problem when it was started
    time_limit_ms: int
    left_out: int
    #: as in the draft
    time_factor: float | None
    time_resolution_ms: int | None
    state: VerificationState
    #: ISO 8601, the database's clock
    created_at: str
    finished_at: str | None
    #: numbers of submissions: all, those that have ended, and of these by ``Kept``
    total: int
    ended: int
    matched: int
    differing: int
    skipped: int
    unpromised: int

    @property
    def is_running(self) -> bool:
        return self.state is VerificationState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedExample:
    """A submission of a verification, and what judging it found."""

    place: int
    example: Example
    language: str
    #: ``pending``, ``processing`` or ``done``
    state: str
    #: None: it has not been judged
    kept: Kept | None
    why: str
    #: the verdict; None where it was skipped, or where judging failed
    status: str | None
    score: float | None
    slowest_test: str
    time_ms: int | None
    memory_kb: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleOutcome:
    """What judging a submission found, as it is stored."""

    kept: Kept
    why: str
    status: str | None = None
    score: float | None = None
    slowest_test: str = ""
    time_ms: int | None = None
    memory_kb: int | None = None
    #: names and CPU times of its tests
    tests: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class WorstTime:
    """The longest CPU time that an accepted submission took on a test."""

    test: str
    time_ms: int
    submission: str


def outcome_of(result: PromiseResult) -> ExampleOutcome:
    """Return a comparison as it is stored."""
    report = result.report
    if report is None:
        return ExampleOutcome(kept=result.kept, why=result.why[:_WHY_CHARS])
    slowest = slowest_test(report)
    return ExampleOutcome(
        kept=result.kept,
        why=result.why[:_WHY_CHARS],
        status=report.status.value,
        score=report.score,
        slowest_test="" if slowest is None else slowest.name,
        time_ms=None if slowest is None else slowest.cpu_ms,
        memory_kb=None if slowest is None else report.memory_used_kb,
        tests=tuple((test.name, test.cpu_ms) for test in heapq.nsmallest(MAX_TIMES, report.tests, key=_slowest_first)),
    )


def _slowest_first(test: TestResult) -> tuple[int, str]:
    return -test.cpu_ms, test.name


def slowest_test(report: Report | None) -> TestResult | None:
    """Return the test that took most CPU time."""
    return None if report is None else max(report.tests, key=lambda test: test.cpu_ms, default=None)


def slowest_accepted(examples: Iterable[VerifiedExample]) -> VerifiedExample | None:
    """Return the accepted submission whose slowest test took most CPU time."""
    accepted = [one for one in examples if one.status == Verdict.ACCEPTED and one.time_ms is not None]
    return max(accepted, key=lambda one: one.time_ms or 0, default=None)


def suggested_limit_ms(verification: Verification, examples: Sequence[VerifiedExample], most_ms: int) -> int | None:
    """Return the time limit that the accepted submissions need by the package's format; None: the package states one,
    or not all of them were accepted under the problem's."""
    measured = [one for one in examples if timing.is_measured(one.example)]
    slowest = slowest_accepted(measured)
    if verification.time_factor is None or slowest is None or any(one.status != Verdict.ACCEPTED for one in measured):
        return None
    return timing.limit_for(slowest.time_ms or 0, verification.time_factor, most_ms, verification.time_resolution_ms)


def is_tight(worst_ms: int, limit_ms: int) -> bool:
    """Return whether an accepted submission leaves little room for a slower machine."""
    return worst_ms > limit_ms * _TIGHT


@cache
def _adapter() -> TypeAdapter[Example]:
    return TypeAdapter(Example)


def example_json(example: Example) -> str:
    """Return a package's submission as JSON."""
    return _adapter().dump_json(example).decode()


def example_of_json(raw: str) -> Example:
    """Read a package's submission from JSON. Raises ValueError for anything else."""
    return _adapter().validate_json(raw)
