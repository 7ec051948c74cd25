"""D3: refuse new submissions while too much waits, by the last snapshot of the waiting work.

Each measure has two thresholds. At ``high`` submissions are refused, until the measure is down at ``low``, so that the
answer does not flap. An unknown measure neither starts nor ends a refusal:

* The lag is all work that no worker has read, in the outbox and in the stream. Rejudges and batches in the outbox do
  not count: they give way to submissions. Batches have a quota of their own.
* A ``lag`` of None is never 0. While it is unknown, a refusal because of the lag ends only when the whole stream and
  the outbox together are no longer than ``low``, because the lag cannot be longer than these.
* A snapshot older than ``max_age_s`` is ignored. Then nothing is refused here, and the cap on unfinished submissions
  remains. Redis is away then, and submissions go to the outbox, as D1 promises.

The oldest age says nothing while hardly anything waits (one job that no node can judge has an ever higher age). So it
counts only while ``age_min_backlog`` other entries wait.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from deepoj.words.stream import PressureSnapshot


class Pressed(enum.StrEnum):
    """The measure that is too high; the value of the label ``reason``."""

    LAG = "lag"
    PENDING = "pending"
    OLDEST_AGE = "oldest_age"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Refusing begins at ``high`` and ends at ``low``; a ``high`` of 0 never refuses."""

    high: float
    low: float

    def closes(self, value: float) -> bool:
        return 0 < self.high <= value


@dataclass(frozen=True, slots=True, kw_only=True)
class BackpressureSettings:
    lag: Threshold
    pending: Threshold
    oldest_age_s: Threshold
    #: how many entries must wait for the oldest age to count
    age_min_backlog: int
    #: the age up to which a snapshot is used
    max_age_s: float
    #: when a refused client may try again
    retry_after_s: float


@dataclass(slots=True)
class Backpressure:
    """``latest``: returns the last snapshot, unless it is older than the given seconds. ``settings``: None switches
    backpressure off."""

    latest: Callable[[float], PressureSnapshot | None]
    settings: BackpressureSettings | None
    _closed: set[Pressed] = field(default_factory=set)

    def look(self) -> Pressed | None:
        """Return the measure because of which submissions are refused now, or None. Call it after each snapshot, too:
        a measure that fell and rose again between two requests has ended the refusal."""
        settings = self.settings
        if settings is None:
            return None
        snapshot = self.latest(settings.max_age_s)
        if snapshot is None:
            self._closed.clear()
            return None
        self._judge(Pressed.LAG, settings.lag, snapshot.waiting, at_most=snapshot.waiting_at_most)
        self._judge(Pressed.PENDING, settings.pending, snapshot.pending, at_most=snapshot.pending)
        outbox = 0 if snapshot.outbox is None else snapshot.outbox.submitted
        crowded = (snapshot.lag or 0) + outbox + snapshot.pending >= settings.age_min_backlog
        age_s = snapshot.oldest_age_s if crowded else 0.0
        self._judge(Pressed.OLDEST_AGE, settings.oldest_age_s, age_s, at_most=age_s)
        return next((one for one in Pressed if one in self._closed), None)

    def _judge(self, measure: Pressed, threshold: Threshold, value: float | None, *, at_most: float) -> None:
        if value is not None and threshold.closes(value):
            self._closed.add(measure)
        elif (at_most if value is None else value) <= threshold.low:
            self._closed.discard(measure)
