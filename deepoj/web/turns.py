"""When a page of a contest is out of date by itself: at the start, the freeze, the end, and the ends of later times."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator
from dataclasses import dataclass

from deepoj.contests.clock import moment_of
from deepoj.words.contests import Contest

#: A node records what is due within a second. A page that shows the state before looks again for so long.
_OVERDUE = dt.timedelta(minutes=10)
#: seconds after the moment at which a page without scripts is loaded again
_REFRESH_AFTER_S = 3
#: so long before the moment it is loaded to learn the seconds that are left
_NEAR_S = 300


class TurnKind(enum.StrEnum):
    """What changes."""

    START = "start"
    FREEZE = "freeze"
    END = "end"
    #: late homework, or a team's additional time, is over
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Turn:
    """The next change that a contest's clock brings."""

    kind: TurnKind
    at: dt.datetime

    def refresh_s(self, now: dt.datetime) -> int:
        """Return after how many seconds a page without scripts is loaded again: long before the moment first, and in
        whole minutes, so that a browser may keep the page for that long (its ETag stays)."""
        left_s = (self.at - now).total_seconds()
        if left_s > 2 * _NEAR_S:
            return int(left_s // 60) * 60 - _NEAR_S
        return _REFRESH_AFTER_S + round(left_s if left_s > 0 else -left_s / 2)


def next_turn(
    contest: Contest, deadline: dt.datetime | None, late_end: dt.datetime | None, now: dt.datetime
) -> Turn | None:
    """Return the next change; None: the clock brings none, or stands still. It may be overdue: no node has recorded it.

    ``deadline``: the end for the reader's team; ``late_end``: until when it may submit late."""
    turns = [turn for turn in _turns(contest, deadline, late_end, now) if now - turn.at < _OVERDUE]
    return min(turns, key=lambda turn: turn.at, default=None)


def _turns(
    contest: Contest, deadline: dt.datetime | None, late_end: dt.datetime | None, now: dt.datetime
) -> Iterator[Turn]:
    rules = contest.rules
    if contest.started_at is None:
        if rules.start_at is not None:
            yield Turn(TurnKind.START, rules.start_at)
        return
    if contest.ended_at is None:
        if rules.freeze_at_ms is not None and contest.frozen_at is None:
            freeze_at = moment_of(contest, rules.freeze_at_ms)
            if freeze_at is not None:
                yield Turn(TurnKind.FREEZE, freeze_at)
        end = moment_of(contest, rules.duration_ms)
        if end is not None:
            yield Turn(TurnKind.END, end)
    elif contest.finalized_at is None:
        for close in (deadline, late_end):
            if close is not None and close > now:
                yield Turn(TurnKind.CLOSE, close)
