"""Step 2: the dispatcher's round, from the outbox to the stream.

The outbox is the priority queue, for the stream can be none: what is in it comes out in the order in which it went in,
so whatever stands there already stands before the next submission. Two lanes:

* *interactive* (priority 0 and above): somebody waits. Sent at once, always.
* *background* (below 0, rejudges): waits in the database, where it costs nobody anything, and goes

  - into the room of a small window: while fewer entries than that are unread, so that the judges never run dry and an
    interactive entry has at most a window before it. The window follows the judges: it doubles when they emptied it
    between two rounds, and halves when they left more than half of it. A window of fixed size would be too long a
    queue for two slots, or too short a one for two hundred;
  - and, while a flood of interactive ones leaves no room, as one of ``background_share`` entries. That is what keeps a
    rejudge from starving; a bound on its age would let five thousand of one age through at one moment.

With several dispatchers each looks at the same stream: together they may overshoot the window by one window each.

Two stores meet here; what if we die between the lines?

* taken, not published: the event stays ``pending`` and comes due again after its backoff. At least once.
* the interactive lane sent, the background not: it is the next round's. What the rounds hand on (``Lanes``) may be
  lost: the share begins at nothing, the window small.
* published, not marked: it will be published again. The claim refuses the second entry of a job.
* published, the answer lost (StreamUnavailable): the same. The payload is never deleted here: a delivered entry whose
  payload is gone would have nothing to point to.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from deepoj import observe
from deepoj.ports import Jobs, JobStream
from deepoj.words import OutboxEvent, OutboxWaiting, StreamUnavailable

#: the smallest window: what keeps one node busy until the next round without making anybody wait
WINDOW_MIN = 4


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """At most ``batch_size`` events of each lane a round; backoff of an undelivered event from ``retry_base_s`` to
    ``retry_max_s``; of a flood, one in ``background_share`` (at least 2) is of the background."""

    batch_size: int
    retry_base_s: float
    retry_max_s: float
    background_share: int = 4


@dataclass(frozen=True, slots=True)
class Lanes:
    """What one round hands on to the next about the background lane.

    Args:
      credit: interactive events sent while the background waited, not yet paid for with one of its own.
      window: so many entries may be unread with background ones among them.
      filled: the last round put something there.
    """

    credit: int = 0
    window: int = WINDOW_MIN
    filled: bool = False

    def seen(self, unread: int, largest: int) -> Lanes:
        """The window after a look at the stream, at most ``largest``."""
        if unread == 0 and self.filled:
            return replace(self, window=max(WINDOW_MIN, min(self.window * 2, largest)))
        if unread * 2 > self.window:
            return replace(self, window=max(WINDOW_MIN, self.window // 2))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a round moved, and what waits after it."""

    interactive: int
    background: int
    waiting: OutboxWaiting
    lanes: Lanes


async def dispatch(
    jobs: Jobs, stream: JobStream, settings: OutboxSettings, metrics: observe.Metrics, lanes: Lanes
) -> Round:
    """One round: the interactive lane, then what the background may have.

    Raises:
      StoreUnavailable: before or after publishing; the round is repeated by whoever comes next.
      StreamUnavailable: after ``last_error`` was recorded; the events come due again by themselves.
    """
    interactive = await _move(jobs, stream, settings, metrics, limit=settings.batch_size)
    waiting = await jobs.outbox_waiting()
    if not waiting.background:
        # Nobody waits for a share: what was sent meanwhile is owed to nobody.
        return Round(interactive=interactive, background=0, waiting=waiting, lanes=replace(lanes, credit=0))
    unread = await stream.undelivered(lanes.window)
    room = max(0, lanes.window - unread)
    share, credit = divmod(lanes.credit + interactive, settings.background_share - 1)
    lanes = replace(lanes.seen(unread, settings.batch_size), credit=credit)
    allowed = min(max(room, share), settings.batch_size)
    background = await _move(jobs, stream, settings, metrics, background=allowed) if allowed else 0
    return Round(
        interactive=interactive,
        background=background,
        waiting=waiting,
        lanes=replace(lanes, filled=background > 0),
    )


async def _move(
    jobs: Jobs,
    stream: JobStream,
    settings: OutboxSettings,
    metrics: observe.Metrics,
    *,
    limit: int = 0,
    background: int = 0,
) -> int:
    """Takes due events, publishes them in one pipeline, marks them. Returns how many it moved."""
    started = time.monotonic()
    events = await jobs.take_outbox(limit, settings.retry_base_s, settings.retry_max_s, background=background)
    if not events:
        return 0
    try:
        entry_ids = await stream.publish(events)
    except StreamUnavailable as error:
        metrics.outbox_dispatch.labels(status="error", reason="stream_unavailable").inc(len(events))
        metrics.stream_enqueue.labels(status="error").inc(len(events))
        await jobs.mark_undelivered([event.id for event in events], str(error))
        raise
    await jobs.mark_delivered([(event.id, entry_id) for event, entry_id in zip(events, entry_ids, strict=True)])
    metrics.outbox_dispatch.labels(status="ok", reason="").inc(len(events))
    metrics.stream_enqueue.labels(status="ok").inc(len(events))
    metrics.outbox_dispatch_latency_seconds.observe(time.monotonic() - started)
    for event, entry_id in zip(events, entry_ids, strict=True):
        _tell(event, entry_id)
    return len(events)


def _tell(event: OutboxEvent, entry_id: str) -> None:
    # The runbook greps for repair_xadd when repair is what brought a job back.
    name = "repair_xadd" if event.event_type == "repair" else "enqueue"
    observe.log(name, job_id=event.job_id, stream_entry_id=entry_id, trace_id=event.trace_id, reason=event.event_type)
