"""What is required of the figures of ``deepoj bench``: one table for all benchmarks.

Each benchmark prints ``missed``, the keys of the figures past their bounds. A ratio is to the same work done bare, in
the same run. Bounds of times hold on a quiet machine of two cores.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure must be."""

    sign: str
    value: float

    def met(self, figure: object) -> bool | None:
        """None for a figure that was not measured."""
        return _SIGNS[self.sign](figure, self.value) if isinstance(figure, float) else None

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


_SIGNS: Mapping[str, Callable[[float, float], bool]] = {"≤": operator.le, "<": operator.lt, "≥": operator.ge}

#: benchmark → key of a figure → its bound
REQUIRED: Mapping[str, Mapping[str, Bound]] = {
    # on a host without cgroup v2: what a group for each run costs comes on top where there is one
    "sandbox": {
        "ratio_static": Bound("≤", 1.3),
        "ratio_static_python": Bound("≤", 1.9),
        "scaling_ratio": Bound("≥", 0.9),
        "flood_ratio": Bound("≤", 1.5),
        "flood_growth_mib": Bound("<", 2.0),
    },
    "judge": {
        "compile_ratio": Bound("≤", 0.35),
        "cached_ratio": Bound("≤", 1.5),
        "fresh_iostream_ratio": Bound("≤", 0.44),
        "fresh_all_ratio": Bound("≤", 0.23),
        "parallel_ratio": Bound("≤", 0.56),
        "large_ratio": Bound("≤", 1.3),
        "large_growth_mib": Bound("≤", 8.0),
    },
    "node": {
        "overhead_ms": Bound("≤", 10.0),
        "overhead_p95_ms": Bound("≤", 18.0),
        "overhead_to_floor": Bound("≤", 2.2),
        "drain_ratio": Bound("≥", 2.0),
        "drain_python_ratio": Bound("≥", 0.9),
        "idle_cpu_percent": Bound("≤", 0.5),
        "idle_pss_mib": Bound("≤", 100.0),
    },
    "api": {
        "submit_ratio": Bound("≥", 0.5),
        "status_ratio": Bound("≤", 1.4),
        "status_alone_ratio": Bound("≤", 1.6),
        "batch_ratio": Bound("≥", 6.0),
        "reuse_port_ratio": Bound("≥", 0.9),
        "steady_p99_ms": Bound("<", 100.0),
        "steady_refused": Bound("≤", 0.0),
        "streams_mib": Bound("<", 60.0),
    },
    "web": {
        "page_median_ms": Bound("≤", 150.0),
        "page_p99_ms": Bound("≤", 1000.0),
        "people_mib": Bound("<", 120.0),
        "verdict_ratio": Bound("≤", 1.5),
        "refused": Bound("≤", 0.0),
        "live_p99_ms": Bound("≤", 1000.0),
        "live_missing": Bound("≤", 0.0),
        "worst_page_ratio": Bound("≤", 3.0),
    },
    "slow": {
        "verdict_ratio": Bound("≤", 2.0),
        "person_refused": Bound("≤", 0.0),
        "health_max_ms": Bound("≤", 1000.0),
        "memory_mib": Bound("≤", 96.0),
    },
    "contest": {
        "fold_s": Bound("≤", 2.0),
        "read_s": Bound("≤", 10.0),
        "live_median_ms": Bound("≤", 100.0),
        "live_missing": Bound("≤", 0.0),
        "live_share": Bound("≤", 0.25),
        "spectators_mib": Bound("<", 60.0),
    },
    # the largest of the steps' ratios to the same step over empty tables
    "queue": {
        "waiting_worst_ratio": Bound("≤", 1.1),
        "finished_worst_ratio": Bound("≤", 1.1),
    },
}


def missed_of(benchmark: str, figures: Mapping[str, object]) -> list[str]:
    """Return the keys of the figures past their bounds, without those that were not measured."""
    return [key for key, bound in REQUIRED[benchmark].items() if bound.met(figures.get(key)) is False]


def verdict_of(benchmark: str, key: str, figures: Mapping[str, object]) -> str:
    """Return the bound of a figure and whether it is met, for a table; empty for a figure without a bound."""
    bound = REQUIRED[benchmark].get(key)
    if bound is None:
        return ""
    met = bound.met(figures.get(key))
    return f"{bound}: {'not known' if met is None else 'met' if met else 'MISSED'}"
