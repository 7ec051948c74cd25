"""The child that precompiles headers when somebody could have used one, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj.pipeline.headers import HeaderShelf


@dataclass(frozen=True, slots=True)
class Precompile:
    """The child. It does not end for a header that cannot be made: the shelf bounds how often that is tried."""

    shelf: HeaderShelf

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        while True:
            await self.shelf.build(await self.shelf.next())
