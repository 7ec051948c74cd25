"""Charts of pages: figures of bars, for templates that draw them as SVG. All of a bar is in attributes: the policy
of the pages forbids inline styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepoj.words.submissions import TimeCount

#: heights of the highest bars
_HEIGHT, HISTORY_HEIGHT = 100, 80
_TENTHS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBar:
    """Submissions whose time is in one tenth of the limit. ``until_ms`` None: the limit or more."""

    from_ms: int
    until_ms: int | None
    accepted: int
    others: int
    #: heights of both parts; a part that has submissions is seen
    accepted_height: int
    others_height: int


def time_bars(counts: Sequence[TimeCount], limit_ms: int) -> list[TimeBar]:
    """Return a bar for each tenth of the limit, and one for the limit or more; nothing if nothing was counted."""
    found = {(one.tenth, one.is_accepted): one.count for one in counts}
    if not found:
        return []
    tenths = range(_TENTHS + 1)
    highest = max(found.get((tenth, True), 0) + found.get((tenth, False), 0) for tenth in tenths)

    def height(count: int) -> int:
        return max(1, _HEIGHT * count // highest) if count else 0

    return [
        TimeBar(
            from_ms=limit_ms * tenth // _TENTHS,
            until_ms=limit_ms * (tenth + 1) // _TENTHS if tenth < _TENTHS else None,
            accepted=(accepted := found.get((tenth, True), 0)),
            others=(others := found.get((tenth, False), 0)),
            accepted_height=height(accepted),
            others_height=height(others),
        )
        for tenth in tenths
    ]


@dataclass(frozen=True, slots=True)
class HistoryBar:
    """A bar in units of the picture; ``y`` counts from above."""

    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class HistoryChart:
    """Bars, oldest first. ``width`` is that of the picture, ``bar_width`` that of each bar."""

    bars: Sequence[HistoryBar]
    width: int
    bar_width: int
    height: int = HISTORY_HEIGHT


def history_chart(values: Sequence[int], *, bar_width: int) -> HistoryChart:
    """Return the bars of values. A value above 0 is seen however small it is; a value of 0 has no bar."""
    most = max([*values, 1])
    bars = []
    for place, value in enumerate(values):
        height = max(2, round(value * HISTORY_HEIGHT / most)) if value > 0 else 0
        if height:
            bars.append(HistoryBar(place * bar_width, HISTORY_HEIGHT - height, height))
    return HistoryChart(bars, max(1, len(values)) * bar_width, bar_width)
