"""Events on their way from the request that wrote them to the stream (``ports.HandOver``).

While this node's dispatcher runs, a task of it publishes each event at once, beside the answer to the request. The
dispatcher marks published events in groups, ``mark_after_s`` later. Its round would otherwise share the interpreter
with the claim and the preparation of the job: in a trace of an idle node, three of its crossings fell into the 10 ms
between the commit and the start of the compiler.

What if we die while an event is here? It is in the outbox as one that a dispatcher has taken: due again after its
backoff, for the next poll of any dispatcher. If it is published twice, because it was not marked, the claim refuses the
second entry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import trio

from deepoj.ports.stream import OutboxNotifications
from deepoj.ports.tasks import Start
from deepoj.words.outbox import OutboxEvent, PublishedEvent

#: the longest pause before published events are marked: by then a job's compiler usually runs, and has not ended
MARK_AFTER_S = 0.02
#: how long publishing one event may take, also during a stop; after that the dispatcher tries
PUBLISH_S = 1.0

#: publishes an event; None: the stream did not take it, as far as is known
type Publish = Callable[[OutboxEvent], Awaitable[PublishedEvent | None]]


@dataclass(slots=True, kw_only=True)
class LocalHandOver:
    """Implements ``ports.HandOver``. ``hidden_s``: how long other dispatchers leave a handed event alone."""

    notifications: OutboxNotifications
    hidden_s: float
    #: how many events the dispatcher takes; 0 while it does not run or other events wait
    _room: int = 0
    #: whether it takes any: a place that is given back later is no longer one
    _is_open: bool = False
    #: places of events that are being written or published
    _reserved: int = 0
    #: events that the next round publishes
    _events: list[OutboxEvent] = field(default_factory=list)
    #: events that the next round marks
    _published: list[PublishedEvent] = field(default_factory=list)
    #: starts a task of the dispatcher that publishes; None while it does not run
    _start: Callable[[OutboxEvent], None] | None = None
    #: set once the last settled event is on its way
    _begun: trio.Event = field(default_factory=trio.Event)

    @property
    def mark_after_s(self) -> float:
        return min(MARK_AFTER_S, self.hidden_s / 4)

    @property
    def room(self) -> int:
        """How many places no event has."""
        return self._room

    def reserve(self) -> float | None:
        if self._room <= 0:
            return None
        self._room -= 1
        self._reserved += 1
        return self.hidden_s

    def settle(self, event: OutboxEvent | None, *, is_stored: bool) -> None:
        if event is not None and self._start is not None:
            self._start(event)
            return
        self._reserved -= 1
        if event is not None:
            self._events.append(event)
        elif self._is_open:
            self._room += 1
        if is_stored:
            self.notifications.notify()

    async def wait_begun(self) -> None:
        if self._start is not None:
            await self._begun.wait()

    def begin(self, start: Start, publish: Publish) -> None:
        """Let events be published by tasks of ``start``, until ``end``."""

        def start_one(event: OutboxEvent) -> None:
            self._begun = trio.Event()
            start(self._publish, publish, event, self._begun)

        self._start = start_one

    def end(self) -> None:
        """Take no more events. Those that were not published are due again in the outbox, where a pause of judging
        holds them."""
        self._start = None
        self.open(0)
        self._events.clear()

    def open(self, room: int) -> None:
        """Let requests hand over events: ``room`` with those that are on their way, or were published meanwhile."""
        taken = self._reserved + len(self._events) + len(self._published)
        self._room, self._is_open = max(0, room - taken), room > 0

    def take(self) -> list[OutboxEvent]:
        """Return the events that the dispatcher has to publish since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def published(self) -> Sequence[PublishedEvent]:
        """The events that are to be marked, oldest first."""
        return tuple(self._published)

    def marked(self, count: int) -> None:
        """Forget the oldest ``count`` of ``published``."""
        del self._published[:count]

    async def _publish(self, publish: Publish, event: OutboxEvent, begun: trio.Event) -> None:
        begun.set()
        published = None
        try:
            # A stop does not cut it: the event would be hidden from other nodes for its backoff.
            with trio.move_on_after(PUBLISH_S, shield=True):
                published = await publish(event)
        finally:
            self._reserved -= 1
        if published is None:
            self._events.append(event)
            self.notifications.notify()
            return
        self._published.append(published)
        if self._room > 0:
            if len(self._published) > 1:
                return  # the task of the oldest one wakes the dispatcher
            await trio.sleep(self.mark_after_s)
        self.notifications.notify()
