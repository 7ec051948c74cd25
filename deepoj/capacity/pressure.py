"""Measure how much waits, in the stream and before it, for backpressure, the metrics and ``deepoj pressure``.

Two stores are read one after the other, not at one moment: a job that moves between them meanwhile is counted twice or
not at all. The figures only decide whether to accept more.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from dataclasses import dataclass, field, replace

import trio

from deepoj import observe
from deepoj.ports.outbox import Outbox
from deepoj.ports.stream import JobStream
from deepoj.words.outbox import LANES, OutboxPending
from deepoj.words.stream import HISTORY_MINUTES, PressureMinute, PressureSnapshot, QueueOutage

UNKNOWN = float("nan")
#: the values of the label ``field`` of ``api_pressure_snapshot``
FIELDS = (
    "xlen", "pending", "lag", "lag_valid", "backlog", "oldest_age_seconds", "approx", "outbox_pending", "waiting",
)  # fmt: skip


async def pressure(outbox: Outbox, stream: JobStream) -> PressureSnapshot:
    """Take one snapshot. Work without an entry in the stream (not sent yet, or lost) is counted by its row.

    Raises:
      StreamUnavailable, StoreUnavailable: the figures are unknown, which does not mean that nothing waits.
    """
    pending = await outbox.outbox_pending()
    snapshot = replace(await stream.pressure(), outbox=pending)
    if pending.oldest_age_ms is not None and pending.oldest_age_ms > (snapshot.oldest_age_ms or 0):
        return replace(snapshot, oldest_age_ms=pending.oldest_age_ms, oldest_age_source="outbox", approx=False)
    if snapshot.oldest_age_ms is not None:
        return snapshot
    if pending.unfinished_age_ms is None:
        return snapshot
    age_ms = pending.unfinished_age_ms
    return replace(snapshot, oldest_age_ms=age_ms, oldest_age_source="database", approx=True)


@dataclass(slots=True)
class LatestPressure:
    """The last snapshot and its time, for callers that cannot wait for a new one, as a request; and the last hour.
    While Redis is away: the outage."""

    #: None: Redis answered last time, or was not asked yet
    outage: QueueOutage | None = None
    #: consumers that have asked Redis for work of late; None: not known
    consumers: int | None = None
    _snapshot: PressureSnapshot | None = None
    _at: float = 0.0
    _minutes: deque[PressureMinute] = field(default_factory=lambda: deque(maxlen=HISTORY_MINUTES))

    def put(self, snapshot: PressureSnapshot) -> None:
        self._snapshot, self._at, self.outage = snapshot, trio.current_time(), None
        self.consumers = snapshot.consumers
        waiting = snapshot.waiting_at_most if snapshot.waiting is None else snapshot.waiting
        minute = snapshot.ts_ms // 60_000
        if self._minutes and self._minutes[-1].minute == minute:
            former = self._minutes.pop()
            waiting, pending = max(waiting, former.waiting), max(snapshot.pending, former.pending)
        else:
            pending = snapshot.pending
        self._minutes.append(PressureMinute(minute, waiting, pending))

    def put_outage(self, outbox: OutboxPending, oldest_age_ms: int | None) -> None:
        """Keep what the database knows while Redis is away. The snapshot before it grows old."""
        since = self.outage.since if self.outage is not None else dt.datetime.now(dt.UTC).isoformat()
        self.outage, self.consumers = QueueOutage(since=since, outbox=outbox, oldest_age_ms=oldest_age_ms), None

    def history(self) -> tuple[PressureMinute, ...]:
        """Return the minutes of the last hour that this node has measured, oldest first."""
        if not self._minutes:
            return ()
        start = self._minutes[-1].minute - HISTORY_MINUTES
        return tuple(one for one in self._minutes if one.minute > start)

    def get(self, max_age_s: float) -> PressureSnapshot | None:
        """Return the snapshot, or None if there was none within ``max_age_s``. None means unknown, not idle."""
        return self._snapshot if trio.current_time() - self._at <= max_age_s else None


def show(snapshot: PressureSnapshot | None, metrics: observe.Metrics) -> None:
    """Set the gauges from a snapshot. An unknown figure is NaN, which leaves a gap in a graph instead of a zero."""
    fields = dict.fromkeys(FIELDS, UNKNOWN) if snapshot is None else _fields(snapshot)
    for name, value in fields.items():
        metrics.pressure_snapshot.labels(field=name).set(value)
    metrics.stream_lag.set(fields["lag"])
    metrics.stream_backlog.set(fields["backlog"])
    metrics.oldest_age_seconds.set(fields["oldest_age_seconds"])
    metrics.outbox_pending.set(fields["outbox_pending"])
    if snapshot is not None and snapshot.consumers is not None:
        metrics.active_workers.set(snapshot.consumers)
    _show_lanes(None if snapshot is None else snapshot.outbox, metrics)


def _show_lanes(outbox: OutboxPending | None, metrics: observe.Metrics) -> None:
    for lane in LANES:
        count = UNKNOWN if outbox is None else outbox.of_lane.get(lane, 0)
        metrics.outbox_lane_pending.labels(lane=lane.name.lower()).set(count)


async def measure_outage(outbox: Outbox, latest: LatestPressure, metrics: observe.Metrics) -> None:
    """Measure and show what the database alone knows while Redis is away: just then the outbox fills. The other gauges
    are unknown.

    Raises:
      StoreUnavailable: the gauges are NaN by then.
    """
    show(None, metrics)
    pending = await outbox.outbox_pending()
    metrics.outbox_pending.set(pending.total)
    _show_lanes(pending, metrics)
    metrics.pressure_snapshot.labels(field="outbox_pending").set(pending.total)
    age_ms = pending.unfinished_age_ms
    metrics.oldest_age_seconds.set((age_ms or 0) / 1000)
    metrics.pressure_snapshot.labels(field="oldest_age_seconds").set((age_ms or 0) / 1000)
    latest.put_outage(pending, age_ms)


def _fields(snapshot: PressureSnapshot) -> dict[str, float]:
    def known(number: int | None) -> float:
        return UNKNOWN if number is None else number

    return {
        "xlen": snapshot.xlen,
        "pending": snapshot.pending,
        "lag": known(snapshot.lag),
        "lag_valid": snapshot.lag_valid,
        "backlog": known(snapshot.backlog),
        "oldest_age_seconds": snapshot.oldest_age_s,
        "approx": snapshot.approx,
        "outbox_pending": known(snapshot.outbox_pending),
        "waiting": known(snapshot.waiting),
    }
