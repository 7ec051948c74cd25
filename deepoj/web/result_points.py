"""The points of a judging, in all and by test group, as its result has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.contests.board import points_text


@dataclass(frozen=True, slots=True)
class GroupPoints:
    """What a group gives. ``most``: empty: the package sets no bound."""

    name: str
    points: str
    most: str


@dataclass(frozen=True, slots=True)
class ResultPoints:
    """What a judging gives. ``most``: empty: the package sets no bound."""

    points: str
    most: str
    #: groups without groups below them, if there are several
    groups: tuple[GroupPoints, ...]


def points_of(result: Mapping[str, Any]) -> ResultPoints | None:
    """Return the points of a result; None: its problem is passed or not."""
    groups = [group for group in result.get("groups") or () if isinstance(group.get("score"), int | float)]
    score = result.get("score")
    if not groups or not isinstance(score, int | float):
        return None
    names = [str(group.get("name") or "") for group in groups]
    above = {name[:place] for name in names for place, letter in enumerate(name) if letter == "/"}
    leaves = tuple(
        GroupPoints(name, points_text(group["score"]), _most(group))
        for name, group in zip(names, groups, strict=True)
        if name and name not in above and (group.get("max_score") != 0 or group["score"])
    )
    most = next((_most(group) for name, group in zip(names, groups, strict=True) if not name), "")
    return ResultPoints(points_text(score), most, leaves if len(leaves) > 1 else ())


def _most(group: Mapping[str, Any]) -> str:
    most = group.get("max_score")
    return points_text(most) if isinstance(most, int | float) else ""
