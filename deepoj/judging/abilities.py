"""What of a plan this judge can do. Whatever it cannot do is its own trouble (``Infra``), never a verdict."""

from __future__ import annotations

from deepoj.judging import compare
from deepoj.judging.problem import Compare, Plan

#: what a problem's ``compare`` says when its package itself says how outputs are judged: a node that is too old to
#: read packages knows no such way to compare, and makes no verdict
BY_PACKAGE = "package"


def way_of(plan: Plan, told: str) -> Compare | None:
    """How outputs are compared; None: a checker decides, or nothing says it. ``told``: the problem's ``compare``."""
    if plan.checker is not None:
        return None
    if plan.compare is not None:
        return plan.compare
    return None if told == BY_PACKAGE else compare.of_text(told)


def lacks(plan: Plan, told: str) -> str | None:
    """A sentence on the first thing that a plan asks for and this judge cannot do; None: it can judge it."""
    way = way_of(plan, told)
    rows = (
        (plan.checker is None and way is None, "a problem that does not say how outputs are compared"),
        (way is not None and way.way not in compare.PACKAGE_WAYS, f"the comparison {way.way if way else ''!r}"),
        (any(case.answer is None for case in plan.cases) and plan.checker is None, "tests without an answer"),
    )
    return next((f"this judge cannot do what the package asks for: {what}" for wanted, what in rows if wanted), None)
