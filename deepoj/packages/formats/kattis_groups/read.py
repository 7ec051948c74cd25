"""Reading all tests and groups of a package, by the rules of its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.judging.paths import without_suffix
from deepoj.judging.problem import Case, Group, Points
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.kattis_groups.domjudge import domjudge_groups, domjudge_scores, follows_domjudge
from deepoj.packages.formats.kattis_groups.draft import draft_groups, draft_scores
from deepoj.packages.formats.kattis_groups.folders import DATA, GroupFolder, read_tree
from deepoj.packages.formats.kattis_groups.kind import ProblemKind
from deepoj.packages.formats.kattis_groups.legacy import (
    apply_old_grading,
    legacy_groups,
    legacy_scores,
    reject_scores,
    scores_by_legacy_keys,
)
from deepoj.packages.formats.names import natural_key
from deepoj.packages.formats.texts import as_map, as_words, yaml_map


@dataclass(frozen=True, slots=True)
class Tests:
    """The content of the folder ``data``."""

    cases: tuple[Case, ...]
    groups: tuple[Group, ...]
    #: of the default validator, if groups give any
    flags: tuple[str, ...]
    points: Points


def read_tests(files: Files, kind: ProblemKind) -> Tests:
    """Read all tests and groups. Raises Unusable."""
    root = read_tree(files)
    if not any(node.cases for node in root.walk()):
        raise Unusable(None, "The package has no test case: data/secret holds no pair such as 1.in and 1.ans.")
    draft = kind.draft and not scores_by_legacy_keys(root, kind)
    if draft:
        groups, scores, points = draft_groups(root, kind), draft_scores(root, kind), Points.BOUNDED
    else:
        apply_old_grading(root, kind)
        points = Points.LEGACY
        if kind.scoring and follows_domjudge(root, kind):
            groups, scores = domjudge_groups(root, kind), domjudge_scores(root, kind)
        else:
            groups, scores = legacy_groups(root, kind), legacy_scores(root, kind)
    rejects = {} if draft or not kind.scoring else reject_scores(root)
    pairs = [
        _case(files, kind, node, name, score=scores.get(name), reject_score=rejects.get(name, 0.0))
        for node in root.walk()
        for name in node.cases
    ]
    # The order decides the result of a group that ends at its first failure: if it scores, the order is the format's.
    ordered_by_bytes = kind.scoring and not draft
    pairs.sort(key=lambda pair: pair[0].name.split("/") if ordered_by_bytes else natural_key(pair[0].name))
    cases = tuple(case for case, _ in pairs)
    flags = {words for _, words in pairs}
    if not kind.custom and len(flags) > 1:
        raise Unusable(
            root.file or None, "The default validator with other arguments for single tests is not supported."
        )
    return Tests(cases, groups, flags.pop() if not kind.custom else (), points)


def _case(
    files: Files, kind: ProblemKind, node: GroupFolder, name: str, *, score: float | None, reject_score: float
) -> tuple[Case, tuple[str, ...]]:
    """Return a case, and the arguments that the default validator would get for it."""
    stem = without_suffix(name)
    config = stem + ".yaml"
    keys = node.keys | (yaml_map(files, config) if kind.draft and config in files else {})
    flags = _flags(keys, kind, config if config in files else node.file)
    extra = files.below(stem + ".files/")
    deep = [one for one in extra if "/" in one[len(stem) + 7 :]]
    if deep:
        raise Unusable(deep[0], f"{show(deep[0])}: folders in .files are not supported.")
    case = Case(
        name=stem[len(DATA) :],
        input=name,
        answer=stem + ".ans",
        group=node.name,
        score=score,
        reject_score=reject_score,
        sample=node.name.partition("/")[0] == "sample",
        checker_args=flags if kind.custom else (),
        input_args=_input_args(keys, config if config in files else node.file),
        extra_files=extra,
        args=as_words(keys.get("args"), config, "args") if kind.draft else (),
    )
    return case, () if kind.custom else (*kind.flags, *flags)


def _input_args(keys: Mapping[str, Any], file: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the arguments for all input validators, under the empty name, or for each by its name."""
    value = keys.get("input_validator_args", keys.get("input_validator_flags"))
    if isinstance(value, Mapping):
        named = as_map(value, file, "input_validator_args").items()
        return tuple((name, as_words(words, file, "input_validator_args")) for name, words in named)
    words = as_words(value, file, "input_validator_args")
    return (("", words),) if words else ()


def _flags(keys: Mapping[str, Any], kind: ProblemKind, file: str) -> tuple[str, ...]:
    if kind.draft:
        return as_words(
            keys.get("output_validator_args", keys.get("output_validator_flags")), file, "output_validator_args"
        )
    value = keys.get("output_validator_flags")
    if isinstance(value, Mapping):
        value = as_map(value, file, "output_validator_flags").get("flags")
    return as_words(value, file, "output_validator_flags")
