"""Why a plan cannot be scored."""

from __future__ import annotations

from collections.abc import Iterator

from deepoj.judging.problem import Plan
from deepoj.judging.scoring.outcome import MAX_POINTS
from deepoj.judging.scoring.tree import GroupTree

#: maximum nesting depth of groups
MAX_DEPTH = 50


def fault_of(plan: Plan) -> str | None:
    """Return why a plan cannot be scored, as a sentence; None if it can."""
    return next(_faults(plan), None)


def _faults(plan: Plan) -> Iterator[str]:
    """Yield the faults of a plan. The tree is built only if the groups have no fault."""
    yield from _group_faults(plan)
    known = {group.name for group in plan.groups} | {""}
    for case in plan.cases:
        if case.group not in known:
            yield f"the test '{case.name}' is in the group '{case.group}', which does not exist"
        if not (_is_worth(case.score) and _is_worth(case.reject_score)):
            yield f"the score of the test '{case.name}' is not a valid number of points"
    tree = GroupTree(plan)
    if tree.circle is not None:
        yield f"the group '{tree.circle}' depends on itself"
    if not tree.counting(""):
        yield "the problem has no test that counts"


def _group_faults(plan: Plan) -> Iterator[str]:
    depth = {"": 0}
    seen: set[str] = set()
    known = {group.name for group in plan.groups} | {""}
    for group in plan.groups:
        if group.name in seen:
            yield f"there are two groups '{group.name}'"
        seen.add(group.name)
        if (group.parent is None) != (group.name == ""):
            yield f"the group '{group.name}' has no parent" if group.name else "the root group has a parent"
        if (group.parent or "") not in depth:
            yield f"the group '{group.name}' is in '{group.parent}', which is not listed before it"
        depth[group.name] = depth[group.parent or ""] + 1
        if depth[group.name] > MAX_DEPTH:
            yield f"the group '{group.name}' is nested deeper than {MAX_DEPTH} groups"
        for needed in group.depends_on:
            if needed not in known:
                yield f"the group '{group.name}' depends on '{needed}', which does not exist"
        if not _is_worth(group.max_score):
            yield f"the score of the group '{group.name}' is not a valid number of points"


def _is_worth(points: float | None) -> bool:
    return points is None or 0 <= points <= MAX_POINTS
