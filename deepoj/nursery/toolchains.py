"""The child that builds the toolchain archives of this node's languages after a start, before a submission needs one.

Go's takes 20 s of CPU. Without this child the first Go submission after an installation or an upgrade of the toolchain
waits for that. The child builds one archive at a time, and only with a slot that submissions leave: it waits until
another slot stays free, but at most for ``PATIENCE_S``. On a node with one slot, a submission that comes meanwhile
waits for the archive.

What if we die here? The archive is absent or complete (``execution.toolchain_cache``); the next start goes on.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.nursery.background import PATIENCE_S
from deepoj.nursery.gate import Gate
from deepoj.nursery.leases import Leases


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeToolchainArchives:
    """The child. An archive that cannot be built does not end it: a submission that needs the archive tries again."""

    cache: ToolchainCache
    leases: Leases
    gate: Gate
    #: keys of those that this node judges, known when the gate opens
    languages: Collection[str]

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        await self.make_missing()
        await trio.sleep_forever()
        raise AssertionError("it sleeps forever")

    async def make_missing(self) -> None:
        """Build the archives that are missing, once the gate is open."""
        await self.gate.wait_open()
        for key in await self.cache.missing(self.languages):
            await self._make(key)

    async def _make(self, key: str) -> None:
        await self.leases.lend(PATIENCE_S)
        began = time.monotonic()
        try:
            trouble = await self.cache.build(key)
        finally:
            self.leases.take_back()
        duration_ms = round((time.monotonic() - began) * 1000)
        if trouble:
            observe.log("toolchain_archive_refused", level="warning", language=key, reason=trouble)
        else:
            observe.log("toolchain_archive_ready", language=key, duration_ms=duration_ms)
