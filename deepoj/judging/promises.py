"""Compare the judged results of a package's own submissions with the results that the package promises."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deepoj.judging.problem import Example, Points
from deepoj.words.results import Infra, Report, Verdict

#: scores are sums of decimal fractions: scores this close are equal
_SAME_SCORE = 1e-6
#: a promise of all of these only promises a failure
_FAILURES = frozenset(
    {
        Verdict.WRONG_ANSWER,
        Verdict.TIME_LIMIT_EXCEEDED,
        Verdict.RUNTIME_ERROR,
        Verdict.MEMORY_LIMIT_EXCEEDED,
        Verdict.OUTPUT_LIMIT_EXCEEDED,
    }
)
#: Verdict → the promises that it keeps. An output whose format a checker rejects is a wrong answer: ICPC, Kattis and
#: DMOJ have no other verdict for it, and Codeforces shows it as that. The promise of a wrong format is more specific.
_KEEPS: Mapping[Verdict, frozenset[str]] = MappingProxyType(
    {
        **{verdict: frozenset({verdict.value}) for verdict in Verdict},
        Verdict.PRESENTATION_ERROR: frozenset({Verdict.PRESENTATION_ERROR.value, Verdict.WRONG_ANSWER.value}),
    }
)
#: how much of a compiler's message is shown
_COMPILER_CHARS = 300


class Kept(enum.StrEnum):
    """The result of the comparison with a promise."""

    OK = "ok"
    #: judging had another result, or none
    DIFFERS = "differs"
    #: it was not judged
    SKIPPED = "skipped"
    #: it was judged, but the package has no promise for it
    NO_PROMISE = "no promise"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseResult:
    """The result for one submission of a package."""

    example: Example
    kept: Kept
    #: the difference, why it was skipped, or the compiler's message; may be empty
    why: str = ""
    #: None where it was skipped, or where judging failed
    report: Report | None = None

    @property
    def got(self) -> str:
        """The verdict, with the score where one was promised; empty where it was skipped."""
        if self.report is None:
            return "" if self.kept is Kept.SKIPPED else "System Error"
        scored = self.example.expected_scores or self.report.status is Verdict.PARTIAL
        return f"{self.report.status.value} ({self.report.score:g})" if scored else self.report.status.value


def found(example: Example, judged: Report | Infra, points: Points = Points.SHARES) -> PromiseResult:
    """Compare a judging with the promise. Failed judging keeps no promise: there is no verdict.

    ``points``: the plan's. Where they are absolute, a validator accepts a heuristic that has less than all points.
    """
    if isinstance(judged, Infra):
        return PromiseResult(example=example, kept=Kept.DIFFERS, why=f"not judged: {judged.message} ({judged.code})")
    wrong = [
        sentence
        for is_kept, sentence in (
            (
                not example.expected or not _kept_by(judged, points).isdisjoint(example.expected),
                f"{judged.status.value}{_first_of(judged)}",
            ),
            (_score_kept(example, judged.score), f"score {judged.score:g}"),
        )
        if not is_kept
    ]
    if wrong:
        kept = Kept.DIFFERS
    elif example.expected or example.expected_scores:
        kept = Kept.OK
    else:
        kept = Kept.NO_PROMISE
        if judged.status is Verdict.COMPILE_ERROR:
            wrong = [f"{judged.status.value}{_first_of(judged)}"]
    return PromiseResult(example=example, kept=kept, why="; ".join(wrong), report=judged)


def skipped(example: Example, why: str) -> PromiseResult:
    """Return the finding of a submission that cannot be judged here."""
    return PromiseResult(example=example, kept=Kept.SKIPPED, why=why)


def promises_failure(example: Example) -> bool:
    """Return whether any verdict keeps the promise but those of a program that passes."""
    return set(example.expected) >= _FAILURES and Verdict.ACCEPTED not in example.expected


def promised(example: Example) -> str:
    """Return the promise as text for people; empty where there is none."""
    words = [" or ".join(example.expected)] if example.expected else []
    if promises_failure(example):
        words = ["a failure"]
    if example.expected_scores:
        ranges = (f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in example.expected_scores)
        words.append(f"score {' or '.join(ranges)}")
    return ", ".join(words)


def _kept_by(report: Report, points: Points) -> frozenset[str]:
    passed = {Verdict.ACCEPTED, Verdict.PARTIAL}
    if points is not Points.SHARES and report.status in passed and all(test.status in passed for test in report.tests):
        return frozenset({Verdict.ACCEPTED.value, report.status.value})
    return _KEEPS[report.status]


def _score_kept(example: Example, score: float) -> bool:
    ranges = example.expected_scores
    return not ranges or any(low - _SAME_SCORE <= score <= high + _SAME_SCORE for low, high in ranges)


def _first_of(report: Report) -> str:
    """Return the first test with the submission's verdict and its details; or the compiler's message."""
    if report.compile is not None and not report.compile.ok:
        return f": {' '.join(report.compile.output[:_COMPILER_CHARS].split())}"
    test = next((one for one in report.tests if one.status is report.status), None)
    if test is None or not test.reason:
        return ""
    message = f": {test.checker_message}" if test.checker_message else ""
    return f" on test {test.name} ({test.reason}{message})"
