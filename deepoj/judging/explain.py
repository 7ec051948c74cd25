"""Explain the verdict of a submission: machine-readable reasons, from effect to cause.

The ``explanation`` of a result begins with the submission's own reason (``rule: verdict``), unless it is simply
Accepted. The causes follow: the failed tests, each with the figures that decided, then the skipped tests with the group
or test that caused it. ``api/redact.py`` decides what contestants see of it, and knows each field by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deepoj.judging.problem import Plan
from deepoj.judging.scoring.outcome import Outcome
from deepoj.words.results import TestResult, Verdict

type Reason = Mapping[str, Any]


def chain(first: Reason | None, tests: Sequence[Reason], last: Sequence[Reason], *, limit: int) -> tuple[Reason, ...]:
    """Return all reasons in order, at most ``limit``. The first is never cut; of the others both kinds are kept."""
    head = [first] if first is not None else []
    room = max(limit - len(head), 0)
    kept = min(len(last), max(room - len(tests), room // 2))
    return (*head, *tests[: room - kept], *last[:kept])


def of_submission(plan: Plan, outcome: Outcome, tests: Sequence[TestResult]) -> Reason | None:
    """Return what decided the submission; None for an unscored problem with every test accepted."""
    if outcome.status is Verdict.ACCEPTED and not plan.scored:
        return None
    reason: dict[str, Any] = {"rule": "verdict", "status": outcome.status.value, "decided_by": outcome.decided_by}
    if outcome.failed is not None:
        reason["test"] = plan.cases[outcome.failed].name
    if plan.scored:
        reason["score"] = outcome.score
        if outcome.max_score is not None:
            reason["max_score"] = outcome.max_score
    failed = sum(test.status is not Verdict.ACCEPTED for test in tests)
    return reason | {"tests_run": len(tests), "tests_failed": failed, "tests_total": len(plan.cases)}


def of_left_out(outcome: Outcome) -> Iterator[Reason]:
    """Yield a reason for each group, or rest of a group, that was skipped by a rule of the package."""
    for skipped in outcome.skipped:
        because = "depends_on" if skipped.rule == "dependency" else "test"
        yield {
            "rule": skipped.rule,
            "group": skipped.group,
            because: skipped.because,
            "tests_skipped": skipped.tests,
        }


def of_budget(plan: Plan, outcome: Outcome, tests: Sequence[TestResult]) -> Reason | None:
    """Return the reason for tests that were not started because they could change nothing; None if there are none."""
    left_out = sum(skipped.tests for skipped in outcome.skipped)
    if len(tests) + left_out == len(plan.cases):
        return None
    return {"rule": "budget", "tests_run": len(tests), "tests_total": len(plan.cases)}


def of_second_run(test: TestResult) -> Reason | None:
    """Return the reason for a test close to its time limit: both measures, and which of them counts."""
    borderline = test.borderline
    if borderline is None:
        return None
    return {
        "test": test.name,
        "rule": "borderline",
        "first_ms": borderline.first_ms,
        "first_status": borderline.first_status.value,
        "again_ms": borderline.again_ms,
        "again_status": borderline.again_status.value,
        "limit_ms": borderline.limit_ms,
        "margin_percent": borderline.margin_percent,
        "alone": borderline.alone,
        "counted": "again",
    }
