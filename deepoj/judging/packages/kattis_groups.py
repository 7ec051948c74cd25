"""The tests of an ICPC/Kattis package and its groups: ``data/sample``, ``data/secret`` and the folders below them.

Groups are named by their path below ``data/`` (``secret/group1``); the root has the empty name.

Points are absolute in all of these formats (``Points``): scores are aggregated and never scaled.

*legacy*: a group's ``testdata.yaml`` adds to its parent's. Kattis' default grader decides on the verdict and on the
score of a group from those of its members: its modes are ``Accepts``, ``worst_error`` and ``Aggregate``.

*DOMjudge* reads the same words by other rules: a group has what its own ``testdata.yaml`` says, ``accept_score`` is the
score of the whole group, folders without that file are not scored, and failures never take away the score of others.
A package is read so if it scores, carries DOMjudge's marks, and says nothing that only Kattis' grader knows.

*2023-07-draft* and *2025-09*: ``test_group.yaml`` gives a maximum, how members are put together, and which groups must
pass before; maxima that are not given are worked out here, so that judging need not know the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepoj.judging.packages.faults import Unusable, show
from deepoj.judging.packages.files import Files
from deepoj.judging.packages.names import folder, natural_key, without_suffix
from deepoj.judging.packages.texts import as_list, as_map, as_number, as_text, as_words, yaml_map
from deepoj.judging.problem import Accepts, Aggregate, Case, Group, Points

DATA = "data/"
_OLD_FILE, _NEW_FILE = "testdata.yaml", "test_group.yaml"
GROUP_FILES = (_OLD_FILE, _NEW_FILE)
_TOPS = ("sample", "secret")
#: below these stand tests of validators
_OTHER = ("data/invalid_input/", "data/invalid_output/", "data/invalid_inputs/", "data/invalid_answers/",
          "data/valid_output/", "data/valid_outputs/", "data/testing_tool_test/")  # fmt: skip
_DRAFT_TOTAL = 100.0
#: words of test groups that say something about scores in the legacy format alone
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
#: of a group that DOMjudge does not know
_KATTIS_KEYS = frozenset({"grading", "reject_score"})
_KATTIS_FLAGS = frozenset({*_VERDICT_MODES, "accept_if_any_accepted"})
#: of problem.yaml's ``grading``, where old packages say it for all groups
_OLD_GRADING = ("accept_score", "reject_score", "range")
_OLD_REJECT = {"first_error": "break", "grade": "continue", "worst_error": ""}


@dataclass(slots=True)
class Kind:
    """What ``problem.yaml`` makes of a problem."""

    draft: bool
    scoring: bool = False
    interactive: bool = False
    multipass: bool = False
    output_only: bool = False
    #: an output validator of the package decides
    custom: bool = False
    #: that validator also gives scores
    validator_scores: bool = False
    flags: tuple[str, ...] = ()
    #: the version of the format is 2025-09 or later
    stable: bool = False
    #: the package carries marks of DOMjudge's
    domjudge: bool = False
    #: what problem.yaml says of all groups
    grading: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tests:
    """What the folder ``data`` holds."""

    cases: tuple[Case, ...]
    groups: tuple[Group, ...]
    #: of the default validator, where groups name any
    flags: tuple[str, ...]
    points: Points


@dataclass(slots=True)
class _Node:
    """A group on its way."""

    name: str
    told: dict[str, Any]
    #: of its own file, without what it inherits
    own: dict[str, Any]
    file: str
    cases: list[str] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)

    def walk(self) -> list[_Node]:
        """Parents before children."""
        return [self, *(one for child in self.children for one in child.walk())]


def read_tests(files: Files, kind: Kind) -> Tests:
    """Raises Unusable."""
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
    made = [
        _case(files, kind, node, name, score=scores.get(name), reject_score=rejects.get(name, 0.0))
        for node in root.walk()
        for name in node.cases
    ]
    # The order decides what a group that ends at its first failure comes to: where it has a score, it is the format's.
    ordered_by_bytes = kind.scoring and not draft
    made.sort(key=lambda one: one[0].name.split("/") if ordered_by_bytes else natural_key(one[0].name))
    cases = tuple(case for case, _ in made)
    flags = {one for _, one in made}
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
    told: dict[str, Any] = {} if parent is None else dict(parent.told)
    own: dict[str, Any] = {}
    file = here + _NEW_FILE
    for name in (here + _OLD_FILE, here + _NEW_FILE):
        if name in files:
            own, file = yaml_map(files, name), name
    return _Node(path, told | own, own, file if own else "" if parent is None else parent.file)


def _strays(files: Files) -> Unusable | None:
    """An input or an answer alone; interactive samples may consist of an interaction alone."""
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
            return Unusable(name, f"{show(name)} stands neither in data/sample nor in data/secret.")
    return None


def _case(
    files: Files, kind: Kind, node: _Node, name: str, *, score: float | None, reject_score: float
) -> tuple[Case, tuple[str, ...]]:
    """A case, and the arguments that the default validator would get for it."""
    stem = without_suffix(name)
    config = stem + ".yaml"
    told = node.told | (yaml_map(files, config) if kind.draft and config in files else {})
    flags = _flags(told, kind, config if config in files else node.file)
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
        input_args=_input_args(told, config if config in files else node.file),
        extra_files=extra,
        args=as_words(told.get("args"), config, "args") if kind.draft else (),
    )
    return case, () if kind.custom else (*kind.flags, *flags)


def _input_args(told: Mapping[str, Any], file: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """One list for all input validators, or one for each that is named."""
    value = told.get("input_validator_args", told.get("input_validator_flags"))
    if isinstance(value, Mapping):
        named = as_map(value, file, "input_validator_args").items()
        return tuple((name, as_words(words, file, "input_validator_args")) for name, words in named)
    words = as_words(value, file, "input_validator_args")
    return (("", words),) if words else ()


def _flags(told: Mapping[str, Any], kind: Kind, file: str) -> tuple[str, ...]:
    if kind.draft:
        return as_words(
            told.get("output_validator_args", told.get("output_validator_flags")), file, "output_validator_args"
        )
    value = told.get("output_validator_flags")
    if isinstance(value, Mapping):
        value = as_map(value, file, "output_validator_flags").get("flags")
    return as_words(value, file, "output_validator_flags")


# ---------------------------------------------------------------------------------------------------------------------
# legacy


def _legacy_words(root: _Node, kind: Kind) -> bool:
    """Whether a package that calls itself a draft scores its groups in the legacy's words, as Kattis' own tools let it:
    by the draft's rules the scores would be others."""
    found = next(
        (node for node in root.walk() if node.file.endswith(_OLD_FILE) and not _LEGACY_ONLY.isdisjoint(node.own)), None
    )
    if not kind.scoring or found is None:
        return False
    kind.notes.append(f"{show(found.file)}: scores are given in words of the legacy format, and taken by its rules.")
    return True


def _apply_old_grading(root: _Node, kind: Kind) -> None:
    """What problem.yaml says of all groups overrides what they say, as Kattis' tools have it."""
    found = {key: kind.grading[key] for key in _OLD_GRADING if kind.grading.get(key) is not None}
    policy = kind.grading.get("on_reject")
    if policy is not None:
        if policy not in _OLD_REJECT:
            known = ", ".join(_OLD_REJECT)
            raise Unusable("problem.yaml", f"'problem.yaml': grading.on_reject is one of {known}, not {show(policy)}.")
        found |= {"on_reject": _OLD_REJECT[policy]} if _OLD_REJECT[policy] else {}
    for node in root.walk() if found else ():
        node.told |= found
        node.own |= found
        node.file = node.file or "problem.yaml"


def _legacy_groups(root: _Node, kind: Kind) -> tuple[Group, ...]:
    modes = [_grader(node) for node in root.walk()]
    ignores_sample = "ignore_sample" in modes[0]
    # on_reject decides on a pass-fail verdict only where failures are forgiven: else all tests are judged, for teachers
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
                # of a group that ends at its first failure, that is the worst
                worst_error=_goes_on(node, breaks=True) and _verdict_mode(words) != "first_error",
            )
        )
    return tuple(groups)


def _accepts(words: Sequence[str]) -> Accepts:
    if _verdict_mode(words) == "always_accept":
        return Accepts.ALWAYS
    return Accepts.ANY if "accept_if_any_accepted" in words else Accepts.ALL


def _score_mode(words: Sequence[str]) -> Aggregate:
    """Of several the last counts."""
    return next((_SCORE_MODES[word] for word in reversed(words) if word in _SCORE_MODES), Aggregate.SUM)


def _verdict_mode(words: Sequence[str]) -> str:
    """Of several the last counts."""
    return next((word for word in reversed(words) if word in _VERDICT_MODES), "worst_error")


def _grader(node: _Node) -> tuple[str, ...]:
    if node.told.get("grading", "default") != "default":
        raise Unusable(node.file, f"{show(node.file)}: a grader of the package's own is not supported.")
    words = _grader_flags(node)
    if node.name and "ignore_sample" in _own_flags(node):
        raise Unusable(node.file, f"{show(node.file)}: the grader flag 'ignore_sample' is for the folder data alone.")
    return words


def _grader_flags(node: _Node) -> tuple[str, ...]:
    """The flags of a group. Graders ignore words that they do not know, such as ``sum,``: that is taken for a slip of
    the pen if it changes nothing, and is refused otherwise."""
    words = as_words(node.told.get("grader_flags"), node.file, "grader_flags")
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
    """Whether a group is judged to its end. ``breaks``: by the format's default it is not."""
    policy = as_text(node.told.get("on_reject", "break" if breaks else "continue"), node.file, "on_reject")
    if policy not in {"break", "continue", "grade", "first_error", "worst_error"}:
        raise Unusable(node.file, f"{show(node.file)}: on_reject is break or continue, not {show(policy)}.")
    return policy not in {"break", "first_error"}


def _range_end(node: _Node) -> float | None:
    """Of its own file only: a group does not become worth as much as what it is a part of."""
    if "range" not in node.own:
        return None
    words = as_text(node.own["range"], node.file, "range").split()
    if len(words) != 2:
        raise Unusable(node.file, f"{show(node.file)}: range has two numbers.")
    if words[1].lstrip("+").lower() in {"inf", "infinity"}:
        return None
    return as_number(words[1], node.file, "range", least=0)


def _legacy_scores(root: _Node, kind: Kind) -> dict[str, float | None]:
    """What each test is worth; a validator that gives scores overrides it."""
    if not kind.scoring:
        return {}
    found: dict[str, float | None] = {}
    for node in root.walk():
        accept = as_number(node.told.get("accept_score", 1), node.file, "accept_score", least=0)
        found |= dict.fromkeys(node.cases, accept)
    return found


def _reject_scores(root: _Node) -> dict[str, float]:
    return {
        name: as_number(node.told.get("reject_score", 0), node.file, "reject_score", least=0)
        for node in root.walk()
        for name in node.cases
    }


# ---------------------------------------------------------------------------------------------------------------------
# DOMjudge


def _is_domjudge(root: _Node, kind: Kind) -> bool:
    """Whether DOMjudge's rules apply. It scores no test that has a folder above it without a file of its own."""
    if not kind.domjudge or not _has_scored_tests(root) or kind.validator_scores or kind.grading:
        return False
    nodes = root.walk()
    if any(not _KATTIS_KEYS.isdisjoint(node.own) or _KATTIS_FLAGS & {*_grader_flags(node)} for node in nodes):
        return False
    kind.notes.append(
        f"{show(root.file)}: scores are taken by DOMjudge's rules, whose marks the package carries: accept_score is"
        " the score of a whole group, and folders without a testdata.yaml are not scored."
    )
    return True


def _has_scored_tests(node: _Node) -> bool:
    return bool(node.own) and (bool(node.cases) or any(_has_scored_tests(child) for child in node.children))


def _domjudge_groups(root: _Node, kind: Kind) -> tuple[Group, ...]:
    ignores_sample = "ignore_sample" in _own_flags(root)
    groups = []
    for node in root.walk():
        is_scored = bool(node.own)
        has_children = any(child.own for child in node.children)
        if is_scored and has_children and node.cases:
            raise Unusable(
                node.file, f"{show(node.file)}: DOMjudge does not score tests that stand beside groups of tests."
            )
        accept = _accept_score(node) if is_scored and not has_children else None
        groups.append(
            Group(
                name=node.name,
                parent=_parent(node),
                aggregate=_score_mode(_own_flags(node)) if accept is None else Aggregate.ALL,
                max_score=_range_end(node) if accept is None else accept,
                judge_all=node.own.get("on_reject") == "continue",
                ignored=not is_scored or (ignores_sample and node.name == "sample"),
                # failures elsewhere leave the score as it is
                accepts=Accepts.ALL if node.name else Accepts.ALWAYS,
            )
        )
    return tuple(groups)


def _own_flags(node: _Node) -> tuple[str, ...]:
    return _grader_flags(node) if "grader_flags" in node.own else ()


def _accept_score(node: _Node) -> float | None:
    value = node.own.get("accept_score")
    return None if value is None else as_number(value, node.file, "accept_score", least=0)


def _domjudge_scores(root: _Node, kind: Kind) -> dict[str, float | None]:
    """By itself a test has no score: the validator gives it one, or its group has one."""
    for node in root.walk():
        needs = node.cases and node.own and _accept_score(node) is None
        if needs and not kind.custom:
            raise Unusable(node.file, f"{show(node.file)}: nothing gives the tests of the group a score: accept_score.")
    return dict.fromkeys([name for node in root.walk() for name in node.cases], 0.0)


# ---------------------------------------------------------------------------------------------------------------------
# 2023-07-draft


def _scoring(node: _Node) -> dict[str, Any]:
    """The keys of the group itself, as one map; drafts called them differently and put them in other places."""
    grading = node.own.get("grading")
    told = as_map(node.own.get("scoring", grading if isinstance(grading, dict) else None), node.file, "scoring")
    names = {"score": "max_score", "aggregation": "score_aggregation", "require_pass": "require_pass"}
    return {
        key: value
        for key, other in names.items()
        if (value := told.get(key, told.get(other, node.own.get(other)))) is not None
    }


def _draft_aggregate(node: _Node, default: str = "") -> Aggregate:
    default = default or ("sum" if node.name in {"", "secret"} else "pass-fail")
    word = as_text(_scoring(node).get("aggregation", default), node.file, "aggregation")
    found = {"sum": Aggregate.SUM, "min": Aggregate.MIN, "pass-fail": Aggregate.ALL}.get(word)
    if found is None:
        raise Unusable(node.file, f"{show(node.file)}: aggregation is pass-fail, sum or min, not {show(word)}.")
    return found


def _draft_maxima(root: _Node, kind: Kind) -> dict[str, float | None]:
    """Maximum scores by group, and by case where its group sums or takes the least; None: there is no bound."""
    found: dict[str, float | None] = {}
    for node in root.walk():
        if node.name.partition("/")[0] == "sample" or not node.name:
            continue
        if node.name == "secret":
            found[node.name] = _given(node, _DRAFT_TOTAL)
        if node.name not in found:
            continue  # in a group that is passed or failed as a whole nothing has a score of its own
        total = found[node.name]
        aggregate = _draft_aggregate(node)
        if aggregate is Aggregate.ALL:
            _check_whole_group(node, total)
            continue
        given = {child.name: _given(child, None) for child in node.children if _states_score(child)}
        rest = [child.name for child in node.children if child.name not in given] + node.cases
        if kind.stable and total is not None and any(child.name in rest for child in node.children):
            raise Unusable(node.file or None, f"The groups in {show(node.name)} need a max_score each, as it has one.")
        if total is not None and None in given.values():
            raise Unusable(node.file or None, f"Only in a group without a bound, a group has none: {show(node.name)}.")
        if total is None or aggregate is Aggregate.MIN:
            found |= dict.fromkeys(rest, total) | given
            continue
        left = total - sum(score for score in given.values() if score is not None)
        if left < -1e-9:
            raise Unusable(node.file, f"{show(node.file)}: the groups in {show(node.name)} are worth more than it is.")
        found |= dict.fromkeys(rest, left / len(rest) if rest else 0.0) | given
    return found


def _check_whole_group(node: _Node, total: float | None) -> None:
    if total is None:
        raise Unusable(node.file or None, f"A pass-fail group has a maximum score, and {show(node.name)} has none.")
    strange = next((one for one in node.walk() if _draft_aggregate(one, "pass-fail") is not Aggregate.ALL), None)
    if strange is not None:
        raise Unusable(strange.file, f"{show(strange.file)}: the groups of a pass-fail group are pass-fail, too.")


def _states_score(node: _Node) -> bool:
    return _scoring(node).get("score") is not None


def _given(node: _Node, default: float | None) -> float | None:
    """What a group says of its maximum; None: it has no bound."""
    value = _scoring(node).get("score", default)
    return None if value is None or value == "unbounded" else as_number(value, node.file, "score", least=0)


def _flatten(root: _Node) -> None:
    """Since 2025-09 only folders directly below ``data/secret`` are groups; deeper ones only sort the tests of one."""
    for secret in root.children if root.name == "" else ():
        if secret.name == "secret" and secret.cases and secret.children:
            raise Unusable(
                None, "The folder data/secret holds test cases beside groups of tests: this format wants one."
            )
        for group in secret.children:
            for inner in group.walk()[1:]:
                if inner.own:
                    raise Unusable(inner.file, f"{show(inner.file)}: groups within groups are not supported.")
                group.cases += inner.cases
            group.children = []


def _draft_groups(root: _Node, kind: Kind) -> tuple[Group, ...]:
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
        raise Unusable(None, f"Only an output validator gives points without a bound, as {show(unbounded)} has them.")
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
                node.file, f"{show(node.file)}: require_pass names {show(name)}, which is no group of tests."
            )
        if name != "sample" and _draft_aggregate(known[name]) is not Aggregate.ALL:
            raise Unusable(
                node.file, f"{show(node.file)}: require_pass names {show(name)}, which is no pass-fail group."
            )
    return names


def _draft_scores(root: _Node, kind: Kind) -> dict[str, float | None]:
    if not kind.scoring:
        return {}
    maxima = _draft_maxima(root, kind)
    return {name: maxima[name] for node in root.walk() for name in node.cases if name in maxima}


def _parent(node: _Node) -> str | None:
    return node.name.rpartition("/")[0] if node.name else None
