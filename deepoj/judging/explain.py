"""Why a submission has its verdict: machine-readable reasons, in the order in which one leads to the other.

``explanation`` of a result begins with the submission's own (``rule: verdict``), unless it is simply Accepted, and goes
on with what led there: the tests that failed, each with the figures that decided; what was left out, and for whose
sake. What contestants see of it: ``api/redact.py``, which knows each field by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deepoj.judging.problem import Plan
from deepoj.judging.scoring import Outcome
from deepoj.words import TestResult, Verdict

type Reason = Mapping[str, Any]


def chain(first: Reason | None, tests: Sequence[Reason], last: Sequence[Reason], *, limit: int) -> tuple[Reason, ...]:
    """All reasons in their order, at most ``limit``: what decided is never cut, and of the others both kinds stay."""
    head = [first] if first is not None else []
    room = max(limit - len(head), 0)
    kept = min(len(last), max(room - len(tests), room // 2))
    return (*head, *tests[: room - kept], *last[:kept])


def of_submission(plan: Plan, outcome: Outcome, tests: Sequence[TestResult]) -> Reason | None:
    """What decided it all; None where there is nothing to say: an unscored problem, and every test accepted."""
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
    """Groups, or the rest of them, that were not judged because the package says so."""
    for skipped in outcome.skipped:
        because = "depends_on" if skipped.rule == "dependency" else "test"
        yield {
            "rule": skipped.rule,
            "group": skipped.group,
            because: skipped.because,
            "tests_skipped": skipped.tests,
        }


def of_budget(plan: Plan, outcome: Outcome, tests: Sequence[TestResult]) -> Reason | None:
    """Tests that were not started any more, because nothing could have changed."""
    left_out = sum(skipped.tests for skipped in outcome.skipped)
    if len(tests) + left_out == len(plan.cases):
        return None
    return {"rule": "budget", "tests_run": len(tests), "tests_total": len(plan.cases)}


def of_second_run(test: TestResult) -> Reason | None:
    """Of a test that was close to its time limit: both measures, and which of them counts."""
    found = test.borderline
    if found is None:
        return None
    return {
        "test": test.name,
        "rule": "borderline",
        "first_ms": found.first_ms,
        "first_status": found.first_status.value,
        "again_ms": found.again_ms,
        "again_status": found.again_status.value,
        "limit_ms": found.limit_ms,
        "margin_percent": found.margin_percent,
        "alone": found.alone,
        "counted": "again",
    }
