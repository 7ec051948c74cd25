"""D3: whether there is so much to do already that no more is taken, from the last look at what waits.

Each measure has two thresholds: at ``high`` the door closes, and it stays closed until the measure is down at ``low``,
so that it does not flap. What is unknown closes nothing and opens nothing:

* the lag is all that no worker has read: it waits in the outbox as well as in the stream. Rejudges in the outbox do not
  count: they come by no submit and make room for those that do.
* a ``lag`` of None is never 0. While it is unknown a door that the lag has closed opens only when the whole stream and
  the outbox are no longer than ``low``, for the lag cannot be longer than these.
* a look older than ``max_age_s`` is not believed any more, neither that there is much nor that there is little: the
  doors open, and what is left is the cap on what is under way. Redis is away then, and submissions go to the outbox,
  as D1 promises.

An old age says nothing while hardly anything waits (one job that no node can judge gets as old as it likes), so it
counts only with ``age_min_backlog`` others waiting.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from deepoj.words import PressureSnapshot


class Pressed(enum.StrEnum):
    """What there is too much of; the value of the label ``reason``."""

    LAG = "lag"
    PENDING = "pending"
    OLDEST_AGE = "oldest_age"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Closes at ``high``, opens at ``low``; a ``high`` of 0 never closes."""

    high: float
    low: float

    def closes(self, value: float) -> bool:
        return 0 < self.high <= value


@dataclass(frozen=True, slots=True, kw_only=True)
class BackpressureSettings:
    lag: Threshold
    pending: Threshold
    oldest_age_s: Threshold
    #: entries that must wait for an age to count
    age_min_backlog: int
    #: how long a look is believed
    max_age_s: float
    #: when somebody who was refused may come again
    retry_after_s: float


@dataclass(slots=True)
class Backpressure:
    """``latest``: the last look, unless it is older than so many seconds. ``settings``: None switches it off."""

    latest: Callable[[float], PressureSnapshot | None]
    settings: BackpressureSettings | None
    _closed: set[Pressed] = field(default_factory=set)

    def look(self) -> Pressed | None:
        """What keeps the door closed now. To be asked after each look, too: a measure that fell and rose again between
        two requests has opened the door."""
        told = self.settings
        if told is None:
            return None
        seen = self.latest(told.max_age_s)
        if seen is None:
            self._closed.clear()
            return None
        self._judge(Pressed.LAG, told.lag, seen.waiting, at_most=seen.waiting_at_most)
        self._judge(Pressed.PENDING, told.pending, seen.pending, at_most=seen.pending)
        outbox = 0 if seen.outbox is None else seen.outbox.submitted
        crowded = (seen.lag or 0) + outbox + seen.pending >= told.age_min_backlog
        age_s = seen.oldest_age_s if crowded else 0.0
        self._judge(Pressed.OLDEST_AGE, told.oldest_age_s, age_s, at_most=age_s)
        return next((one for one in Pressed if one in self._closed), None)

    def _judge(self, measure: Pressed, threshold: Threshold, value: float | None, *, at_most: float) -> None:
        if value is not None and threshold.closes(value):
            self._closed.add(measure)
        elif (at_most if value is None else value) <= threshold.low:
            self._closed.discard(measure)
