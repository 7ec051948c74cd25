"""The legacy format, by the rules of DOMjudge.

DOMjudge reads the same keys as Kattis by other rules. A group has only the keys of its own ``testdata.yaml``,
``accept_score`` is the score of the whole group, folders without that file are not scored, and failures never take away
the score of others. These rules apply to a package that scores, carries DOMjudge's marks, and has no key that only
Kattis' grader knows.
"""

from __future__ import annotations

from deepoj.judging.problem import Accepts, Aggregate, Group
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.kattis_groups.flags import VERDICT_MODES, grader_flags, own_grader_flags, score_mode
from deepoj.packages.formats.kattis_groups.folders import GroupFolder, parent_of
from deepoj.packages.formats.kattis_groups.kind import ProblemKind
from deepoj.packages.formats.kattis_groups.legacy import range_end
from deepoj.packages.formats.texts import as_number

#: group keys that DOMjudge does not know
_KATTIS_KEYS = frozenset({"grading", "reject_score"})
_KATTIS_FLAGS = frozenset({*VERDICT_MODES, "accept_if_any_accepted"})


def follows_domjudge(root: GroupFolder, kind: ProblemKind) -> bool:
    """Return whether DOMjudge's rules apply. They score no test below a folder without a file of its own."""
    if not kind.domjudge or not _has_scored_tests(root) or kind.validator_scores or kind.grading:
        return False
    nodes = root.walk()
    if any(not _KATTIS_KEYS.isdisjoint(node.own) or _KATTIS_FLAGS & {*grader_flags(node)} for node in nodes):
        return False
    kind.notes.append(
        f"{show(root.file)}: scores are computed by DOMjudge's rules, whose marks the package carries: accept_score is"
        " the score of a whole group, and folders without a testdata.yaml are not scored."
    )
    return True


def _has_scored_tests(node: GroupFolder) -> bool:
    """Return whether a test is below folders that all have a file of their own."""
    return bool(node.own) and (bool(node.cases) or any(_has_scored_tests(child) for child in node.children))


def domjudge_groups(root: GroupFolder, kind: ProblemKind) -> tuple[Group, ...]:
    """Return the groups, parents first. Raises Unusable."""
    ignores_sample = "ignore_sample" in own_grader_flags(root)
    groups = []
    for node in root.walk():
        is_scored = bool(node.own)
        has_children = any(child.own for child in node.children)
        if is_scored and has_children and node.cases:
            raise Unusable(node.file, f"{show(node.file)}: DOMjudge does not score tests beside groups of tests.")
        accept = _accept_score(node) if is_scored and not has_children else None
        groups.append(
            Group(
                name=node.name,
                parent=parent_of(node),
                aggregate=score_mode(own_grader_flags(node)) if accept is None else Aggregate.ALL,
                max_score=range_end(node) if accept is None else accept,
                judge_all=node.own.get("on_reject") == "continue",
                ignored=not is_scored or (ignores_sample and node.name == "sample"),
                # failures elsewhere do not affect the score
                accepts=Accepts.ALL if node.name else Accepts.ALWAYS,
            )
        )
    return tuple(groups)


def _accept_score(node: GroupFolder) -> float | None:
    value = node.own.get("accept_score")
    return None if value is None else as_number(value, node.file, "accept_score", least=0)


def domjudge_scores(root: GroupFolder, kind: ProblemKind) -> dict[str, float | None]:
    """Return a score of 0 for each test: in DOMjudge the validator gives tests a score, or their group has one."""
    for node in root.walk():
        needs = node.cases and node.own and _accept_score(node) is None
        if needs and not kind.custom:
            raise Unusable(node.file, f"{show(node.file)}: the tests of the group have no score: add accept_score.")
    return dict.fromkeys([name for node in root.walk() for name in node.cases], 0.0)
