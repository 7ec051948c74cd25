"""The result object of the contract, ready for JSON: stored in ``submissions.result`` and shown to administrators.

Every text in it has passed ``visible``: no NUL, no lone surrogate. So no store and no browser fails on a program's
output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from deepoj.judging.text import visible
from deepoj.words.jobs import Claim
from deepoj.words.results import Borderline, GroupResult, Report, TestResult


def as_result(claim: Claim, report: Report) -> dict[str, Any]:
    """Return the complete result object; ``api/redact.py`` decides what contestants see of it."""
    return result_of(report, job_id=claim.job_id, attempt_id=claim.attempt_id, trace_id=claim.trace_id)


def result_of(report: Report, *, job_id: str, attempt_id: int, trace_id: str) -> dict[str, Any]:
    """Return the result object of this attempt."""
    compiled = report.compile
    return {
        "job_id": job_id,
        "attempt_id": attempt_id,
        "status": report.status.value,
        "score": report.score,
        "time_used": report.time_used_ms,
        "memory_used": report.memory_used_kb,
        "wall_time": report.wall_ms,
        "language": visible(report.language),
        "trace_id": visible(trace_id),
        "problem_version": visible(report.problem_version),
        "isolation": report.isolation.value,
        "compile": None
        if compiled is None
        else {
            "ok": compiled.ok,
            "time_ms": compiled.time_ms,
            "output": visible(compiled.output),
            "cached": compiled.cached,
            # for the waits of a contest: the host's load is in it, so contestants do not see it
            "wall_ms": report.compile_wall_ms,
        },
        "tests": [as_test(test) for test in report.tests],
        "groups": [_group(group) for group in report.groups],
        "explanation": [_plain(reason) for reason in report.explanation],
        # for staff: the host's load is in them
        "stages": {name: round(ms, 1) for name, ms in asdict(report.stages).items()},
    }


def as_test(test: TestResult) -> dict[str, Any]:
    """Return one element of ``tests[]``."""
    return {
        "name": visible(test.name),
        "group": visible(test.group),
        "status": test.status.value,
        "score": test.score,
        "cpu_ms": test.cpu_ms,
        "wall_ms": test.wall_ms,
        "memory_kb": test.memory_kb,
        "exit_code": test.exit_code,
        "exit_signal": test.exit_signal,
        "reason": visible(test.reason),
        "checker_message": visible(test.checker_message),
        "stdout_len": test.stdout_len,
        "truncated_stdout": test.truncated_stdout,
        "stderr_len": test.stderr_len,
        "truncated_stderr": test.truncated_stderr,
        "sample": test.sample,
        "borderline": None if test.borderline is None else _borderline(test.borderline),
        "fingerprint": test.fingerprint,
        "reused": test.reused_attempt is not None,
        "reused_attempt": test.reused_attempt,
    }


def _borderline(borderline: Borderline) -> dict[str, Any]:
    return {
        "first_ms": borderline.first_ms,
        "first_status": borderline.first_status.value,
        "again_ms": borderline.again_ms,
        "again_status": borderline.again_status.value,
        "limit_ms": borderline.limit_ms,
        "margin_percent": borderline.margin_percent,
        "alone": borderline.alone,
        "counted": "again",
    }


def _group(group: GroupResult) -> dict[str, Any]:
    return {
        "name": visible(group.name),
        "status": "Skipped" if group.status is None else group.status.value,
        "score": group.score,
        "max_score": group.max_score,
    }


def _plain(reason: Mapping[str, Any]) -> dict[str, Any]:
    return {key: visible(value) if isinstance(value, str) else value for key, value in reason.items()}
