"""The legacy format, by the rules of Kattis.

A group's ``testdata.yaml`` adds to its parent's. Kattis' default grader computes a group's verdict and score from those
of its members: its modes are ``Accepts``, ``worst_error`` and ``Aggregate``.
"""

from __future__ import annotations

from deepoj.judging.problem import Accepts, Group
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.kattis_groups.flags import (
    accepts,
    grader_flags,
    own_grader_flags,
    score_mode,
    verdict_mode,
)
from deepoj.packages.formats.kattis_groups.folders import OLD_FILE, GroupFolder, parent_of
from deepoj.packages.formats.kattis_groups.kind import ProblemKind
from deepoj.packages.formats.texts import as_number, as_text, as_words

#: keys of test groups about scores that only the legacy format has
_LEGACY_ONLY = frozenset({"accept_score", "reject_score", "range", "grader_flags"})
#: keys of problem.yaml's ``grading`` that old packages use for all groups
_OLD_GRADING = ("accept_score", "reject_score", "range")
_OLD_REJECT = {"first_error": "break", "grade": "continue", "worst_error": ""}


def scores_by_legacy_keys(root: GroupFolder, kind: ProblemKind) -> bool:
    """Return whether a draft package scores its groups by legacy keys, as Kattis' own tools allow.

    By the draft's rules its scores would differ.
    """
    legacy = next(
        (node for node in root.walk() if node.file.endswith(OLD_FILE) and not _LEGACY_ONLY.isdisjoint(node.own)), None
    )
    if not kind.scoring or legacy is None:
        return False
    kind.notes.append(f"{show(legacy.file)}: scores are given by keys of the legacy format, and its rules apply.")
    return True


def apply_old_grading(root: GroupFolder, kind: ProblemKind) -> None:
    """Override the groups' keys by those that problem.yaml has for all groups, as Kattis' tools do."""
    overrides = {key: kind.grading[key] for key in _OLD_GRADING if kind.grading.get(key) is not None}
    policy = kind.grading.get("on_reject")
    if policy is not None:
        if policy not in _OLD_REJECT:
            known = ", ".join(_OLD_REJECT)
            raise Unusable("problem.yaml", f"'problem.yaml': grading.on_reject is one of {known}, not {show(policy)}.")
        overrides |= {"on_reject": _OLD_REJECT[policy]} if _OLD_REJECT[policy] else {}
    for node in root.walk() if overrides else ():
        node.keys |= overrides
        node.own |= overrides
        node.file = node.file or "problem.yaml"


def legacy_groups(root: GroupFolder, kind: ProblemKind) -> tuple[Group, ...]:
    """Return the groups, parents first. Raises Unusable."""
    modes = [_grader_words(node) for node in root.walk()]
    ignores_sample = "ignore_sample" in modes[0] and not has_grader(root)
    # on_reject affects a pass-fail verdict only where failures are forgiven; otherwise all tests are judged, for
    # teachers
    breaks = kind.scoring or any(has_grader(node) for node in root.walk())
    breaks = breaks or any(accepts(words) is not Accepts.ALL for words in modes)
    groups = []
    for node, words in zip(root.walk(), modes, strict=True):
        judge_all = _judges_all(node, breaks=breaks)
        if has_grader(node):
            groups.append(
                Group(
                    name=node.name,
                    parent=parent_of(node),
                    max_score=range_end(node) if kind.scoring else None,
                    judge_all=judge_all,
                    grader_args=words,
                )
            )
            continue
        groups.append(
            Group(
                name=node.name,
                parent=parent_of(node),
                aggregate=score_mode(words),
                max_score=range_end(node) if kind.scoring else None,
                judge_all=judge_all,
                ignored=ignores_sample and node.name.partition("/")[0] == "sample",
                accepts=accepts(words),
                # in a group that ends at its first failure, that one is the worst
                worst_error=_judges_all(node, breaks=True) and verdict_mode(words) != "first_error",
            )
        )
    return tuple(groups)


def has_grader(node: GroupFolder) -> bool:
    """Return whether the package's own grader computes the result of a group. Raises Unusable."""
    way = as_text(node.keys.get("grading", "default"), node.file, "grading")
    if way not in {"default", "custom"}:
        raise Unusable(node.file, f"{show(node.file)}: grading is default or custom, not {show(way)}.")
    return way == "custom"


def _grader_words(node: GroupFolder) -> tuple[str, ...]:
    """Return the flags of a group, which are any words for a grader of the package's own. Raises Unusable."""
    if has_grader(node):
        return as_words(node.keys.get("grader_flags"), node.file, "grader_flags")
    words = grader_flags(node)
    if node.name and "ignore_sample" in own_grader_flags(node):
        raise Unusable(node.file, f"{show(node.file)}: the grader flag 'ignore_sample' is only for the folder data.")
    return words


def _judges_all(node: GroupFolder, *, breaks: bool) -> bool:
    """Return whether all tests of a group are judged. ``breaks``: the format's default is to stop at a failure."""
    policy = as_text(node.keys.get("on_reject", "break" if breaks else "continue"), node.file, "on_reject")
    if policy not in {"break", "continue", "grade", "first_error", "worst_error"}:
        raise Unusable(node.file, f"{show(node.file)}: on_reject is break or continue, not {show(policy)}.")
    return policy not in {"break", "first_error"}


def range_end(node: GroupFolder) -> float | None:
    """Return the group's maximum score, from its own file only: the maximum of its parent is not inherited."""
    if "range" not in node.own:
        return None
    words = as_text(node.own["range"], node.file, "range").split()
    if len(words) != 2:
        raise Unusable(node.file, f"{show(node.file)}: range has two numbers.")
    if words[1].lstrip("+").lower() in {"inf", "infinity"}:
        return None
    return as_number(words[1], node.file, "range", least=0)


def legacy_scores(root: GroupFolder, kind: ProblemKind) -> dict[str, float | None]:
    """Return each test's score; a validator that gives scores overrides it."""
    if not kind.scoring:
        return {}
    scores: dict[str, float | None] = {}
    for node in root.walk():
        accept = as_number(node.keys.get("accept_score", 1), node.file, "accept_score", least=0)
        scores |= dict.fromkeys(node.cases, accept)
    return scores


def reject_scores(root: GroupFolder) -> dict[str, float]:
    """Return the score of each test if its output is rejected."""
    return {
        name: as_number(node.keys.get("reject_score", 0), node.file, "reject_score", least=0)
        for node in root.walk()
        for name in node.cases
    }
