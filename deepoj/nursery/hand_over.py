"""Events on their way from the request that wrote them to this node's dispatcher (``ports.HandOver``).

What if we die while an event is here? It is in the outbox as one that a dispatcher has taken: due again after its
backoff, for the next poll of any dispatcher. If it is published twice, the claim refuses the second entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from deepoj.ports.stream import OutboxNotifications
from deepoj.words.outbox import OutboxEvent


@dataclass(slots=True, kw_only=True)
class LocalHandOver:
    """Implements ``ports.HandOver``. ``hidden_s``: how long other dispatchers leave a handed event alone."""

    notifications: OutboxNotifications
    hidden_s: float
    #: how many events the dispatcher takes; 0 while it does not run or other events wait
    _room: int = 0
    #: whether it takes any: a place that is given back later is no longer one
    _is_open: bool = False
    #: places of events that are being written
    _reserved: int = 0
    _events: list[OutboxEvent] = field(default_factory=list)

    def reserve(self) -> float | None:
        if self._room <= 0:
            return None
        self._room -= 1
        self._reserved += 1
        return self.hidden_s

    def settle(self, event: OutboxEvent | None, *, is_stored: bool) -> None:
        self._reserved -= 1
        if event is not None:
            self._events.append(event)
        elif self._is_open:
            self._room += 1
        if is_stored:
            self.notifications.notify()

    def open(self, room: int) -> None:
        """Let requests hand over events: ``room`` with those that are on their way."""
        self._room, self._is_open = max(0, room - self._reserved - len(self._events)), room > 0

    def take(self) -> list[OutboxEvent]:
        """Return the events that were handed over since the last call."""
        events, self._events = self._events, []
        return events
