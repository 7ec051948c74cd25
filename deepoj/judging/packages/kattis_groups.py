"""The tests of an ICPC/Kattis package and its groups: ``data/sample``, ``data/secret`` and the folders below them.

Groups are named by their path below ``data/`` (``secret/group1``); the root has the empty name.

*legacy*: a group's ``testdata.yaml`` adds to its parent's. A grader decides on verdict and score of a group from those
of its members; the default grader's modes are brought to ours:

======================================  ==============================================================================
accepted only if all members are        ``ALL`` (sum), ``MIN`` (min)
always, or if any member is accepted    ``SUM`` (sum), ``MIN`` (min)
the average of tests                    the sum of their shares
``on_reject: break``                    the rest of the group is not judged
======================================  ==============================================================================

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
from deepoj.judging.problem import Aggregate, Case, Group

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
_GRADER_FLAGS = frozenset(
    {"worst_error", "first_error", "always_accept", "accept_if_any_accepted", "sum", "min", "avg", "ignore_sample"}
)


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
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tests:
    """What the folder ``data`` holds."""

    cases: tuple[Case, ...]
    groups: tuple[Group, ...]
    #: of the default validator, where groups name any
    flags: tuple[str, ...]


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
    groups = _draft_groups(root, kind) if draft else _legacy_groups(root, kind)
    scores = _draft_scores(root, kind) if draft else _legacy_scores(root, kind)
    made = [_case(files, kind, node, name, scores) for node in root.walk() for name in node.cases]
    made.sort(key=lambda one: natural_key(one[0].name))
    cases = tuple(case for case, _ in made)
    flags = {one for _, one in made}
    if not kind.custom and len(flags) > 1:
        raise Unusable(
            root.file or None, "The default validator with other arguments for single tests is not supported."
        )
    return Tests(cases, groups, flags.pop() if not kind.custom else ())


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
    if "data/secret/" not in files.folders_in(DATA):
        raise Unusable(None, "The package has no folder data/secret.")
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
    files: Files, kind: Kind, node: _Node, name: str, scores: Mapping[str, float | None]
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
        score=scores.get(name),
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


def _legacy_groups(root: _Node, kind: Kind) -> tuple[Group, ...]:
    modes = [_grader(node) for node in root.walk()]
    ignore_sample = "ignore_sample" in modes[0]
    groups = []
    for node, words in zip(root.walk(), modes, strict=True):
        forgives = bool({"always_accept", "accept_if_any_accepted"} & set(words))
        if forgives and not kind.scoring:
            raise Unusable(
                node.file, f"{show(node.file)}: a pass-fail problem that forgives failed tests is not supported."
            )
        lenient = forgives or (ignore_sample and not node.name)
        groups.append(
            Group(
                name=node.name,
                parent=_parent(node),
                aggregate=_legacy_aggregate(words, lenient),
                max_score=_range_end(node) if kind.scoring else None,
                judge_all=_goes_on(node, kind),
                ignored=ignore_sample and node.name.partition("/")[0] == "sample",
            )
        )
    return tuple(groups)


def _legacy_aggregate(words: Sequence[str], lenient: bool) -> Aggregate:
    if _score_mode(words) == "min":
        return Aggregate.MIN
    return Aggregate.SUM if lenient else Aggregate.ALL


def _score_mode(words: Sequence[str]) -> str:
    """Of several the last counts."""
    return next((word for word in reversed(words) if word in {"sum", "min", "avg"}), "sum")


def _grader(node: _Node) -> tuple[str, ...]:
    if node.told.get("grading", "default") != "default":
        raise Unusable(node.file, f"{show(node.file)}: a grader of the package's own is not supported.")
    words = as_words(node.told.get("grader_flags"), node.file, "grader_flags")
    for word in words:
        if word not in _GRADER_FLAGS:
            raise Unusable(node.file, f"{show(node.file)}: the grader flag {show(word)} is not supported.")
    if _score_mode(words) == "avg" and node.children and node.name.partition("/")[0] != "sample":
        raise Unusable(node.file, f"{show(node.file)}: the grader flag 'avg' of a group of groups is not supported.")
    return words


def _goes_on(node: _Node, kind: Kind) -> bool:
    """A pass-fail verdict is the same either way: there only what the package says itself stops judging early."""
    told = as_text(node.told.get("on_reject", "break" if kind.scoring else "continue"), node.file, "on_reject")
    if told not in {"break", "continue", "grade", "first_error", "worst_error"}:
        raise Unusable(node.file, f"{show(node.file)}: on_reject is break or continue, not {show(told)}.")
    return told != "break"


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
        if as_number(node.told.get("reject_score", 0), node.file, "reject_score") != 0:
            raise Unusable(node.file, f"{show(node.file)}: a score for tests that fail is not supported.")
        accept = as_number(node.told.get("accept_score", 1), node.file, "accept_score", least=0)
        if _score_mode(_grader(node)) == "avg":
            if kind.validator_scores:
                raise Unusable(node.file, f"{show(node.file)}: the average of a validator's scores is not supported.")
            accept /= max(len(node.cases), 1)
        found |= dict.fromkeys(node.cases, accept)
    return found


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


def _draft_aggregate(node: _Node) -> Aggregate:
    default = "sum" if node.name in {"", "secret"} else "pass-fail"
    word = as_text(_scoring(node).get("aggregation", default), node.file, "aggregation")
    found = {"sum": Aggregate.SUM, "min": Aggregate.MIN, "pass-fail": Aggregate.ALL}.get(word)
    if found is None:
        raise Unusable(node.file, f"{show(node.file)}: aggregation is pass-fail, sum or min, not {show(word)}.")
    return found


def _draft_maxima(root: _Node) -> dict[str, float]:
    """Maximum scores by group, and by case where its group sums or takes the least."""
    found: dict[str, float] = {}
    for node in root.walk():
        if node.name.partition("/")[0] == "sample":
            continue
        told = _given(node)
        if node.name in {"", "secret"}:
            found[node.name] = _DRAFT_TOTAL if told is None else told
            if not node.name:
                continue
        total = found[node.name]
        if _draft_aggregate(node) is Aggregate.ALL:
            continue
        given = {child.name: score for child in node.children if (score := _given(child)) is not None}
        rest = [child.name for child in node.children if child.name not in given] + node.cases
        if _draft_aggregate(node) is Aggregate.MIN:
            found |= dict.fromkeys([*rest], total) | given
            continue
        left = total - sum(given.values())
        if left < -1e-9:
            raise Unusable(node.file, f"{show(node.file)}: the groups in {show(node.name)} are worth more than it is.")
        found |= dict.fromkeys(rest, left / len(rest) if rest else 0.0) | given
    return found


def _given(node: _Node) -> float | None:
    value = _scoring(node).get("score")
    if value == "unbounded":
        raise Unusable(node.file, f"{show(node.file)}: scores without a bound are not supported.")
    return None if value is None else as_number(value, node.file, "score", least=0)


def _draft_groups(root: _Node, kind: Kind) -> tuple[Group, ...]:
    if any(node.own.get(key) is not None for node in root.walk() for key in _STATIC):
        raise Unusable(root.file or None, "Validators that look at sources are not supported.")
    if not kind.scoring:
        return tuple(Group(name=node.name, parent=_parent(node), aggregate=Aggregate.ALL) for node in root.walk())
    known = {node.name for node in root.walk()}
    maxima = _draft_maxima(root)
    groups = []
    for node in root.walk():
        ignored = node.name.partition("/")[0] == "sample"
        if node.name and not ignored and node.name not in maxima:
            # within an all-or-nothing group nothing is worth anything by itself
            groups.append(Group(name=node.name, parent=_parent(node), aggregate=Aggregate.ALL))
            continue
        groups.append(
            Group(
                name=node.name,
                parent=_parent(node),
                aggregate=Aggregate.SUM if not node.name else _draft_aggregate(node),
                max_score=None if ignored or not node.name else maxima[node.name],
                depends_on=_required(node, known),
                ignored=ignored,
            )
        )
    return tuple(groups)


def _required(node: _Node, known: set[str]) -> tuple[str, ...]:
    value = _scoring(node).get("require_pass", [])
    listed = [value] if isinstance(value, str) else as_list(value, node.file, "require_pass")
    names = tuple(as_text(one, node.file, "require_pass") for one in listed)
    for name in names:
        if name not in known:
            raise Unusable(
                node.file, f"{show(node.file)}: require_pass names {show(name)}, which is no group of tests."
            )
    return names


def _draft_scores(root: _Node, kind: Kind) -> dict[str, float | None]:
    if not kind.scoring:
        return {}
    maxima = _draft_maxima(root)
    return {name: maxima[name] for node in root.walk() for name in node.cases if name in maxima}


def _parent(node: _Node) -> str | None:
    return node.name.rpartition("/")[0] if node.name else None
