"""Requests to the sandbox for custom runs, and the kept part of their outcomes: pure functions.

The statuses are those of submissions for programs that failed. A program that ended well is ``Finished``, for there is
no answer to compare with. Limits are the author's plus the needs of the language's runtime, as for a test of a problem
with the same limits. Output is bytes. It is kept unchanged beside the measures; the API decides how to show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepoj.judging import exec_rules, verdicts
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.languages import Language
from deepoj.judging.text import visible
from deepoj.words.playground import CustomClaim, CustomReport, CustomStatus
from deepoj.words.sandbox import FileIn, RunLimits, RunOutcome, RunSpec


def limits_of(claim: CustomClaim, settings: JudgeSettings, language: Language) -> RunLimits:
    """Return the limits of the run."""
    memory_bytes = claim.memory_limit_kb * 1024
    return exec_rules.program_limits(settings, language, time_limit_ms=claim.time_limit_ms, memory_bytes=memory_bytes)


def memory_mb(claim: CustomClaim) -> int:
    """Return the author's memory limit as it is passed to runtimes: at least one MiB."""
    return max(1, claim.memory_limit_kb // 1024)


def run_spec(
    argv: tuple[str, ...],
    files_in: tuple[FileIn, ...],
    env: tuple[tuple[str, str], ...],
    *,
    stdin: Path,
    limits: RunLimits,
    settings: JudgeSettings,
    user_id: int,
) -> RunSpec:
    """Return the run, with the kept part of its output."""
    return RunSpec(
        argv=argv,
        files_in=files_in,
        env=env,
        stdin=stdin,
        limits=limits,
        user_id=user_id,
        keep_stdout_bytes=min(settings.stdout_limit_bytes, settings.custom_output_bytes),
        # some runtimes' last messages are needed, however little is kept
        keep_stderr_bytes=max(
            min(settings.stderr_limit_bytes, settings.custom_output_bytes), exec_rules.LAST_WORDS_BYTES
        ),
    )


def kept(outcome: RunOutcome, settings: JudgeSettings) -> RunOutcome:
    """Return the outcome with its output cut to the kept size."""
    return replace(
        outcome,
        stdout=outcome.stdout[: min(settings.stdout_limit_bytes, settings.custom_output_bytes)],
        stderr=outcome.stderr[: min(settings.stderr_limit_bytes, settings.custom_output_bytes)],
    )


def status_of(outcome: RunOutcome) -> CustomStatus:
    """Return the status by the verdict table. ``System Error`` is ours and is never written as a program's end."""
    verdict = verdicts.of_run(
        outcome.verdict, outcome.rule, exit_code=outcome.exit_code, exit_signal=outcome.exit_signal
    )
    return CustomStatus.FINISHED if verdict is verdicts.COMPARE else CustomStatus(verdict.value)


def why(outcome: RunOutcome, limits: RunLimits) -> tuple[Mapping[str, Any], ...]:
    """Return the reasons of a run that did not finish well."""
    if status_of(outcome) is CustomStatus.FINISHED:
        return ()
    return (exec_rules.why(outcome.rule, outcome, limits, None),)


def as_result(claim: CustomClaim, report: CustomReport) -> dict[str, Any]:
    """Return the measures, ready for JSON, without the output."""
    compiled, outcome = report.compile, report.outcome
    return {
        "attempt_id": claim.attempt_id,
        "status": report.status.value,
        "trace_id": visible(claim.trace_id),
        "isolation": report.isolation.value,
        "compile": None
        if compiled is None
        else {"ok": compiled.ok, "time_ms": compiled.time_ms, "output": visible(compiled.output)},
        "time_used": 0 if outcome is None else outcome.cpu_ms,
        "wall_time": 0 if outcome is None else outcome.wall_ms,
        "memory_used": 0 if outcome is None else outcome.memory_kb,
        "exit_code": None if outcome is None else outcome.exit_code,
        "exit_signal": None if outcome is None else outcome.exit_signal,
        "stdout_len": 0 if outcome is None else outcome.stdout_len,
        "truncated_stdout": outcome is not None and outcome.stdout_len > len(outcome.stdout),
        "stderr_len": 0 if outcome is None else outcome.stderr_len,
        "truncated_stderr": outcome is not None and outcome.stderr_len > len(outcome.stderr),
        "explanation": [dict(reason) for reason in report.explanation],
    }
