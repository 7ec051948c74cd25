"""Step 2: the dispatcher's round, from the outbox to the stream.

The outbox is the priority queue. A stream cannot be one, because its entries leave in the order in which they came. So
the stream holds only a small *window* of unread entries, just enough that no worker finds it empty. All other events
wait in the database. Three rules choose the next events:

* *Lanes*: contest, interactive, batch, rejudge. A lane goes before the lower ones. While a lower lane waits, one place
  in ``lower_share`` is left to the lanes below. So no flood starves a lane.
* *Users in turn*: within a lane each user has one event in each round (``turn``, migration 021). Another user waits for
  one event of a user who sends 500, not for 500.
* *The window* follows the readers. It doubles when they emptied it while more waited, and halves when more than half of
  it is left. A fixed window would be too long a queue for two slots, or too short a queue for two hundred.

Events of contests may go beyond the window, by the smallest one: nodes with slots for contests take them from between
the entries that have to wait (``nursery.contests.TakeContestJobs``).

While no event waits, a new event is published into the room known from the last look, before the next look. So in an
idle system a submission needs no question to Redis first. ``publish_handed`` publishes an event of this process even
before the next round; that round marks it.

Several dispatchers look at the same stream: together they may overshoot the window by one window each.

Two stores meet here; what if we die between the lines?

* taken (or written as taken, and handed over), not published: the event stays ``pending`` and is due again after its
  backoff. Delivery is at least once.
* the state between rounds (``Lanes``) may be lost: the shares begin at zero, the window at its smallest.
* published, not marked: it is published again, so the job has two entries. The claim (``claim`` in
  ``sql/queries/leases.sql``) refuses the second one as ``leased``. It stays in the group, and reclaim brings it again
  until it is acked as ``already_done``.
* published, the answer lost: the same, also where the Redis client itself repeats XADD. The payload is never deleted
  here, because a delivered entry whose payload is missing would point to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from deepoj import observe
from deepoj.ports.outbox import Outbox
from deepoj.ports.stream import JobStream
from deepoj.words.errors import StreamUnavailable
from deepoj.words.outbox import LANES, OutboxEvent, OutboxWaiting, Priority, PublishedEvent

#: the smallest window: it keeps one node busy until the next round, and is a short queue for the next user
WINDOW_MIN = 4


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """``batch_size``: most events per round. ``retry_base_s`` to ``retry_max_s``: backoff of an undelivered event.
    ``lower_share``: while a lower lane waits, one place in this many (at least 2) is left to it."""

    batch_size: int
    retry_base_s: float
    retry_max_s: float
    lower_share: int = 4


@dataclass(frozen=True, slots=True)
class Lanes:
    """The state that one round passes to the next."""

    #: per lane, how many events went while a lower lane waited, since the lower lanes last had a place
    credit: Mapping[Priority, int] = field(default_factory=dict)
    #: maximum number of unread entries
    window: int = WINDOW_MIN
    #: how many more entries may go into the stream, as of the last look
    room: int = WINDOW_MIN
    #: the last round used all its places, so more events may be due
    is_full: bool = False
    #: the last look found no event that could go
    is_calm: bool = True
    #: the last look found more than half of the smallest window unread
    is_ample: bool = False
    #: the last look found nothing unread
    is_used_up: bool = True

    def seen(self, unread: int, waiting: OutboxWaiting, largest: int) -> Lanes:
        """Return the state after a look at both stores; the window is at most ``largest``."""
        window = self.window
        if not waiting.due:
            window = WINDOW_MIN
        elif unread == 0 and self.is_full:
            window = max(WINDOW_MIN, min(window * 2, largest))
        elif unread * 2 > window:
            window = max(WINDOW_MIN, window // 2)
        return replace(
            self,
            credit=self.credit if waiting.is_waiting else {},
            window=window,
            room=max(0, window - unread),
            is_calm=not waiting.is_waiting,
            is_ample=self.window == WINDOW_MIN and unread * 2 > WINDOW_MIN,
            is_used_up=unread == 0,
        )

    def share(self, due: Mapping[Priority, int], places: int, lower_share: int) -> tuple[dict[Priority, int], Lanes]:
        """Divide ``places`` among the lanes. Return the number of events per lane, and the state after that."""
        left, credit, going = dict(due), dict(self.credit), dict[Priority, int]()
        for _ in range(places):
            lanes = [lane for lane in LANES if left.get(lane, 0)]
            if not lanes:
                break
            lane = _next_lane(lanes, credit, lower_share)
            left[lane] -= 1
            going[lane] = going.get(lane, 0) + 1
        return going, replace(self, credit=credit)

    def moved(self, count: int, places: int) -> Lanes:
        """Return the state after a round moved ``count`` events and had ``places``."""
        return replace(self, room=max(0, self.room - count), is_full=count >= places)


def _next_lane(lanes: list[Priority], credit: dict[Priority, int], lower_share: int) -> Priority:
    """Choose the lane of the next place. Each leaves one place in ``lower_share`` to those below it."""
    for lane in lanes[:-1]:
        used = credit.get(lane, 0)
        if used < lower_share - 1:
            credit[lane] = used + 1
            return lane
        credit[lane] = 0
    return lanes[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchRound:
    """How many events a round moved, whether more wait, and the state for the next round."""

    moved: int
    is_waiting: bool
    lanes: Lanes


async def dispatch(
    outbox: Outbox,
    stream: JobStream,
    settings: OutboxSettings,
    metrics: observe.Metrics,
    lanes: Lanes,
    *,
    handed: Sequence[OutboxEvent] = (),
    published: Sequence[PublishedEvent] = (),
) -> DispatchRound:
    """Do one round: publish due events, as many as the window has room for. ``handed``: events that requests of this
    process have written as taken, each into a place of the window. ``published``: those that are in the stream and not
    marked.

    Raises:
      StoreUnavailable: before or after publishing; another dispatcher or the next start repeats the round.
      StreamUnavailable: after ``last_error`` was recorded, if events were taken; they become due again.
    """
    moved = len(published)
    if published:
        await mark_published(outbox, published)
    if handed:
        moved += await _deliver(outbox, stream, metrics, handed)
    if moved:
        lanes = lanes.moved(moved, max(moved, lanes.room))
    elif lanes.is_calm:
        places = min(lanes.room, settings.batch_size)
        moved = await _move(outbox, stream, settings, metrics, limit=places)
        lanes = lanes.moved(moved, places)
    unread = await stream.undelivered(lanes.window + WINDOW_MIN)
    waiting = await outbox.outbox_waiting(settings.batch_size)
    lanes = lanes.seen(unread, waiting, settings.batch_size)
    places = min(lanes.room, settings.batch_size)
    going, lanes = lanes.share(waiting.due, places, settings.lower_share)
    ahead = min(
        waiting.due.get(Priority.CONTEST, 0) - going.get(Priority.CONTEST, 0),
        lanes.window + WINDOW_MIN - unread - sum(going.values()),
    )
    if ahead > 0:
        going[Priority.CONTEST] = going.get(Priority.CONTEST, 0) + ahead
        places += ahead
    if going:
        moved_now = await _move(outbox, stream, settings, metrics, limit=places, lanes=going)
        moved, lanes = moved + moved_now, lanes.moved(moved_now, places)
    return DispatchRound(moved=moved, is_waiting=waiting.is_waiting, lanes=lanes)


async def _move(
    outbox: Outbox,
    stream: JobStream,
    settings: OutboxSettings,
    metrics: observe.Metrics,
    *,
    limit: int,
    lanes: Mapping[Priority, int] | None = None,
) -> int:
    """Take due events (``lanes``: how many of each lane) and deliver them. Return their number."""
    events = await outbox.take_outbox(limit, settings.retry_base_s, settings.retry_max_s, lanes=lanes)
    return await _deliver(outbox, stream, metrics, events) if events else 0


async def publish_handed(stream: JobStream, event: OutboxEvent, metrics: observe.Metrics) -> PublishedEvent | None:
    """Publish an event that a request of this process has written as taken; a later round marks it. None: the stream
    may not have it, and a round has to publish it."""
    started = time.monotonic()
    try:
        (entry_id,) = await stream.publish([event])
    except StreamUnavailable:
        return None
    _count_delivered(metrics, [PublishedEvent(event, entry_id)], started)
    return PublishedEvent(event, entry_id)


async def mark_published(outbox: Outbox, published: Sequence[PublishedEvent]) -> None:
    """Mark events that are in the stream.

    Raises:
      StoreUnavailable: some of them may be published again.
    """
    await outbox.mark_delivered([(one.event.id, one.entry_id) for one in published])


async def _deliver(outbox: Outbox, stream: JobStream, metrics: observe.Metrics, events: Sequence[OutboxEvent]) -> int:
    """Publish taken events in one pipeline and mark them. Return their number."""
    started = time.monotonic()
    try:
        entry_ids = await stream.publish(events)
    except StreamUnavailable as error:
        metrics.outbox_dispatch.labels(status="error", reason="stream_unavailable").inc(len(events))
        metrics.stream_enqueue.labels(status="error").inc(len(events))
        await outbox.mark_undelivered([event.id for event in events], str(error))
        raise
    published = [PublishedEvent(event, entry_id) for event, entry_id in zip(events, entry_ids, strict=True)]
    await mark_published(outbox, published)
    _count_delivered(metrics, published, started)
    return len(events)


def _count_delivered(metrics: observe.Metrics, published: Sequence[PublishedEvent], started: float) -> None:
    """Count and log events that were brought to the stream since ``started``, on the monotonic clock."""
    metrics.outbox_dispatch.labels(status="ok", reason="").inc(len(published))
    metrics.stream_enqueue.labels(status="ok").inc(len(published))
    metrics.outbox_dispatch_latency_seconds.observe(time.monotonic() - started)
    for event, entry_id in ((one.event, one.entry_id) for one in published):
        # The runbook greps for repair_xadd when repair brought a job back.
        name = "repair_xadd" if event.event_type == "repair" else "enqueue"
        observe.log(
            name, job_id=event.job_id, stream_entry_id=entry_id, trace_id=event.trace_id, reason=event.event_type
        )
