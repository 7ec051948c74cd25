"""The children of the ``servers`` nursery: embedded PostgreSQL and Valkey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trio

from deepoj import observe
from deepoj.adapters.embedded import EmbeddedHome, run_postgres, run_valkey
from deepoj.nursery.supervise import Child
from deepoj.wiring.children.parts import Parts
from deepoj.words.errors import ServerFell

#: if an embedded server ends more often than this in a minute, another start does not help
SERVER_BUDGET = 5


def servers(parts: Parts) -> list[Child]:
    """Return the embedded servers in order of start; none on a node that uses external ones."""
    home = parts.adapters.home
    if home is None:
        return []
    runner = _ServerRunner(home, parts.on_step)
    return [
        Child(name="postgres", run=runner.run_postgres, restart_on=(ServerFell,), budget=SERVER_BUDGET),
        Child(name="valkey", run=runner.run_valkey, restart_on=(ServerFell,), budget=SERVER_BUDGET),
    ]


@dataclass(frozen=True, slots=True)
class _ServerRunner:
    """Runs the servers of a home, and reports each step of their start."""

    home: EmbeddedHome
    on_step: Callable[[str], None]

    async def run_postgres(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.on_step("starting PostgreSQL")
        await run_postgres(self.home, progress=self._report, task_status=task_status)

    async def run_valkey(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.on_step("starting Valkey")
        await run_valkey(self.home, progress=self._report, task_status=task_status)

    def _report(self, sentence: str) -> None:
        observe.log("embedded", text=sentence)
        self.on_step(sentence)
