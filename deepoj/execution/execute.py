"""Execute a program in the sandbox, counted and timed. Every step that executes one does it through this module.

A run that exceeded its wall limit because other programs kept it from running is repeated once, alone; see
``judging.borderline``. Only the host can cause that, so no program can get additional runs by its behaviour.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import trio

from deepoj import observe
from deepoj.judging import borderline, verdicts
from deepoj.ports.sandbox import Box
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import Joined, RunOutcome, RunSpec, RunVerdict


async def run(
    box: Box, spec: RunSpec, kind: str, *, metrics: observe.Metrics, about: Mapping[str, Any] | None = None
) -> RunOutcome:
    """Run ``spec`` as ``ports.Box`` does. ``kind`` (``compile``, ``run``, …) and ``about`` (log fields that name the
    job) are logged with a failure of the sandbox."""
    outcome = await _run(box, spec, metrics)
    if borderline.is_starved(outcome, spec.limits):
        _log_starved(outcome, kind, about)
        outcome = await _run(box, replace(spec, alone_within_s=borderline.STARVED_WAIT_S), metrics)
        if borderline.is_starved(outcome, spec.limits):
            outcome = borderline.starved(outcome)
    _log_failure(outcome, kind, metrics, about)
    return outcome


async def run_joined(
    box: Box,
    program: RunSpec,
    interactor: RunSpec,
    is_settled: Callable[[RunOutcome], bool],
    *,
    metrics: observe.Metrics,
    about: Mapping[str, Any] | None = None,
) -> Joined:
    """Run both as ``ports.Box.run_joined`` does. They count as one run: the program's."""
    limits = program.limits, interactor.limits
    joined = await _run_joined(box, program, interactor, is_settled, metrics)
    if borderline.is_pair_starved(joined, *limits):
        _log_starved(joined.program, "run", about)
        alone = replace(program, alone_within_s=borderline.STARVED_WAIT_S)
        joined = await _run_joined(box, alone, interactor, is_settled, metrics)
        if borderline.is_pair_starved(joined, *limits):
            joined = replace(joined, program=borderline.starved(joined.program))
    _log_failure(joined.program, "run", metrics, about)
    _log_failure(joined.interactor, "interact", metrics, about)
    return joined


async def _run(box: Box, spec: RunSpec, metrics: observe.Metrics) -> RunOutcome:
    with _counted(metrics) as counted:
        outcome = await box.run(spec)
        counted.end(outcome, is_starved=borderline.is_starved(outcome, spec.limits))
    return outcome


async def _run_joined(
    box: Box,
    program: RunSpec,
    interactor: RunSpec,
    is_settled: Callable[[RunOutcome], bool],
    metrics: observe.Metrics,
) -> Joined:
    with _counted(metrics) as counted:
        joined = await box.run_joined(program, interactor, is_settled=is_settled)
        is_starved = borderline.is_pair_starved(joined, program.limits, interactor.limits)
        counted.end(joined.program, is_starved=is_starved)
    return joined


@dataclass(slots=True)
class _Counted:
    result: str = "broken"

    def end(self, outcome: RunOutcome, *, is_starved: bool) -> None:
        """Set the result of a run. What the program did, such as TLE, would tell verdicts that contests hide."""
        is_hosts = outcome.verdict is RunVerdict.SE
        self.result = "starved" if is_starved else outcome.verdict.value if is_hosts else "ended"


@contextmanager
def _counted(metrics: observe.Metrics) -> Iterator[_Counted]:
    started = time.monotonic()
    counted = _Counted()
    metrics.judge_exec_inflight.inc()
    try:
        yield counted
    except trio.Cancelled:
        counted.result = "cancelled"
        raise
    except BoxBroken:
        metrics.judge_protocol_errors.labels(reason="box_broken").inc()
        raise
    finally:
        metrics.judge_exec_inflight.dec()
        metrics.judge_exec.labels(result=counted.result).inc()
        metrics.judge_exec_duration_seconds.labels(result=counted.result).observe(time.monotonic() - started)


def _log_starved(outcome: RunOutcome, kind: str, about: Mapping[str, Any] | None) -> None:
    observe.log(
        "exec_starved",
        level="warning",
        reason=kind,
        cpu_ms=outcome.cpu_ms,
        wall_ms=outcome.wall_ms,
        delay_s=outcome.delay_ms / 1000,
        **(about or {}),
    )


def _log_failure(outcome: RunOutcome, kind: str, metrics: observe.Metrics, about: Mapping[str, Any] | None) -> None:
    if (outcome.verdict, outcome.rule) not in verdicts.RUN_TABLE:
        metrics.judge_protocol_errors.labels(reason="unknown_rule").inc()
    if outcome.sandbox_error is not None:
        observe.log("exec_failed", sandbox_error=str(outcome.sandbox_error), reason=kind, **(about or {}))
