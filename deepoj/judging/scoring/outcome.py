"""The verdict and points of a test, and of a submission."""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.words.results import GroupResult, Verdict

#: scores have few digits; computed shares of them may be off by less than this
_DIGITS = 9
#: more is no number of points: sums of them could overflow
MAX_POINTS = 1e15
#: verdicts of failures of the system, not of the program
OURS = (Verdict.SYSTEM_ERROR, Verdict.INVALID)
#: verdicts of an accepted output, with all points or with a part of them
PASSED = (Verdict.ACCEPTED, Verdict.PARTIAL)


@dataclass(frozen=True, slots=True)
class Graded:
    """A test's verdict, after its points were applied, and its points."""

    status: Verdict
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Tests of a group that were skipped by a rule of the package."""

    #: ``dependency`` or ``short_circuit``
    rule: str
    group: str
    #: the cause: the group that was not accepted, or the test that failed
    because: str
    tests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a submission."""

    status: Verdict
    score: float
    #: None: the package sets no bound
    max_score: float | None
    #: ``all_accepted``, ``first_failed``, ``score`` (a part of it), or ``no_verdict``
    decided_by: str
    #: the first test that failed, by its index in the plan
    failed: int | None = None
    #: in the plan's order, the root first; empty for a problem without groups that is not scored
    groups: tuple[GroupResult, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def tidy(points: float) -> float:
    """Round points: computed shares are inexact in the last digits."""
    return round(points, _DIGITS)
