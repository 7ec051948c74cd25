"""``PgBell``: a commit wakes the dispatcher within a millisecond. ``PgLiveBell``: it wakes the watchers of a job, too.

``serve`` is a child of the tree (see ``listening``). Whenever the dispatcher's listener connects again, it wakes the
dispatcher once, because of commits meanwhile. While it is disconnected, ``wait`` times out and the slow poll does the
work. Watchers are told whether the listener works, and poll more often while it does not.
"""

from __future__ import annotations

from typing import NoReturn

import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.listening import Listener
from deepoj.ports.live import LiveEars

#: the channels that the queries notify
CHANNEL = "deepoj_outbox"
LIVE_CHANNEL = "deepoj_live"


class PgBell:
    """Wake-ups by the outbox (``ports.OutboxBell``), for one waiter at a time."""

    def __init__(self, bridge: AioBridge, dsn: str) -> None:
        self._listener = Listener(bridge, dsn, CHANNEL, "deepoj-bell")
        self._rung = trio.Event()

    async def wait(self, timeout_s: float) -> bool:
        rung = self._rung
        with trio.move_on_after(timeout_s):
            await rung.wait()
        if rung.is_set() and rung is self._rung:
            self._rung = trio.Event()
        return rung.is_set()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Listen until the connection is lost; started once it listens. Raises StoreUnavailable (StoreRefused)."""
        await self._listener.serve(lambda _payload: self._ring(), self._ring, task_status=task_status)

    def _ring(self) -> None:
        self._rung.set()


class PgLiveBell:
    """Wake-ups by live results of any node."""

    def __init__(self, bridge: AioBridge, dsn: str) -> None:
        self._listener = Listener(bridge, dsn, LIVE_CHANNEL, "deepoj-live")

    async def serve(self, ears: LiveEars, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Listen until the connection is lost; started once it listens. Raises StoreUnavailable (StoreRefused)."""
        try:
            await self._listener.serve(ears.ring, lambda: ears.listens(well=True), task_status=task_status)
        finally:
            ears.listens(well=False)
