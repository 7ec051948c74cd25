"""Whether this judge supports all features that a plan uses. A missing one is an ``Infra`` error, never a verdict."""

from __future__ import annotations

from deepoj.judging import compare
from deepoj.judging.problem import Compare, Plan

#: a problem's ``compare`` when the package itself defines how outputs are judged. A node that is too old to read
#: packages does not know this value, and makes no verdict
BY_PACKAGE = "package"


def way_of(plan: Plan, compare_setting: str) -> Compare | None:
    """Return how outputs are compared; None: a checker decides, or it is undefined. ``compare_setting``: the problem's
    ``compare``."""
    if plan.checker is not None:
        return None
    if plan.compare is not None:
        return plan.compare
    return None if compare_setting == BY_PACKAGE else compare.of_text(compare_setting)


def lacks(plan: Plan, compare_setting: str) -> str | None:
    """Return a sentence about the first feature that a plan needs and this judge lacks; None if it has all."""
    way = way_of(plan, compare_setting)
    rows = (
        (plan.checker is None and way is None, "a problem that does not say how outputs are compared"),
        (way is not None and way.way not in compare.PACKAGE_WAYS, f"the comparison {way.way if way else ''!r}"),
        (any(case.answer is None for case in plan.cases) and plan.checker is None, "tests without an answer"),
    )
    return next((f"this judge cannot do what the package asks for: {what}" for wanted, what in rows if wanted), None)
