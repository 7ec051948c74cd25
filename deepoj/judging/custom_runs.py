"""What a custom run asks of the box and what is kept of it: pure functions.

The words are those of submissions where they say how a program ended; one that ended well is ``Finished``, for there is
nothing to be right or wrong about. Limits are the author's with what the language's runtime needs by itself, as for a
test of a problem with the same limits. Output is bytes: it is kept as it came, beside the measures, and how it is shown
is the API's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepoj.judging import runs, verdicts
from deepoj.judging.languages import Language
from deepoj.judging.runs import JudgeSettings
from deepoj.judging.text import visible
from deepoj.words import CustomClaim, CustomReport, CustomStatus, FileIn, RunLimits, RunOutcome, RunSpec


def limits_of(claim: CustomClaim, settings: JudgeSettings, language: Language) -> RunLimits:
    """What the run may use."""
    memory_bytes = claim.memory_limit_kb * 1024
    return runs.program_limits(settings, language, time_limit_ms=claim.time_limit_ms, memory_bytes=memory_bytes)


def memory_mb(claim: CustomClaim) -> int:
    """The author's memory limit as runtimes are told it: at least one MiB."""
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
    """The run, with as much of its output as is kept."""
    return RunSpec(
        argv=argv,
        files_in=files_in,
        env=env,
        stdin=stdin,
        limits=limits,
        user_id=user_id,
        keep_stdout_bytes=min(settings.stdout_limit_bytes, settings.custom_output_bytes),
        # some runtimes' last words are read, however little is kept
        keep_stderr_bytes=max(min(settings.stderr_limit_bytes, settings.custom_output_bytes), runs.LAST_WORDS_BYTES),
    )


def kept(outcome: RunOutcome, settings: JudgeSettings) -> RunOutcome:
    """The outcome with no more of its output than is kept."""
    return replace(
        outcome,
        stdout=outcome.stdout[: min(settings.stdout_limit_bytes, settings.custom_output_bytes)],
        stderr=outcome.stderr[: min(settings.stderr_limit_bytes, settings.custom_output_bytes)],
    )


def status_of(outcome: RunOutcome) -> CustomStatus:
    """By the verdict table; ``System Error`` is ours and is never written as a program's end."""
    found = verdicts.of_run(outcome.verdict, outcome.rule, exit_code=outcome.exit_code, exit_signal=outcome.exit_signal)
    return CustomStatus.FINISHED if found is verdicts.COMPARE else CustomStatus(found.value)


def why(outcome: RunOutcome, limits: RunLimits) -> tuple[Mapping[str, Any], ...]:
    """The reasons of a run that did not finish well."""
    if status_of(outcome) is CustomStatus.FINISHED:
        return ()
    return (runs.why(outcome.rule, outcome, limits, None),)


def as_result(claim: CustomClaim, report: CustomReport) -> dict[str, Any]:
    """The measures, ready for JSON; the output itself is not among them."""
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
