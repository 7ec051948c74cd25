"""The live parts of the system's page."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from deepoj.api.context import ApiContext
from deepoj.api.live.events import LiveEvent
from deepoj.web.charts import history_chart
from deepoj.web.shown import as_sentence
from deepoj.web.symptoms import Stored, as_operators_name, read_stored, symptoms
from deepoj.words.errors import StoreUnavailable
from deepoj.words.outbox import LANES
from deepoj.words.readiness import PartState
from deepoj.words.roster import AnnouncedNode
from deepoj.words.stream import HISTORY_MINUTES, PressureSnapshot

#: a snapshot of what waits is shown up to this age
SNAPSHOT_AGE_S = 60.0
_BAR_WIDTH = 10
#: age at which what the database knows is read again, once for all streams of this node
STORED_AGE_S = 3.0
#: a stream's other pieces wait for that reading
READ_S = 2.0
#: submissions in processing that are counted at most
_MAX_RUNNING = 1000
#: a claim follows the read at once; on a host under load it needs some seconds
_MAX_UNCLAIMED_MS = 9_000
#: the time of the page is sent in steps of this, so not with each measurement
_CLOCK_STEP_S = 10


def queue_values(context: ApiContext) -> dict[str, Any]:
    """Return what ``_queue.html`` needs."""
    pressure, outage = context.backpressure, context.pressure.outage
    minutes = {one.minute: one for one in context.pressure.history()}
    newest = max(minutes, default=0)
    hour = [minutes.get(minute) for minute in range(newest - HISTORY_MINUTES + 1, newest + 1)]
    waiting = [0 if one is None else one.waiting for one in hour]
    pending = [0 if one is None else one.pending for one in hour]
    return {
        "outage": outage,
        "snapshot": None if outage is not None else pressure.latest(SNAPSHOT_AGE_S),
        "pressed": pressure.look(),
        "thresholds": pressure.settings,
        "lanes": LANES,
        "measured_minutes": len(minutes),
        "most_waiting": max(waiting),
        "most_pending": max(pending),
        "waiting_chart": history_chart(waiting, bar_width=_BAR_WIDTH),
        "pending_chart": history_chart(pending, bar_width=_BAR_WIDTH),
    }


def audit_values(context: ApiContext) -> dict[str, Any]:
    """Return what ``_system_audit.html`` needs."""
    return {"audit": context.audits.standing}


def parts_values(context: ApiContext) -> dict[str, Any]:
    """Return what ``_system_parts.html`` needs."""
    readiness = as_operators_name(context.ready())
    return {
        "parts": sorted(readiness.parts.items(), key=lambda part: (part[1] is PartState.UP, part[0])),
        "reasons": {part: as_sentence(reason) for part, reason in readiness.reasons.items()},
    }


@dataclass(slots=True)
class _Claims:
    """Since when entries have waited in the stream without any claim, from readings of both stores.

    A reading compares a snapshot with rows that are a little younger: a claim may fall between them. So only snapshots
    that are apart count, and only without a claim between them.
    """

    #: ISO 8601; None: entries are claimed, or have not waited for long
    unclaimed_since: str | None = None
    _claimed_at: str | None = None
    _since_ms: int | None = None

    def look(self, snapshot: PressureSnapshot | None, running: int, claimed_at: str | None) -> None:
        """Take a reading. ``running``: submissions in processing. ``claimed_at``: when a node last claimed one."""
        is_waiting = (
            snapshot is not None
            and running < _MAX_RUNNING
            and (snapshot.pending > running or (not running and bool(snapshot.lag)))
        )
        if snapshot is None or not is_waiting:
            self._since_ms = None
        elif self._since_ms is None or claimed_at != self._claimed_at:
            self._since_ms = snapshot.ts_ms
        self._claimed_at, self.unclaimed_since = claimed_at, None
        if snapshot is not None and self._since_ms is not None and snapshot.ts_ms - self._since_ms >= _MAX_UNCLAIMED_MS:
            self.unclaimed_since = dt.datetime.fromtimestamp(self._since_ms / 1000, dt.UTC).isoformat()


class Watch:
    """What needs a person, as this node sees it. Nodes, claims, dead letters and the backup are those read last."""

    def __init__(self, context: ApiContext) -> None:
        self._context, self._claims = context, _Claims()
        self._stored, self._asked_at = Stored(), -math.inf

    async def read(self) -> Sequence[AnnouncedNode]:
        """Read what the database knows, and return the nodes. Raises StoreUnavailable."""
        context, system = self._context, self._context.system
        self._stored = await read_stored(context.roster, system)
        running, times = await system.running_jobs(_MAX_RUNNING), await system.pipeline_times()
        self._claims.look(context.backpressure.latest(SNAPSHOT_AGE_S), len(running), times.claimed_at)
        self._asked_at = trio.current_time()
        return self.nodes

    @property
    def nodes(self) -> Sequence[AnnouncedNode]:
        """Return the nodes that were read last."""
        return self._stored.nodes or ()

    async def refresh(self) -> None:
        """Read again what is older than ``STORED_AGE_S``, one reader for all. While the database is away or hangs the
        former values stay: it is itself among the parts that are not up."""
        if trio.current_time() - self._asked_at < STORED_AGE_S:
            return
        self._asked_at = trio.current_time()
        with trio.move_on_after(READ_S), contextlib.suppress(StoreUnavailable):
            await self.read()

    def values(self) -> dict[str, Any]:
        """Return what ``_system_symptoms.html`` needs."""
        queue = queue_values(self._context)
        found = symptoms(
            self._context.ready(),
            queue["snapshot"],
            queue["outage"],
            refuses=queue["pressed"] is not None,
            stored=self._stored,
            unclaimed_since=self._claims.unclaimed_since,
        )
        return {"symptoms": list(found)}


def page_clock() -> str:
    """Return the time of the page, in steps."""
    now = dt.datetime.now(dt.UTC)
    return now.replace(second=now.second // _CLOCK_STEP_S * _CLOCK_STEP_S, microsecond=0).isoformat()


@dataclass(slots=True)
class SystemFeed:
    """``Feed`` of pieces of the page. A piece is sent when its text has changed, and at the beginning."""

    #: name of the event → renders the piece
    pieces: Mapping[str, Callable[[], str]]
    #: is awaited before the pieces are rendered
    refresh: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    _sent: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    @property
    def is_over(self) -> bool:
        return False

    async def events(self) -> Sequence[LiveEvent]:
        await self.refresh()
        events = []
        for name, render in self.pieces.items():
            text = render()
            if self._sent.get(name) != text:
                self._sent[name] = text
                self._count += 1
                events.append(LiveEvent(name, str(self._count), text))
        return events
