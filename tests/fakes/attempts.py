"""Contexts of attempts, as a node builds them."""

from __future__ import annotations

from pathlib import Path

from deepoj.execution.compiling import Compiler
from deepoj.execution.context import AttemptContext
from deepoj.execution.deferred import StartTask
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.observe import Metrics
from deepoj.ports.sandbox import Box
from tests.fakes.settings import judge_settings


def attempt_context(
    box: Box,
    workdir: Path,
    settings: JudgeSettings | None = None,
    *,
    metrics: Metrics | None = None,
    compiler: Compiler | None = None,
    start_task: StartTask | None = None,
) -> AttemptContext:
    """Return a context with default settings and a compiler without caches."""
    settings, metrics = settings or judge_settings(), metrics or Metrics()
    compiler = compiler or Compiler(box, settings=settings, metrics=metrics)
    return AttemptContext(
        box=box, compiler=compiler, workdir=workdir, settings=settings, metrics=metrics, start_task=start_task
    )
