"""Notifications of commits: they wake the dispatcher within a millisecond, and the event streams of a job.

``serve`` is a child of the tree (see ``listening``). When the dispatcher's listener connects again, it wakes the
dispatcher once, because of commits meanwhile. While it is disconnected, ``wait`` times out and the slow poll does the
work. Event streams learn whether the listener is connected, and poll more often while it is not.
"""

from __future__ import annotations

from typing import NoReturn

import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.listening import Listener
from deepoj.ports.live import LiveReceiver

#: the channels that the queries notify
CHANNEL = "deepoj_outbox"
LIVE_CHANNEL = "deepoj_live"


class PgOutboxNotifications:
    """Notifications of new outbox events (``ports.OutboxNotifications``), for one waiter at a time."""

    def __init__(self, bridge: AioBridge, dsn: str) -> None:
        self._listener = Listener(bridge, dsn, CHANNEL, "deepoj-bell")
        self._notified = trio.Event()

    async def wait(self, timeout_s: float) -> bool:
        notified = self._notified
        with trio.move_on_after(timeout_s):
            await notified.wait()
        if notified.is_set() and notified is self._notified:
            self._notified = trio.Event()
        return notified.is_set()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Listen until the connection is lost; started once it listens. Raises StoreUnavailable (StoreRefused)."""
        await self._listener.serve(lambda _payload: self.notify(), self.notify, task_status=task_status)

    def notify(self) -> None:
        self._notified.set()


class PgLiveNotifications:
    """Notifications of live results of any node."""

    def __init__(self, bridge: AioBridge, dsn: str) -> None:
        self._listener = Listener(bridge, dsn, LIVE_CHANNEL, "deepoj-live")

    async def serve(
        self, receiver: LiveReceiver, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Listen until the connection is lost; started once it listens. Raises StoreUnavailable (StoreRefused)."""
        try:
            await self._listener.serve(receiver.notify, lambda: receiver.listens(well=True), task_status=task_status)
        finally:
            receiver.listens(well=False)
