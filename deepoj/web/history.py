"""Figures over time as bars of an SVG. All of a bar is in attributes: the policy of the pages forbids inline styles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 80


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
    height: int = HEIGHT


def chart(values: Sequence[int], *, bar_width: int) -> HistoryChart:
    """Return the bars of values. A value above 0 is seen however small it is; a value of 0 has no bar."""
    most = max([*values, 1])
    bars = []
    for place, value in enumerate(values):
        height = max(2, round(value * HEIGHT / most)) if value > 0 else 0
        if height:
            bars.append(HistoryBar(place * bar_width, HEIGHT - height, height))
    return HistoryChart(bars, max(1, len(values)) * bar_width, bar_width)
