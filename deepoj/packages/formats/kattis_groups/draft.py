"""The formats 2023-07-draft and 2025-09.

``test_group.yaml`` gives a maximum, the aggregation of the members, and the groups that must pass before. Missing
maxima are computed here, so that judging need not know the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepoj.judging.problem import Accepts, Aggregate, Group
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.kattis_groups.folders import GroupFolder, parent_of
from deepoj.packages.formats.kattis_groups.kind import ProblemKind
from deepoj.packages.formats.texts import as_list, as_map, as_number, as_text

_DRAFT_TOTAL = 100.0
_STATIC = ("static_validation", "static_validation_score")


def _scoring(node: GroupFolder) -> dict[str, Any]:
    """Return the group's own scoring keys as one map; earlier drafts had other names and places for them."""
    grading = node.own.get("grading")
    section = as_map(node.own.get("scoring", grading if isinstance(grading, dict) else None), node.file, "scoring")
    names = {"score": "max_score", "aggregation": "score_aggregation", "require_pass": "require_pass"}
    return {
        key: value
        for key, other in names.items()
        if (value := section.get(key, section.get(other, node.own.get(other)))) is not None
    }


def _draft_aggregate(node: GroupFolder, default: str = "") -> Aggregate:
    default = default or ("sum" if node.name in {"", "secret"} else "pass-fail")
    word = as_text(_scoring(node).get("aggregation", default), node.file, "aggregation")
    aggregate = {"sum": Aggregate.SUM, "min": Aggregate.MIN, "pass-fail": Aggregate.ALL}.get(word)
    if aggregate is None:
        raise Unusable(node.file, f"{show(node.file)}: aggregation is pass-fail, sum or min, not {show(word)}.")
    return aggregate


def _draft_maxima(root: GroupFolder, kind: ProblemKind) -> dict[str, float | None]:
    """Return maximum scores by group, and by case if its group uses sum or min; None: there is no bound."""
    maxima: dict[str, float | None] = {}
    for node in root.walk():
        if node.name.partition("/")[0] == "sample" or not node.name:
            continue
        if node.name == "secret":
            maxima[node.name] = _max_score(node, _DRAFT_TOTAL)
        if node.name not in maxima:
            continue  # inside a pass-fail group there are no scores
        total = maxima[node.name]
        aggregate = _draft_aggregate(node)
        if aggregate is Aggregate.ALL:
            _check_whole_group(node, total)
            continue
        stated = {child.name: _max_score(child, None) for child in node.children if _states_score(child)}
        rest = [child.name for child in node.children if child.name not in stated] + node.cases
        if kind.stable and total is not None and any(child.name in rest for child in node.children):
            raise Unusable(
                node.file or None, f"The groups in {show(node.name)} need a max_score each, because it has one."
            )
        if total is not None and None in stated.values():
            raise Unusable(
                node.file or None, f"A group without a bound must be in one without a bound, unlike {show(node.name)}."
            )
        if total is None or aggregate is Aggregate.MIN:
            maxima |= dict.fromkeys(rest, total) | stated
            continue
        left = total - sum(score for score in stated.values() if score is not None)
        if left < -1e-9:
            raise Unusable(node.file, f"{show(node.file)}: the groups in {show(node.name)} are worth more than it is.")
        maxima |= dict.fromkeys(rest, left / len(rest) if rest else 0.0) | stated
    return maxima


def _check_whole_group(node: GroupFolder, total: float | None) -> None:
    """Raise Unusable unless a pass-fail group has a maximum score and its groups are pass-fail, too."""
    if total is None:
        raise Unusable(node.file or None, f"A pass-fail group has a maximum score, and {show(node.name)} has none.")
    strange = next((one for one in node.walk() if _draft_aggregate(one, "pass-fail") is not Aggregate.ALL), None)
    if strange is not None:
        raise Unusable(strange.file, f"{show(strange.file)}: the groups of a pass-fail group are pass-fail, too.")


def _states_score(node: GroupFolder) -> bool:
    return _scoring(node).get("score") is not None


def _max_score(node: GroupFolder, default: float | None) -> float | None:
    """Return the group's own maximum; None: it has no bound."""
    value = _scoring(node).get("score", default)
    return None if value is None or value == "unbounded" else as_number(value, node.file, "score", least=0)


def _flatten(root: GroupFolder) -> None:
    """Merge deeper folders into their group: since 2025-09 only folders right below ``data/secret`` are groups."""
    for secret in root.children if root.name == "" else ():
        if secret.name == "secret" and secret.cases and secret.children:
            raise Unusable(
                None, "The folder data/secret holds test cases beside groups of tests: it may hold only one kind."
            )
        for group in secret.children:
            for inner in group.walk()[1:]:
                if inner.own:
                    raise Unusable(inner.file, f"{show(inner.file)}: groups within groups are not supported.")
                group.cases += inner.cases
            group.children = []


def draft_groups(root: GroupFolder, kind: ProblemKind) -> tuple[Group, ...]:
    """Return the groups, parents first. Raises Unusable."""
    if any(node.own.get(key) is not None for node in root.walk() for key in _STATIC):
        raise Unusable(root.file or None, "Validators that look at sources are not supported.")
    if (own := next((node for node in root.walk() if node.own.get("grading") == "custom"), None)) is not None:
        raise Unusable(own.file, f"{show(own.file)}: graders belong to the legacy format; this package's has none.")
    if not kind.scoring:
        return tuple(Group(name=node.name, parent=parent_of(node), aggregate=Aggregate.ALL) for node in root.walk())
    if kind.stable:
        _flatten(root)
    known = {node.name: node for node in root.walk()}
    maxima = _draft_maxima(root, kind)
    unbounded = next((name for name, maximum in maxima.items() if maximum is None), None)
    if unbounded is not None and not kind.custom:
        raise Unusable(None, f"Only an output validator can give points without a bound, as in {show(unbounded)}.")
    groups = [Group(name="", parent=None, accepts=Accepts.ALWAYS)]
    for node in root.walk()[1:]:
        is_sample = node.name.partition("/")[0] == "sample"
        has_score = node.name in maxima
        groups.append(
            Group(
                name=node.name,
                parent=parent_of(node),
                aggregate=_draft_aggregate(node) if has_score else Aggregate.ALL,
                max_score=maxima.get(node.name),
                depends_on=_required(node, known) if has_score else (),
                ignored=is_sample,
            )
        )
    return tuple(groups)


def _required(node: GroupFolder, known: Mapping[str, GroupFolder]) -> tuple[str, ...]:
    """Return the groups that must pass before a group is judged. Raises Unusable."""
    value = _scoring(node).get("require_pass", [])
    listed = [value] if isinstance(value, str) else as_list(value, node.file, "require_pass")
    names = tuple(as_text(one, node.file, "require_pass") for one in listed)
    for name in names:
        if name not in known:
            raise Unusable(
                node.file, f"{show(node.file)}: require_pass names {show(name)}, which is not a group of tests."
            )
        if name != "sample" and _draft_aggregate(known[name]) is not Aggregate.ALL:
            raise Unusable(
                node.file, f"{show(node.file)}: require_pass names {show(name)}, which is not a pass-fail group."
            )
    return names


def draft_scores(root: GroupFolder, kind: ProblemKind) -> dict[str, float | None]:
    """Return the maximum score of each test in a group that uses sum or min."""
    if not kind.scoring:
        return {}
    maxima = _draft_maxima(root, kind)
    return {name: maxima[name] for node in root.walk() for name in node.cases if name in maxima}
