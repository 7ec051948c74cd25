"""The child that precompiles the headers that compilations asked for, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj.execution.header_cache import HeaderCache


@dataclass(frozen=True, slots=True)
class Precompile:
    """The child. A header that cannot be built does not end it: the cache bounds how often a build is tried."""

    cache: HeaderCache

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        while True:
            await self.cache.build(await self.cache.next())
