"""Whether this node takes new work: the canaries' say. Jobs in hand are not concerned."""

from __future__ import annotations

import trio


class Gate:
    """Open or shut; who takes in work waits here first."""

    def __init__(self, *, is_open: bool = True) -> None:
        self._opened = trio.Event()
        if is_open:
            self._opened.set()

    @property
    def is_open(self) -> bool:
        return self._opened.is_set()

    def open(self) -> None:
        self._opened.set()

    def shut(self) -> None:
        if self.is_open:
            self._opened = trio.Event()

    async def wait_open(self) -> None:
        """Parks until it is open."""
        while not self.is_open:
            await self._opened.wait()
