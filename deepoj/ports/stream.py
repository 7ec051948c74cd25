"""The stream, and the outbox's wake-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deepoj.ports.playground import RunNotifier
from deepoj.words.outbox import OutboxEvent
from deepoj.words.stream import BadEntry, Entry, PressureSnapshot, Unread


class OutboxNotifications(Protocol):
    """Wakes the dispatcher after a commit. A lost notification is harmless, because the dispatcher also polls
    slowly. Implemented by ``adapters.pg.notifications``."""

    async def wait(self, timeout_s: float) -> bool:
        """Return True when notified, False after the timeout. A notification while no task waits is remembered."""
        ...

    def notify(self) -> None:
        """Notify the task of this process that waits."""
        ...


class JobStream(RunNotifier, Protocol):
    """The Redis stream and its group. Raises StreamUnavailable. The group is created at 0 when it is missing.
    Implemented by ``adapters.redis.stream``."""

    async def publish(self, events: Sequence[OutboxEvent]) -> list[str]:
        """Publish in a pipeline: payload envelope with TTL, then XADD. Return entry ids in the order of ``events``.
        After an exception it is unknown which of them arrived: publish them again, the claim refuses doubles."""
        ...

    async def read(self, count: int, block_ms: int) -> list[Entry | BadEntry]:
        """Return new entries for this consumer."""
        ...

    async def own_pending(self, count: int) -> list[Entry | BadEntry]:
        """Return entries delivered to this consumer and never acked. Read once at the start, because a cancelled
        blocking read can leave an entry pending unseen."""
        ...

    async def unread(self, priority: int, limit: int) -> list[Entry]:
        """Return the entries of a lane among the first ``limit`` that the group has not read; they stay unread."""
        ...

    async def take_out(self, entry_ids: Sequence[str]) -> None:
        """Delete entries whose jobs were claimed without reading them. Those that are gone are ignored."""
        ...

    async def ack(self, entry_ids: Sequence[str]) -> int: ...

    async def reclaim(self, min_idle_ms: int, cursor: str, count: int) -> tuple[str, list[Entry | BadEntry]]:
        """XAUTOCLAIM from ``cursor`` (``0-0`` to begin); return the next cursor and the entries taken over."""
        ...

    async def set_idle(self, entry_ids: Sequence[str], idle_ms: int) -> None:
        """Set the idle time of entries that were read or taken over in vain. Entries that are no longer pending are
        ignored."""
        ...

    async def live_entries(self, entry_ids: Sequence[str]) -> set[str]:
        """Return those that exist and are undelivered, or exist and are pending in the group: a consumer will get them.
        The cost per entry does not depend on the stream's length."""
        ...

    async def trim(self, max_len: int) -> int:
        """Trim by MINID, never past the oldest unfinished entry, and only when longer than ``max_len``."""
        ...

    async def undelivered(self, limit: int) -> Unread:
        """Count the first ``limit`` entries that the group has not read. One without a number as its priority counts as
        interactive."""
        ...

    async def pressure(self) -> PressureSnapshot: ...

    async def live_consumers(self, idle_ms: int) -> int:
        """Count the group's consumers that spoke to the server within the last ``idle_ms``."""
        ...

    async def forget_consumers(self, idle_ms: int) -> list[str]:
        """Remove consumers from the group that were silent for ``idle_ms`` and have no pending entry. Return their
        names. One with a pending entry is never removed: the entry would be neither pending nor undelivered."""
        ...

    async def ping(self) -> None: ...

    def has_just_answered(self) -> bool:
        """Return whether a command was answered within seconds, and none has failed since."""
        ...
