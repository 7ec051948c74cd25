"""One run in the box, counted and timed: whoever judges asks for his runs here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import trio

from deepoj import observe
from deepoj.judging import verdicts
from deepoj.ports import Box
from deepoj.words import BoxBroken, Joined, RunOutcome, RunSpec


async def run(
    box: Box, spec: RunSpec, kind: str, *, metrics: observe.Metrics, about: Mapping[str, Any] | None = None
) -> RunOutcome:
    """Runs ``spec`` as ``ports.Box`` does. ``kind`` (``compile``, ``run``, …) and ``about`` (of whom: log fields) go
    with what is logged of a failure of the sandbox."""
    with _counted(metrics) as counted:
        outcome = await box.run(spec)
        counted.result = outcome.verdict.value
    _tell(outcome, kind, metrics, about)
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
    """Runs both as ``ports.Box.run_joined`` does, counted as one run: the program's."""
    with _counted(metrics) as counted:
        joined = await box.run_joined(program, interactor, is_settled=is_settled)
        counted.result = joined.program.verdict.value
    _tell(joined.program, "run", metrics, about)
    _tell(joined.interactor, "interact", metrics, about)
    return joined


@dataclass(slots=True)
class _Counted:
    result: str = "broken"


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


def _tell(outcome: RunOutcome, kind: str, metrics: observe.Metrics, about: Mapping[str, Any] | None) -> None:
    if (outcome.verdict, outcome.rule) not in verdicts.RUN_TABLE:
        metrics.judge_protocol_errors.labels(reason="unknown_rule").inc()
    if outcome.sandbox_error is not None:
        observe.log("exec_failed", sandbox_error=str(outcome.sandbox_error), reason=kind, **(about or {}))
