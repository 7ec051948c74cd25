"""The clock of a contest, and the two kinds of time in the Contest API: ``TIME``, with a zone, and ``RELTIME``.

Contest time is the wall clock's time since the start without the intervals that are no time of the contest. At all
moments of such an interval the contest time is that of its begin: what is sent meanwhile comes before what is sent
afterwards, in the order in which it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deepoj.words.contests import Contest

MS_PER_MINUTE = 60_000
_RELTIME = re.compile(r"(-)?(\d+):([0-5]\d):([0-5]\d)(?:\.(\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ContestClock:
    """Milliseconds since 1970, and of the contest. ``contest_moment`` of migration 038 computes the same."""

    start_ms: int
    #: in order and apart: from, and to; None: the contest is paused
    removed: tuple[tuple[int, int | None], ...] = ()

    def time_ms(self, at_ms: int) -> int:
        """Return the contest time of a moment; negative before the start."""
        if not self.removed:
            return at_ms - self.start_ms
        gone_ms = sum(
            (at_ms if end_ms is None else min(at_ms, end_ms)) - max(start_ms, self.start_ms)
            for start_ms, end_ms in self.removed
            if max(start_ms, self.start_ms) < at_ms and (end_ms is None or end_ms > self.start_ms)
        )
        return at_ms - self.start_ms - gone_ms

    def moment_ms(self, time_ms: int) -> int | None:
        """Return the first moment with a contest time; None: the contest is paused before it."""
        at_ms = self.start_ms + time_ms
        for start_ms, end_ms in self.removed:
            begin_ms = max(start_ms, self.start_ms)
            if end_ms is not None and end_ms <= begin_ms:
                continue
            if at_ms <= begin_ms:
                break
            if end_ms is None:
                return None
            at_ms += end_ms - begin_ms
        return at_ms


def merged(intervals: Iterable[tuple[int, int | None]]) -> tuple[tuple[int, int | None], ...]:
    """Return intervals in order, and those that overlap or touch as one."""
    found: list[tuple[int, int | None]] = []
    for start_ms, end_ms in sorted(intervals, key=lambda interval: interval[0]):
        if end_ms is not None and end_ms <= start_ms:
            continue
        if found and ((last_ms := found[-1][1]) is None or last_ms >= start_ms):
            found[-1] = found[-1][0], None if last_ms is None or end_ms is None else max(last_ms, end_ms)
        else:
            found.append((start_ms, end_ms))
    return tuple(found)


def moment_of(contest: Contest, time_ms: int) -> datetime | None:
    """Return when a contest has lasted so long; None: its start is not known, or it is paused before."""
    if contest.rules.start_at is None:
        return None
    removed = tuple((_ms(start_at), None if end_at is None else _ms(end_at)) for start_at, end_at in contest.removed)
    at_ms = ContestClock(_ms(contest.rules.start_at), removed).moment_ms(time_ms)
    return None if at_ms is None else datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def parse_reltime(text: str) -> int:
    """Return the milliseconds of ``(-)?(h)*h:mm:ss(.uuu)?``. Further decimals are cut off.

    Raises ValueError.
    """
    found = _RELTIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time like 1:02:03.004")
    sign, hours, minutes, seconds, decimals = found.groups()
    ms = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int((decimals or "0").ljust(3, "0")[:3])
    return -ms if sign else ms


def reltime(ms: int) -> str:
    """Return milliseconds as ``(-)h:mm:ss.uuu``."""
    seconds, rest_ms = divmod(abs(ms), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{'-' if ms < 0 else ''}{hours}:{minutes:02}:{seconds:02}.{rest_ms:03}"


def parse_time(text: str) -> int:
    """Return the milliseconds since 1970 of an ISO 8601 time with a zone.

    Raises ValueError.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError(f"{text!r} is no time like 2026-01-31T09:00:00.000+01:00")
    return round(time.timestamp() * 1000)


def iso_time(at: datetime | None) -> str | None:
    """Return a moment as ISO 8601 in UTC with milliseconds, as events have it."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def minutes_of(ms: int) -> int:
    """Return the whole minutes: ICPC rules drop the seconds of a solution's time."""
    return ms // MS_PER_MINUTE
