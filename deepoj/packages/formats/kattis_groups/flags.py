"""The grader flags of a group: how its verdict and score follow from those of its members."""

from __future__ import annotations

from collections.abc import Sequence

from deepoj.judging.problem import Accepts, Aggregate
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.kattis_groups.folders import GroupFolder
from deepoj.packages.formats.texts import as_words

_SCORE_MODES = {
    "sum": Aggregate.SUM,
    "min": Aggregate.MIN,
    "max": Aggregate.MAX,
    "avg": Aggregate.AVERAGE,
}
VERDICT_MODES = frozenset({"worst_error", "no_errors", "first_error", "always_accept"})
_KNOWN = frozenset({*_SCORE_MODES, *VERDICT_MODES, "accept_if_any_accepted", "ignore_sample"})


def accepts(words: Sequence[str]) -> Accepts:
    """Return which failures of members the group forgives."""
    if verdict_mode(words) == "always_accept":
        return Accepts.ALWAYS
    return Accepts.ANY if "accept_if_any_accepted" in words else Accepts.ALL


def score_mode(words: Sequence[str]) -> Aggregate:
    """Return the score mode; the last of several counts."""
    return next((_SCORE_MODES[word] for word in reversed(words) if word in _SCORE_MODES), Aggregate.SUM)


def verdict_mode(words: Sequence[str]) -> str:
    """Return the verdict mode; the last of several counts."""
    return next((word for word in reversed(words) if word in VERDICT_MODES), "worst_error")


def grader_flags(node: GroupFolder) -> tuple[str, ...]:
    """Return the flags of a group, its own or inherited ones. Raises Unusable.

    Graders ignore unknown words such as ``sum,``. An unknown word is taken for a typo if it changes nothing, and
    refused otherwise.
    """
    words = as_words(node.keys.get("grader_flags"), node.file, "grader_flags")
    bare = tuple(one for word in words if (one := word.strip(",")))
    for word in bare:
        if word not in _KNOWN:
            raise Unusable(node.file, f"{show(node.file)}: the grader flag {show(word)} is not supported.")
    known = tuple(word for word in words if word in _KNOWN)
    if (score_mode(bare), verdict_mode(bare), _other_flags(bare)) != (
        score_mode(known), verdict_mode(known), _other_flags(known),
    ):  # fmt: skip
        raise Unusable(node.file, f"{show(node.file)}: grader flags are separated by spaces, not by commas.")
    return bare


def _other_flags(words: Sequence[str]) -> frozenset[str]:
    return frozenset(words) & {"accept_if_any_accepted", "ignore_sample"}


def own_grader_flags(node: GroupFolder) -> tuple[str, ...]:
    """Return the flags of the group's own file."""
    return grader_flags(node) if "grader_flags" in node.own else ()
