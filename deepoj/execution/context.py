"""What every attempt of a node needs, in one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deepoj import observe
from deepoj.execution import execute
from deepoj.execution.compiling import Compiler
from deepoj.execution.deferred import DeferredWork, StartTask
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.ports.sandbox import Box
from deepoj.ports.slots import IdleSlots
from deepoj.words.sandbox import RunOutcome, RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptContext:
    """The sandbox, the compiler and the settings of attempts. A node builds one; each attempt adds its log fields."""

    box: Box
    compiler: Compiler
    #: the workspace: each attempt has a directory in it while it runs
    workdir: Path
    settings: JudgeSettings
    metrics: observe.Metrics
    #: for tests of an attempt beside each other; None: one after the other
    idle_slots: IdleSlots | None = None
    #: starts a task of the node; None: the attempt waits for all of its work
    start_task: StartTask | None = None
    #: what the attempt's verdict does not wait for
    deferred: DeferredWork = field(default_factory=DeferredWork)
    #: log fields that name the attempt
    about: Mapping[str, Any] = field(default_factory=dict)

    def of_attempt(self, about: Mapping[str, Any]) -> AttemptContext:
        """Return the context of one attempt, which ``about`` names."""
        return replace(self, about=about, deferred=DeferredWork(self.start_task))

    async def run(self, spec: RunSpec, kind: str) -> RunOutcome:
        """Execute one program in the sandbox, as ``execute.run`` does."""
        return await execute.run(self.box, spec, kind, metrics=self.metrics, about=self.about)
