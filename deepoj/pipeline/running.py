"""One run in the box, counted and timed: whoever judges asks for his runs here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import trio

from deepoj import observe
from deepoj.judging import verdicts
from deepoj.ports import Box
from deepoj.words import BoxBroken, RunOutcome, RunSpec


async def run(
    box: Box, spec: RunSpec, kind: str, *, metrics: observe.Metrics, about: Mapping[str, Any] | None = None
) -> RunOutcome:
    """Runs ``spec`` as ``ports.Box`` does. ``kind`` (``compile``, ``run``, …) and ``about`` (of whom: log fields) go
    with what is logged of a failure of the sandbox."""
    started = time.monotonic()
    result = "broken"
    metrics.judge_exec_inflight.inc()
    try:
        outcome = await box.run(spec)
        result = outcome.verdict.value
    except trio.Cancelled:
        result = "cancelled"
        raise
    except BoxBroken:
        metrics.judge_protocol_errors.labels(reason="box_broken").inc()
        raise
    finally:
        metrics.judge_exec_inflight.dec()
        metrics.judge_exec.labels(result=result).inc()
        metrics.judge_exec_duration_seconds.labels(result=result).observe(time.monotonic() - started)
    if (outcome.verdict, outcome.rule) not in verdicts.RUN_TABLE:
        metrics.judge_protocol_errors.labels(reason="unknown_rule").inc()
    if outcome.sandbox_error is not None:
        observe.log("exec_failed", sandbox_error=str(outcome.sandbox_error), reason=kind, **(about or {}))
    return outcome
