"""The gate that the canaries shut while this node must take no new work. Jobs already claimed go on."""

from __future__ import annotations

import trio


class Gate:
    """Open or shut. Tasks that take in work wait here first."""

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
        """Park until the gate is open."""
        while not self.is_open:
            await self._opened.wait()
