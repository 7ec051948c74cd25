"""The time limit of a package that states none: measured with its own submissions, as its format has it.

Those that are to be accepted are judged first, with all the time there is; what the slowest of them takes, times the
format's factor and in whole seconds, is the limit for the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from deepoj.judging.format_defaults import defaults_of
from deepoj.judging.problem import Example, Plan
from deepoj.judging.promises import PromiseResult
from deepoj.words.results import Verdict

_RESOLUTION_MS = 1000


def factor_of(plan: Plan) -> float | None:
    """None: the limit is not to be measured."""
    if plan.limits.time_ms is not None or not any(is_measured(example) for example in plan.examples):
        return None
    factor = defaults_of(plan).time_factor
    return factor if factor is None else plan.limits.time_multiplier or factor


def is_measured(example: Example) -> bool:
    """Whether it has to be accepted, so that the limit must leave it room."""
    return example.expected == (Verdict.ACCEPTED.value,)


def measured_limit_ms(
    findings: Iterable[PromiseResult], factor: float, most_ms: int, resolution_ms: int | None = None
) -> int | None:
    """A multiple of ``resolution_ms``, whole seconds if that is None. None: none of them was accepted."""
    slowest_ms = max(
        (
            finding.report.time_used_ms
            for finding in findings
            if finding.report is not None and finding.report.status is Verdict.ACCEPTED and is_measured(finding.example)
        ),
        default=None,
    )
    return None if slowest_ms is None else limit_for(slowest_ms, factor, most_ms, resolution_ms)


def limit_for(slowest_ms: int, factor: float, most_ms: int, resolution_ms: int | None = None) -> int:
    """Return the limit that leaves an accepted run of ``slowest_ms`` the room that the format asks for."""
    step_ms = resolution_ms or _RESOLUTION_MS
    return min(max(1, math.ceil(slowest_ms * factor / step_ms)) * step_ms, most_ms)
