"""Step 2: the dispatcher's round, from the outbox to the stream.

The outbox is the priority queue. A stream cannot be one, because its entries leave in the order in which they came. So
the stream holds only a small *window* of unread entries, just enough that no worker finds it empty. All other events
wait in the database. Three rules choose the next events:

* *Lanes*: contest, interactive, batch, rejudge. A lane goes before the lower ones. While a lower lane waits, one place
  in ``lower_share`` is left to the lanes below. So no flood starves a lane.
* *Users in turn*: within a lane each user has one event in each round (``turn``, migration 021). Another user waits for
  one event of a user who sends 500, not for 500.
* *The window* is the number of jobs that the readers take in a fifth of a second. A fixed one would be too long a queue
  for two slots, or too short a queue for two hundred. It is at least four. While only batches and rejudges are due it
  may be one, because the next submission waits behind all unread jobs. Behind four jobs of a batch that took two
  seconds each, it waited 5.0 s (median, two slots).

An event of a contest may exceed the window while fewer than ``WINDOW_MIN`` entries of contests are unread: nodes with
slots for contests take them from between the entries that have to wait (``nursery.contests.TakeContestJobs``).

While no event waits, a new event is published into the room known from the last look, before the next look. So in an
idle system a submission needs no question to Redis first. ``publish_handed`` publishes an event of this process even
before the next round; that round marks it.

Several dispatchers look at the same stream: together they may overshoot the window by one window each. What others send
hides as many reads from a dispatcher, so its window is smaller then.

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

import math
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from deepoj import observe
from deepoj.ports.outbox import Outbox
from deepoj.ports.stream import JobStream
from deepoj.words.errors import StreamUnavailable
from deepoj.words.outbox import LANES, WAITED_FOR, OutboxEvent, OutboxWaiting, Priority, PublishedEvent
from deepoj.words.stream import Unread

#: the smallest window while people wait: it keeps one node busy until the next round, and is a short queue for the next
#: user
WINDOW_MIN = 4
#: unread entries are counted, and searched for jobs of contests, up to this number; behind as many nothing goes
LOOKED_AT = 500
#: how many seconds of reading the window holds; ``api.outbox.dispatch_interval_ms``, the longest pause between two
#: rounds, has this default
AHEAD_S = 0.2
#: over how many seconds the reading is averaged
RATE_OVER_S = 0.5


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
    #: jobs read per second, over about the last ``RATE_OVER_S``. Deleted entries count as read; what another dispatcher
    #: sends meanwhile is subtracted
    rate: float = 0.0
    #: unread jobs after the last round
    unread: int = 0
    #: when the last round began
    looked_at_s: float = 0.0
    #: how many events that people wait for may go before the next look, while none waits
    room: int = WINDOW_MIN
    #: the last look found no undelivered event
    is_calm: bool = True
    #: the last look found no unread job
    is_used_up: bool = True

    def seen(self, unread: Unread, waiting: OutboxWaiting, now_s: float) -> Lanes:
        """Return the state after a look at both stores, in a round that began at ``now_s`` on a monotonic clock."""
        taken = max(0, self.unread - unread.jobs) if unread.is_all else 0
        rate = self.rate * math.exp((self.looked_at_s - now_s) / RATE_OVER_S) + taken / RATE_OVER_S
        room = WINDOW_MIN - unread.jobs  # the rate may be another when it is used
        return replace(
            self,
            credit=self.credit if waiting.is_waiting else {},
            rate=rate,
            unread=unread.jobs,
            looked_at_s=now_s,
            room=max(0, room) if unread.is_all else 0,
            is_calm=not waiting.is_waiting,
            is_used_up=unread.is_all and unread.jobs == 0,
        )

    @property
    def half_used_s(self) -> float:
        """In how many seconds the readers take half of the unread jobs; infinite without any."""
        return self.unread / 2 / self.rate if self.unread and self.rate else math.inf

    def window(self, due: Collection[Priority], largest: int) -> int:
        """Return the maximum number of unread jobs while events of the lanes ``due`` wait. Contests may exceed it, see
        ``_has_place``."""
        is_waited_for = any(lane in WAITED_FOR for lane in due)
        return max(WINDOW_MIN if is_waited_for else 1, min(math.ceil(self.rate * AHEAD_S), largest))

    def share(
        self, due: Mapping[Priority, int], unread: Unread, settings: OutboxSettings
    ) -> tuple[Counter[Priority], Lanes]:
        """Choose the next events; none unless all unread entries were counted. ``due``: how many each lane has. Return
        how many go of each, and the state after that."""
        left, credit, chosen = dict(due), dict(self.credit), Counter[Priority]()
        jobs, contests = unread.jobs, unread.contests
        for _ in range(settings.batch_size if unread.is_all else 0):
            of_lanes = [lane for lane in LANES if left.get(lane, 0)]
            if not of_lanes:
                break
            window = self.window(of_lanes, settings.batch_size)
            lane, credit_after = _next_lane(of_lanes, credit, settings.lower_share)
            if _has_place(lane, window, jobs, contests):
                credit = credit_after
            elif of_lanes[0] is Priority.CONTEST and _has_place(Priority.CONTEST, window, jobs, contests):
                lane = Priority.CONTEST  # entries that wait for other slots hold up none for slots of contests
            else:
                break  # a lower lane would get more than its share
            left[lane] -= 1
            chosen[lane] += 1
            jobs += 1
            contests += lane is Priority.CONTEST
        return chosen, replace(self, credit=credit)

    def moved(self, count: int) -> Lanes:
        """Return the state after ``count`` events came into the stream."""
        return replace(self, unread=self.unread + count)


def _has_place(lane: Priority, window: int, jobs: int, contests: int) -> bool:
    """Return whether an event of a lane may go beside so many unread jobs, and contests among them."""
    if lane is Priority.CONTEST:
        return jobs < window or contests < WINDOW_MIN
    return jobs - contests < window


def _next_lane(
    lanes: Sequence[Priority], credit: Mapping[Priority, int], lower_share: int
) -> tuple[Priority, dict[Priority, int]]:
    """Choose the lane of the next place, and return the credit after that. Each leaves one place in ``lower_share`` to
    those below it."""
    after = dict(credit)
    for lane in lanes[:-1]:
        used = after.get(lane, 0)
        if used < lower_share - 1:
            after[lane] = used + 1
            return lane, after
        after[lane] = 0
    return lanes[-1], after


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
    now_s: float,
    handed: Sequence[OutboxEvent] = (),
    published: Sequence[PublishedEvent] = (),
) -> DispatchRound:
    """Do one round, which begins at ``now_s`` on a monotonic clock: publish due events, as many as ``Lanes.share`` lets
    go. ``handed``: events that requests of this process have written as taken, each into a place of the window.
    ``published``: those that are in the stream and not marked.

    Raises:
      StoreUnavailable: before or after publishing; another dispatcher or the next start repeats the round.
      StreamUnavailable: after ``last_error`` was recorded, if events were taken; they become due again.
    """
    moved = len(published)
    if published:
        await mark_published(outbox, published)
    if handed:
        moved += await _deliver(outbox, stream, metrics, handed)
    if not moved and lanes.is_calm:
        places = min(lanes.room, settings.batch_size)
        moved = await _move(outbox, stream, settings, metrics, dict.fromkeys(WAITED_FOR, places), limit=places)
    lanes = lanes.moved(moved)
    waiting = await outbox.outbox_waiting(settings.batch_size)
    unread = await _look(stream, waiting, lanes.window(waiting.due, settings.batch_size))
    lanes = lanes.seen(unread, waiting, now_s)
    going, lanes = lanes.share(waiting.due, unread, settings)
    if going:
        moved_now = await _move(outbox, stream, settings, metrics, going, limit=sum(going.values()))
        moved, lanes = moved + moved_now, lanes.moved(moved_now)
    return DispatchRound(moved=moved, is_waiting=waiting.is_waiting, lanes=lanes)


async def _look(stream: JobStream, waiting: OutboxWaiting, window: int) -> Unread:
    """Count unread entries, up to a few more than the window, or to ``LOOKED_AT`` if an event may go all the same: one
    of a contest, which is taken from between the others, or any, where most entries announce runs. (The server needs
    3.4 ms for 500.)"""
    unread = await stream.undelivered(window + 4 * WINDOW_MIN)
    if unread.is_all or not (Priority.CONTEST in waiting.due or unread.jobs - unread.contests < window):
        return unread
    return await stream.undelivered(LOOKED_AT)


async def _move(
    outbox: Outbox,
    stream: JobStream,
    settings: OutboxSettings,
    metrics: observe.Metrics,
    counts: Mapping[Priority, int],
    *,
    limit: int,
) -> int:
    """Take due events, at most ``limit`` and of each lane at most its count, and deliver them. Return their number."""
    events = await outbox.take_outbox(limit, settings.retry_base_s, settings.retry_max_s, lanes=counts)
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
