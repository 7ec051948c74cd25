"""The tests of an ICPC/Kattis package and its groups: ``data/sample``, ``data/secret`` and the folders below them.

Groups are named by their path below ``data/`` (``secret/group1``); the root has the empty name.

Points are absolute in all of these formats (``Points``): scores are aggregated and never scaled.

*legacy*: a group's ``testdata.yaml`` adds to its parent's. Kattis' default grader computes a group's verdict and score
from those of its members: its modes are ``Accepts``, ``worst_error`` and ``Aggregate``.

*DOMjudge* reads the same keys by other rules. A group has only the keys of its own ``testdata.yaml``, ``accept_score``
is the score of the whole group, folders without that file are not scored, and failures never take away the score of
others. These rules apply to a package that scores, carries DOMjudge's marks, and has no key that only Kattis' grader
knows.

*2023-07-draft* and *2025-09*: ``test_group.yaml`` gives a maximum, the aggregation of the members, and the groups that
must pass before. Missing maxima are computed here, so that judging need not know the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepoj.judging.paths import folder, without_suffix
from deepoj.judging.problem import Accepts, Aggregate, Case, Group, Points
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.names import natural_key
from deepoj.packages.formats.texts import as_list, as_map, as_number, as_text, as_words, yaml_map

DATA = "data/"
_OLD_FILE, _NEW_FILE = "testdata.yaml", "test_group.yaml"
GROUP_FILES = (_OLD_FILE, _NEW_FILE)
_TOPS = ("sample", "secret")
#: folders with tests of validators
_OTHER = ("data/invalid_input/", "data/invalid_output/", "data/invalid_inputs/", "data/invalid_answers/",
          "data/valid_output/", "data/valid_outputs/", "data/testing_tool_test/")  # fmt: skip
_DRAFT_TOTAL = 100.0
#: keys of test groups about scores that only the legacy format has
_LEGACY_ONLY = frozenset({"accept_score", "reject_score", "range", "grader_flags"})
_STATIC = ("static_validation", "static_validation_score")
_SCORE_MODES = {
    "sum": Aggregate.SUM,
    "min": Aggregate.MIN,
    "max": Aggregate.MAX,
    "avg": Aggregate.AVERAGE,
}
_VERDICT_MODES = frozenset({"worst_error", "no_errors", "first_error", "always_accept"})
_GRADER_FLAGS = frozenset({*_SCORE_MODES, *_VERDICT_MODES, "accept_if_any_accepted", "ignore_sample"})
#: group keys that DOMjudge does not know
_KATTIS_KEYS = frozenset({"grading", "reject_score"})
_KATTIS_FLAGS = frozenset({*_VERDICT_MODES, "accept_if_any_accepted"})
#: keys of problem.yaml's ``grading`` that old packages use for all groups
_OLD_GRADING = ("accept_score", "reject_score", "range")
_OLD_REJECT = {"first_error": "break", "grade": "continue", "worst_error": ""}


@dataclass(slots=True)
class ProblemKind:
    """The kind of a problem by its ``problem.yaml``."""

    draft: bool
    scoring: bool = False
    interactive: bool = False
    multipass: bool = False
    output_only: bool = False
    #: judged by an output validator of the package
    custom: bool = False
    #: that validator also gives scores
    validator_scores: bool = False
    flags: tuple[str, ...] = ()
    #: the format's version is 2025-09 or later
    stable: bool = False
    #: the package carries marks of DOMjudge
    domjudge: bool = False
    #: problem.yaml's ``grading``, for all groups
    grading: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tests:
    """The content of the folder ``data``."""

    cases: tuple[Case, ...]
    groups: tuple[Group, ...]
    #: of the default validator, if groups give any
    flags: tuple[str, ...]
    points: Points


@dataclass(slots=True)
class _Node:
    """A group while it is being read."""

    name: str
    keys: dict[str, Any]
    #: the keys of its own file, without inherited ones
    own: dict[str, Any]
    file: str
    cases: list[str] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)

    def walk(self) -> list[_Node]:
        """Return this group and all below it, parents before children."""
        return [self, *(one for child in self.children for one in child.walk())]


def read_tests(files: Files, kind: ProblemKind) -> Tests:
    """Read all tests and groups. Raises Unusable."""
    root = _tree(files)
    if not any(node.cases for node in root.walk()):
        raise Unusable(None, "The package has no test case: data/secret holds no pair such as 1.in and 1.ans.")
    draft = kind.draft and not _legacy_words(root, kind)
    if draft:
        groups, scores, points = _draft_groups(root, kind), _draft_scores(root, kind), Points.BOUNDED
    else:
        _apply_old_grading(root, kind)
        points = Points.LEGACY
        if kind.scoring and _is_domjudge(root, kind):
            groups, scores = _domjudge_groups(root, kind), _domjudge_scores(root, kind)
        else:
            groups, scores = _legacy_groups(root, kind), _legacy_scores(root, kind)
    rejects = {} if draft or not kind.scoring else _reject_scores(root)
    graded = [
        _case(files, kind, node, name, score=scores.get(name), reject_score=rejects.get(name, 0.0))
        for node in root.walk()
        for name in node.cases
    ]
    # The order decides the result of a group that ends at its first failure: if it scores, the order is the format's.
    ordered_by_bytes = kind.scoring and not draft
    graded.sort(key=lambda one: one[0].name.split("/") if ordered_by_bytes else natural_key(one[0].name))
    cases = tuple(case for case, _ in graded)
    flags = {one for _, one in graded}
    if not kind.custom and len(flags) > 1:
        raise Unusable(
            root.file or None, "The default validator with other arguments for single tests is not supported."
        )
    return Tests(cases, groups, flags.pop() if not kind.custom else (), points)


def _tree(files: Files) -> _Node:
    fault = _strays(files)
    if fault is not None:
        raise fault
    nodes = {"": _node(files, "", None)}
    for name in files.below(DATA):
        if name.startswith(_OTHER) or not name.endswith(".in") or "/" not in name[len(DATA) :]:
            continue
        path = folder(name)[len(DATA) :].removesuffix("/")
        _grow(files, nodes, path).cases.append(name)
    return nodes[""]


def _grow(files: Files, nodes: dict[str, _Node], path: str) -> _Node:
    if path not in nodes:
        parent = _grow(files, nodes, path.rpartition("/")[0])
        nodes[path] = _node(files, path, parent)
        parent.children.append(nodes[path])
    return nodes[path]


def _node(files: Files, path: str, parent: _Node | None) -> _Node:
    here = DATA + (path + "/" if path else "")
    keys: dict[str, Any] = {} if parent is None else dict(parent.keys)
    own: dict[str, Any] = {}
    file = here + _NEW_FILE
    for name in (here + _OLD_FILE, here + _NEW_FILE):
        if name in files:
            own, file = yaml_map(files, name), name
    return _Node(path, keys | own, own, file if own else "" if parent is None else parent.file)


def _strays(files: Files) -> Unusable | None:
    """Return a fault for a lone input or answer; interactive samples may have only an interaction."""
    for name in files.below(DATA):
        if name.startswith(_OTHER):
            continue
        stem = without_suffix(name)
        if name.endswith(".in") and stem + ".ans" not in files:
            return Unusable(name, f"{show(name)} is an input without its answer {show(stem + '.ans')}.")
        if name.endswith(".ans") and stem + ".in" not in files:
            return Unusable(name, f"{show(name)} is an answer without its input {show(stem + '.in')}.")
        top = name[len(DATA) :].partition("/")[0]
        if name.endswith((".in", ".ans")) and top not in _TOPS:
            return Unusable(name, f"{show(name)} is neither in data/sample nor in data/secret.")
    return None


def _case(
    files: Files, kind: ProblemKind, node: _Node, name: str, *, score: float | None, reject_score: float
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


# ---------------------------------------------------------------------------------------------------------------------
# legacy


def _legacy_words(root: _Node, kind: ProblemKind) -> bool:
    """Return whether a draft package scores its groups by legacy keys, as Kattis' own tools allow.

    By the draft's rules its scores would differ.
    """
    legacy = next(
        (node for node in root.walk() if node.file.endswith(_OLD_FILE) and not _LEGACY_ONLY.isdisjoint(node.own)), None
    )
    if not kind.scoring or legacy is None:
        return False
    kind.notes.append(f"{show(legacy.file)}: scores are given by keys of the legacy format, and its rules apply.")
    return True


def _apply_old_grading(root: _Node, kind: ProblemKind) -> None:
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


def _legacy_groups(root: _Node, kind: ProblemKind) -> tuple[Group, ...]:
    modes = [_grader(node) for node in root.walk()]
    ignores_sample = "ignore_sample" in modes[0]
    # on_reject affects a pass-fail verdict only where failures are forgiven; otherwise all tests are judged, for
    # teachers
    breaks = kind.scoring or any(_accepts(words) is not Accepts.ALL for words in modes)
    groups = []
    for node, words in zip(root.walk(), modes, strict=True):
        goes_on = _goes_on(node, breaks=breaks)
        groups.append(
            Group(
                name=node.name,
                parent=_parent(node),
                aggregate=_score_mode(words),
                max_score=_range_end(node) if kind.scoring else None,
                judge_all=goes_on,
                ignored=ignores_sample and node.name.partition("/")[0] == "sample",
                accepts=_accepts(words),
                # in a group that ends at its first failure, that one is the worst
                worst_error=_goes_on(node, breaks=True) and _verdict_mode(words) != "first_error",
            )
        )
    return tuple(groups)


def _accepts(words: Sequence[str]) -> Accepts:
    if _verdict_mode(words) == "always_accept":
        return Accepts.ALWAYS
    return Accepts.ANY if "accept_if_any_accepted" in words else Accepts.ALL


def _score_mode(words: Sequence[str]) -> Aggregate:
    """Return the score mode; the last of several counts."""
    return next((_SCORE_MODES[word] for word in reversed(words) if word in _SCORE_MODES), Aggregate.SUM)


def _verdict_mode(words: Sequence[str]) -> str:
    """Return the verdict mode; the last of several counts."""
    return next((word for word in reversed(words) if word in _VERDICT_MODES), "worst_error")


def _grader(node: _Node) -> tuple[str, ...]:
    if node.keys.get("grading", "default") != "default":
        raise Unusable(node.file, f"{show(node.file)}: a grader of the package's own is not supported.")
    words = _grader_flags(node)
    if node.name and "ignore_sample" in _own_flags(node):
        raise Unusable(node.file, f"{show(node.file)}: the grader flag 'ignore_sample' is only for the folder data.")
    return words


def _grader_flags(node: _Node) -> tuple[str, ...]:
    """Return the flags of a group.

    Graders ignore unknown words such as ``sum,``. An unknown word is taken for a typo if it changes nothing, and
    refused otherwise.
    """
    words = as_words(node.keys.get("grader_flags"), node.file, "grader_flags")
    bare = tuple(one for word in words if (one := word.strip(",")))
    for word in bare:
        if word not in _GRADER_FLAGS:
            raise Unusable(node.file, f"{show(node.file)}: the grader flag {show(word)} is not supported.")
    known = tuple(word for word in words if word in _GRADER_FLAGS)
    if (_score_mode(bare), _verdict_mode(bare), _other_flags(bare)) != (
        _score_mode(known), _verdict_mode(known), _other_flags(known),
    ):  # fmt: skip
        raise Unusable(node.file, f"{show(node.file)}: grader flags are separated by spaces, not by commas.")
    return bare


def _other_flags(words: Sequence[str]) -> frozenset[str]:
    return frozenset(words) & {"accept_if_any_accepted", "ignore_sample"}


def _goes_on(node: _Node, *, breaks: bool) -> bool:
    """Return whether all tests of a group are judged. ``breaks``: the format's default is to stop at a failure."""
    policy = as_text(node.keys.get("on_reject", "break" if breaks else "continue"), node.file, "on_reject")
    if policy not in {"break", "continue", "grade", "first_error", "worst_error"}:
        raise Unusable(node.file, f"{show(node.file)}: on_reject is break or continue, not {show(policy)}.")
    return policy not in {"break", "first_error"}


def _range_end(node: _Node) -> float | None:
    """Return the group's maximum score, from its own file only: the maximum of its parent is not inherited."""
    if "range" not in node.own:
        return None
    words = as_text(node.own["range"], node.file, "range").split()
    if len(words) != 2:
        raise Unusable(node.file, f"{show(node.file)}: range has two numbers.")
    if words[1].lstrip("+").lower() in {"inf", "infinity"}:
        return None
    return as_number(words[1], node.file, "range", least=0)


def _legacy_scores(root: _Node, kind: ProblemKind) -> dict[str, float | None]:
    """Return each test's score; a validator that gives scores overrides it."""
    if not kind.scoring:
        return {}
    scores: dict[str, float | None] = {}
    for node in root.walk():
        accept = as_number(node.keys.get("accept_score", 1), node.file, "accept_score", least=0)
        scores |= dict.fromkeys(node.cases, accept)
    return scores


def _reject_scores(root: _Node) -> dict[str, float]:
    return {
        name: as_number(node.keys.get("reject_score", 0), node.file, "reject_score", least=0)
        for node in root.walk()
        for name in node.cases
    }


# ---------------------------------------------------------------------------------------------------------------------
# DOMjudge


def _is_domjudge(root: _Node, kind: ProblemKind) -> bool:
    """Return whether DOMjudge's rules apply. They score no test below a folder without a file of its own."""
    if not kind.domjudge or not _has_scored_tests(root) or kind.validator_scores or kind.grading:
        return False
    nodes = root.walk()
    if any(not _KATTIS_KEYS.isdisjoint(node.own) or _KATTIS_FLAGS & {*_grader_flags(node)} for node in nodes):
        return False
    kind.notes.append(
        f"{show(root.file)}: scores are computed by DOMjudge's rules, whose marks the package carries: accept_score is"
        " the score of a whole group, and folders without a testdata.yaml are not scored."
    )
    return True


def _has_scored_tests(node: _Node) -> bool:
    return bool(node.own) and (bool(node.cases) or any(_has_scored_tests(child) for child in node.children))


def _domjudge_groups(root: _Node, kind: ProblemKind) -> tuple[Group, ...]:
    ignores_sample = "ignore_sample" in _own_flags(root)
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
                parent=_parent(node),
                aggregate=_score_mode(_own_flags(node)) if accept is None else Aggregate.ALL,
                max_score=_range_end(node) if accept is None else accept,
                judge_all=node.own.get("on_reject") == "continue",
                ignored=not is_scored or (ignores_sample and node.name == "sample"),
                # failures elsewhere do not affect the score
                accepts=Accepts.ALL if node.name else Accepts.ALWAYS,
            )
        )
    return tuple(groups)


def _own_flags(node: _Node) -> tuple[str, ...]:
    return _grader_flags(node) if "grader_flags" in node.own else ()


def _accept_score(node: _Node) -> float | None:
    value = node.own.get("accept_score")
    return None if value is None else as_number(value, node.file, "accept_score", least=0)


def _domjudge_scores(root: _Node, kind: ProblemKind) -> dict[str, float | None]:
    """Return a score of 0 for each test: in DOMjudge the validator gives tests a score, or their group has one."""
    for node in root.walk():
        needs = node.cases and node.own and _accept_score(node) is None
        if needs and not kind.custom:
            raise Unusable(node.file, f"{show(node.file)}: the tests of the group have no score: add accept_score.")
    return dict.fromkeys([name for node in root.walk() for name in node.cases], 0.0)


# ---------------------------------------------------------------------------------------------------------------------
# 2023-07-draft


def _scoring(node: _Node) -> dict[str, Any]:
    """Return the group's own scoring keys as one map; earlier drafts had other names and places for them."""
    grading = node.own.get("grading")
    section = as_map(node.own.get("scoring", grading if isinstance(grading, dict) else None), node.file, "scoring")
    names = {"score": "max_score", "aggregation": "score_aggregation", "require_pass": "require_pass"}
    return {
        key: value
        for key, other in names.items()
        if (value := section.get(key, section.get(other, node.own.get(other)))) is not None
    }


def _draft_aggregate(node: _Node, default: str = "") -> Aggregate:
    default = default or ("sum" if node.name in {"", "secret"} else "pass-fail")
    word = as_text(_scoring(node).get("aggregation", default), node.file, "aggregation")
    aggregate = {"sum": Aggregate.SUM, "min": Aggregate.MIN, "pass-fail": Aggregate.ALL}.get(word)
    if aggregate is None:
        raise Unusable(node.file, f"{show(node.file)}: aggregation is pass-fail, sum or min, not {show(word)}.")
    return aggregate


def _draft_maxima(root: _Node, kind: ProblemKind) -> dict[str, float | None]:
    """Return maximum scores by group, and by case if its group uses sum or min; None: there is no bound."""
    maxima: dict[str, float | None] = {}
    for node in root.walk():
        if node.name.partition("/")[0] == "sample" or not node.name:
            continue
        if node.name == "secret":
            maxima[node.name] = _given(node, _DRAFT_TOTAL)
        if node.name not in maxima:
            continue  # inside a pass-fail group there are no scores
        total = maxima[node.name]
        aggregate = _draft_aggregate(node)
        if aggregate is Aggregate.ALL:
            _check_whole_group(node, total)
            continue
        given = {child.name: _given(child, None) for child in node.children if _states_score(child)}
        rest = [child.name for child in node.children if child.name not in given] + node.cases
        if kind.stable and total is not None and any(child.name in rest for child in node.children):
            raise Unusable(
                node.file or None, f"The groups in {show(node.name)} need a max_score each, because it has one."
            )
        if total is not None and None in given.values():
            raise Unusable(
                node.file or None, f"A group without a bound must be in one without a bound, unlike {show(node.name)}."
            )
        if total is None or aggregate is Aggregate.MIN:
            maxima |= dict.fromkeys(rest, total) | given
            continue
        left = total - sum(score for score in given.values() if score is not None)
        if left < -1e-9:
            raise Unusable(node.file, f"{show(node.file)}: the groups in {show(node.name)} are worth more than it is.")
        maxima |= dict.fromkeys(rest, left / len(rest) if rest else 0.0) | given
    return maxima


def _check_whole_group(node: _Node, total: float | None) -> None:
    if total is None:
        raise Unusable(node.file or None, f"A pass-fail group has a maximum score, and {show(node.name)} has none.")
    strange = next((one for one in node.walk() if _draft_aggregate(one, "pass-fail") is not Aggregate.ALL), None)
    if strange is not None:
        raise Unusable(strange.file, f"{show(strange.file)}: the groups of a pass-fail group are pass-fail, too.")


def _states_score(node: _Node) -> bool:
    return _scoring(node).get("score") is not None


def _given(node: _Node, default: float | None) -> float | None:
    """Return the group's own maximum; None: it has no bound."""
    value = _scoring(node).get("score", default)
    return None if value is None or value == "unbounded" else as_number(value, node.file, "score", least=0)


def _flatten(root: _Node) -> None:
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


def _draft_groups(root: _Node, kind: ProblemKind) -> tuple[Group, ...]:
    if any(node.own.get(key) is not None for node in root.walk() for key in _STATIC):
        raise Unusable(root.file or None, "Validators that look at sources are not supported.")
    if not kind.scoring:
        return tuple(Group(name=node.name, parent=_parent(node), aggregate=Aggregate.ALL) for node in root.walk())
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
                parent=_parent(node),
                aggregate=_draft_aggregate(node) if has_score else Aggregate.ALL,
                max_score=maxima.get(node.name),
                depends_on=_required(node, known) if has_score else (),
                ignored=is_sample,
            )
        )
    return tuple(groups)


def _required(node: _Node, known: Mapping[str, _Node]) -> tuple[str, ...]:
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


def _draft_scores(root: _Node, kind: ProblemKind) -> dict[str, float | None]:
    if not kind.scoring:
        return {}
    maxima = _draft_maxima(root, kind)
    return {name: maxima[name] for node in root.walk() for name in node.cases if name in maxima}


def _parent(node: _Node) -> str | None:
    return node.name.rpartition("/")[0] if node.name else None
