"""The live parts of the system's page, from what this node knows without asking the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepoj.api.context import ApiContext
from deepoj.api.live.events import LiveEvent
from deepoj.web.charts import history_chart
from deepoj.words.outbox import LANES
from deepoj.words.readiness import PartState, Readiness
from deepoj.words.stream import HISTORY_MINUTES

#: a snapshot of what waits is shown up to this age
SNAPSHOT_AGE_S = 60.0
_BAR_WIDTH = 10
#: embedded server → the part that the connection to it is
_PART_OF_SERVER = {"postgres": "database", "valkey": "redis"}


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


def as_operators_name(readiness: Readiness) -> Readiness:
    """Return the node's parts with an embedded server and the connection to it as one: it is up if both are."""
    parts, reasons = dict(readiness.parts), dict(readiness.reasons)
    for server, part in _PART_OF_SERVER.items():
        state, reason = parts.pop(server, None), reasons.pop(server, "")
        if state is None:
            continue
        if state is not PartState.UP or part not in parts:
            parts[part] = state
        reasons[part] = " ".join(filter(None, (reason, reasons.get(part))))
    return Readiness(parts, reasons)


def audit_values(context: ApiContext) -> dict[str, Any]:
    """Return what ``_system_audit.html`` needs."""
    return {"audit": context.audits.standing}


@dataclass(slots=True)
class SystemFeed:
    """``Feed`` of pieces of the page. A piece is sent when its text has changed, and at the beginning."""

    #: name of the event → renders the piece
    pieces: Mapping[str, Callable[[], str]]
    _sent: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    @property
    def is_over(self) -> bool:
        return False

    async def events(self) -> Sequence[LiveEvent]:
        events = []
        for name, render in self.pieces.items():
            text = render()
            if self._sent.get(name) != text:
                self._sent[name] = text
                self._count += 1
                events.append(LiveEvent(name, str(self._count), text))
        return events
