"""The outbox: events that wait in the database for the stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from deepoj.words.outbox import OutboxEvent, OutboxPending, OutboxWaiting, Priority


class HandOver(Protocol):
    """A dispatcher in this process, which publishes events of the requests that wrote them. They need no notification
    and no statement that takes them. Implemented by ``nursery.hand_over``."""

    def reserve(self) -> float | None:
        """Reserve a place in the stream for an event that is about to be written. Return for how many seconds other
        dispatchers have to leave the event alone. None: there is no place, or other events wait."""
        ...

    def settle(self, event: OutboxEvent | None, *, is_stored: bool) -> None:
        """Use a reserved place for an event that is committed, which is published at once; None: give the place back.
        ``is_stored``: an event may have been written all the same, so the dispatcher looks for it."""
        ...

    async def wait_begun(self) -> None:
        """Park until the settled events are on their way to the stream. It does not wait for the stream."""
        ...


class Outbox(Protocol):
    """Events that are written with a change of a row, and what of them waits. Raises StoreUnavailable. Implemented by
    ``adapters.pg.outbox``."""

    async def take_outbox(
        self, limit: int, retry_base_s: float, retry_max_s: float, *, lanes: Mapping[Priority, int] | None = None
    ) -> list[OutboxEvent]:
        """Take due pending events, at most ``limit``: higher lanes first, within a lane the users in turn, and the
        events of one user in their order. ``lanes``: maximum number per lane, none of a lane that is not named; None:
        no such maximum. A taken event is hidden from other dispatchers for the backoff ``min(base * 2**(attempts-1),
        max)``. So a dispatcher that dies with it only delays it."""
        ...

    async def mark_delivered(self, delivered: Sequence[tuple[int, str]]) -> None:
        """Mark events as delivered: (event id, stream entry id) pairs."""
        ...

    async def mark_undelivered(self, event_ids: Sequence[int], error: str) -> None:
        """Record ``last_error``; the backoff that was set by taking them remains."""
        ...

    async def outbox_waiting(self, limit: int) -> OutboxWaiting:
        """Return the number of due events per lane, counted to ``limit``: the cost does not grow with the backlog."""
        ...

    async def outbox_pending(self) -> OutboxPending:
        """Return the numbers for gauges, counted to at most ten thousand per lane. Not for use in a request."""
        ...
