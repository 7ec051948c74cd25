"""DMOJ problems: ``init.yml`` with cases and batches, tests beside it or in an archive of their own.

A batch is a group that is worth its points if all of its cases are right. A case or batch of 0 points (a pretest) that
fails ends judging there, so whatever comes after it depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from deepoj.judging.packages.faults import Unusable, show
from deepoj.judging.packages.files import Files
from deepoj.judging.packages.names import base, folder, natural_key
from deepoj.judging.packages.programs import language_named, program_of
from deepoj.judging.packages.statements import read_statements
from deepoj.judging.packages.submissions import read_submissions
from deepoj.judging.packages.texts import as_bool, as_list, as_map, as_number, as_text, as_words, yaml_map
from deepoj.judging.problem import Aggregate, Case, Checker, Compare, Group, Limits, Plan, Protocol

MARK = "init.yml"

#: keys with which verdicts would be others
_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "generator": "tests that a generator makes while judging",
        "signature_grader": "submissions that are functions called by the problem's own program",
        "custom_judge": "graders in Python for DMOJ's judge",
        "grader": "graders in Python for DMOJ's judge",
        "file_io": "programs that read or write files",
        "dependencies_file": "this key",
        "communication": "several programs that speak with each other",
    }
)
#: keys that change nothing here, and what to say of them
_NOTED: Mapping[str, str] = MappingProxyType(
    {
        "unbuffered": "programs are not run on a terminal; they have to flush",
        "wall_time_factor": "the limit of real time is ours",
        "output_limit_length": "the limit of output is ours",
        "output_prefix_length": "how much of an output is shown is ours to say",
        "hints": "hints for the judge are not followed",
        "symlinks": "symbolic links are not made",
    }
)
_KNOWN = frozenset(
    {"test_cases", "pretest_test_cases", "archive", "checker", "interactive", "points", "short_circuit",
     "binary_data", "meta", *_NOTED}
)  # fmt: skip
_CASE_KEYS = frozenset({"in", "out", "points", "batched", "dependencies"})
#: what ``args_format_string`` may say: the files as they are given anyway
_CHECKER_ARGS = (("{input_file}", "{output_file}", "{answer_file}"),)
_INTERACTOR_ARGS = (("{input_file}", "{answer_file}"), *_CHECKER_ARGS)
#: the last two numbers of a name: batch and case, or the case alone
_NUMBERS = re.compile(r"(?:(?P<batch>[0-9]+)[^0-9]+)?(?P<case>[0-9]+)[^0-9]*")


@dataclass(frozen=True, slots=True)
class _Item:
    """A case or a batch of the list."""

    points: float
    #: input and answer of each
    cases: tuple[tuple[str | None, str | None], ...]
    batched: bool
    #: batches, counted from 1
    depends: tuple[int, ...] = ()


def read(files: Files) -> Plan:
    """Raises Unusable."""
    told = yaml_map(files, MARK)
    notes: list[str] = []
    for key in told:
        if key in _REFUSED:
            raise Unusable(MARK, f"{show(MARK)}: {key}: {_REFUSED[key]} are not supported.")
        if key in _NOTED:
            notes.append(f"{show(MARK)}: {key}: {_NOTED[key]}.")
        elif key not in _KNOWN:
            notes.append(f"{show(MARK)}: {show(key)} is not known and changes nothing.")
    top = _archive(files, told)
    compare, checker = _decider(files, told)
    items = _items(files, told, top, notes)
    short = as_bool(told.get("short_circuit", False), MARK, "short_circuit")
    cases, groups = _tests(items, short)
    if checker is None:
        for case in cases:
            if case.answer is None:
                raise Unusable(MARK, f"{show(MARK)}: case {show(case.name)} has no 'out' to compare with.")
    return Plan(
        format="dmoj",
        cases=cases,
        groups=groups,
        scored=any(item.points for item in items),
        compare=compare,
        checker=checker,
        limits=Limits(),
        examples=read_submissions(files, notes),
        statements=read_statements(files),
        unsupported=tuple(dict.fromkeys(notes)),
    )


def _archive(files: Files, told: Mapping[str, Any]) -> str:
    """The folder in which tests stand, with its slash; empty: beside init.yml."""
    if not told.get("archive"):
        return ""
    name = as_text(told["archive"], MARK, "archive")
    if name not in files:
        raise Unusable(MARK, f"{show(MARK)}: the archive {show(name)} is not in the package.")
    return files.adopt(name)


# ---------------------------------------------------------------------------------------------------------------------
# Tests


def _items(files: Files, told: Mapping[str, Any], top: str, notes: list[str]) -> tuple[_Item, ...]:
    listed = told.get("test_cases")
    default = None if "points" not in told else as_number(told["points"], MARK, "points", least=0)
    if isinstance(listed, list):
        before = as_list(told.get("pretest_test_cases") or [], MARK, "pretest_test_cases")
        return tuple(_item(files, one, top, default, notes) for one in (*before, *listed))
    patterns = as_map(listed, MARK, "test_cases")
    for key in ("input_format", "output_format"):
        if key in patterns:
            raise Unusable(MARK, f"{show(MARK)}: {key}: patterns of one's own are not supported; list the cases.")
    return _found(files, top, patterns.get("case_points"), default)


def _item(files: Files, value: object, top: str, default: float | None, notes: list[str]) -> _Item:
    one = as_map(value, MARK, "a test case")
    for key in one:
        if key in _REFUSED:
            raise Unusable(MARK, f"{show(MARK)}: {key}: {_REFUSED[key]} are not supported.")
        if key in {"checker", "interactive"}:
            raise Unusable(MARK, f"{show(MARK)}: a {key} of a single case is not supported.")
        if key not in _CASE_KEYS:
            notes.append(f"{show(MARK)}: {show(key)} of a case changes nothing.")
    points = one.get("points", default)
    worth = 0.0 if points is None else as_number(points, MARK, "points", least=0)
    if points is None and "batched" not in one:
        raise Unusable(MARK, f"{show(MARK)}: a case without points.")
    if "batched" in one:
        members = [as_map(member, MARK, "a batched case") for member in as_list(one["batched"], MARK, "batched")]
        if not members:
            raise Unusable(MARK, f"{show(MARK)}: a batch without cases.")
        depends = tuple(
            round(as_number(number, MARK, "dependencies", least=1))
            for number in as_list(one.get("dependencies") or [], MARK, "dependencies")
        )
        return _Item(worth, tuple(_pair(files, member, top) for member in members), True, depends)
    return _Item(worth, (_pair(files, one, top),), False)


def _pair(files: Files, one: Mapping[str, Any], top: str) -> tuple[str | None, str | None]:
    names: list[str | None] = []
    for key in ("in", "out"):
        if one.get(key) is None:
            names.append(None)
            continue
        told = as_text(one[key], MARK, key)
        # what lies beside init.yml goes before what is in the archive
        name = next((name for name in (told, top + told) if name in files), None)
        if name is None:
            raise Unusable(told, f"{show(told)}, which {MARK} names, is not in the package.")
        names.append(name)
    return names[0], names[1]


def _found(files: Files, top: str, points: object, default: float | None) -> tuple[_Item, ...]:
    """Cases by their names: ``1.in``, ``test-2.in``; with two numbers (``1-2.in``) the first is that of a batch."""
    kinds: tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]] = ({}, {})
    for name in files.below(top):
        word = next(
            (index for index, word in enumerate(("in", "out")) if re.search(rf"(?:^|\W){word}", base(name))), None
        )
        match = re.search(_NUMBERS.pattern + r"\Z", base(name))
        if word is None or match is None or name == MARK:
            continue
        key = (match["batch"] or "", match["case"])
        if key in kinds[word]:
            raise Unusable(name, f"{show(name)} and {show(kinds[word][key])} would be the same test.")
        kinds[word][key] = name
    inputs, answers = kinds
    for one, other, what in ((inputs, answers, "answer"), (answers, inputs, "input")):
        for key, name in one.items():
            if key not in other:
                raise Unusable(name, f"{show(name)} has no {what} beside it.")
    numbers = sorted({batch or case for batch, case in inputs}, key=natural_key)
    if not numbers:
        raise Unusable(MARK, "The package has no test case.")
    each = (
        None
        if points is None
        else [as_number(one, MARK, "case_points", least=0) for one in as_list(points, MARK, "case_points")]
    )
    if each is not None and len(each) != len(numbers):
        raise Unusable(MARK, f"{show(MARK)}: case_points has {len(each)} numbers for {len(numbers)} cases and batches.")
    items = []
    for index, number in enumerate(numbers):
        keys = sorted((key for key in inputs if (key[0] or key[1]) == number), key=lambda key: natural_key(key[1]))
        worth = each[index] if each is not None else 1.0 if default is None else default
        batched = any(batch for batch, _ in keys)
        items.append(_Item(worth, tuple((inputs[key], answers[key]) for key in keys), batched))
    return tuple(items)


def _tests(items: Sequence[_Item], short: bool) -> tuple[tuple[Case, ...], tuple[Group, ...]]:
    if not items:
        raise Unusable(MARK, "The package has no test case.")
    scored = any(item.points for item in items)
    #: a failed one ends judging, if something comes after it
    gates = any(item.points == 0 for item in items[:-1]) and scored
    cases: list[Case] = []
    groups = [Group(name="", parent=None, judge_all=not short)]
    batches: list[str] = []
    open_gates: list[str] = []
    for number, item in enumerate(items, 1):
        if not item.batched and not gates:
            cases.append(_case(str(number), item.cases[0], "", item.points if scored else None))
            continue
        name = f"batch {len(batches) + 1}" if item.batched else f"case {number}"
        groups.append(
            Group(
                name=name,
                aggregate=Aggregate.MIN,
                max_score=item.points if scored else None,
                depends_on=tuple(dict.fromkeys((*open_gates, *_batches_named(item, batches)))),
                judge_all=False,
            )
        )
        for index, pair in enumerate(item.cases, 1):
            case = f"{number}.{index}" if item.batched else str(number)
            cases.append(_case(case, pair, name, item.points if scored else None))
        if item.batched:
            batches.append(name)
        if item.points == 0 and gates:
            open_gates.append(name)
    return tuple(cases), tuple(groups) if len(groups) > 1 or short else ()


def _batches_named(item: _Item, before: Sequence[str]) -> tuple[str, ...]:
    for number in item.depends:
        if number > len(before):
            raise Unusable(MARK, f"{show(MARK)}: a batch depends on batch {number}, which does not come before it.")
    return tuple(before[number - 1] for number in item.depends)


def _case(name: str, pair: tuple[str | None, str | None], group: str, score: float | None) -> Case:
    return Case(name=name, input=pair[0], answer=pair[1], group=group, score=score)


# ---------------------------------------------------------------------------------------------------------------------
# Who decides


def _decider(files: Files, told: Mapping[str, Any]) -> tuple[Compare | None, Checker | None]:
    if "interactive" in told:
        spec = as_map(told["interactive"], MARK, "interactive")
        return None, _bridged(files, spec, "interactive", interactive=True)
    value = told.get("checker", "standard")
    spec = {"name": value} if isinstance(value, str) else as_map(value, MARK, "checker")
    name = as_text(spec.get("name", ""), MARK, "checker.name")
    args = as_map(spec.get("args"), MARK, "checker.args")
    if name == "bridged":
        return None, _bridged(files, args, "checker.args", interactive=False)
    return _compare(name, args), None


def _compare(name: str, args: Mapping[str, Any]) -> Compare:
    if name in {"floats", "floatsabs", "floatsrel"}:
        return _floats(name, args)
    split_on = "whitespace" if name == "unordered" else args.get("split_on", "lines")
    if name in {"sorted", "unordered"} and split_on in {"lines", "whitespace"}:
        return Compare(way="unordered_lines" if split_on == "lines" else "unordered_tokens")
    found = {"standard": Compare(way="lines"), "identical": Compare(way="exact")}.get(name)
    if found is None:
        what = "checkers in Python for DMOJ's judge are" if name.endswith(".py") else f"the checker {show(name)} is"
        raise Unusable(MARK, f"{show(MARK)}: {what} not supported.")
    return found


def _floats(name: str, args: Mapping[str, Any]) -> Compare:
    precision = as_number(args.get("precision", 6), MARK, "precision", least=0, most=300)
    mode = {"floatsabs": "absolute", "floatsrel": "relative"}.get(name, args.get("error_mode", "default"))
    if mode not in {"default", "absolute", "relative"}:
        raise Unusable(MARK, f"{show(MARK)}: the error mode {show(mode)} is not supported.")
    epsilon = 10.0**-precision
    return Compare(
        way="floats",
        absolute=None if mode == "relative" else epsilon,
        relative=None if mode == "absolute" else epsilon,
    )


def _bridged(files: Files, args: Mapping[str, Any], where: str, *, interactive: bool) -> Checker:
    named = args.get("files")
    names = (named,) if isinstance(named, str) else as_words(named, MARK, f"{where}.files")
    for name in names:
        if name not in files:
            raise Unusable(MARK, f"{show(MARK)}: {show(name)} of {where} is not in the package.")
    template = args.get("args_format_string")
    usual = _INTERACTOR_ARGS if interactive else _CHECKER_ARGS
    if template is not None and as_words(template, MARK, f"{where}.args_format_string") not in usual:
        raise Unusable(MARK, f"{show(MARK)}: {where}.args_format_string: arguments of one's own are not supported.")
    kind = as_text(args.get("type") or "default", MARK, f"{where}.type")
    protocol = {"default": Protocol.PLAIN, "testlib": Protocol.TESTLIB}.get(kind)
    if protocol is None:
        raise Unusable(MARK, f"{show(MARK)}: {where} of the type {show(kind)} is not supported.")
    told = args.get("lang")
    language = None if told is None else language_named(as_text(told, MARK, f"{where}.lang"))
    if told is not None and language is None:
        raise Unusable(MARK, f"{show(MARK)}: the language {show(told)} of {where} is not known.")
    beside = [name for name in files.in_folder(folder(names[0])) if name.endswith((".h", ".hpp"))] if names else []
    program = program_of(
        files,
        tuple(dict.fromkeys((*names, *beside))),
        "The interactor" if interactive else "The checker",
        language=language,
    )
    return Checker(program=program, protocol=protocol, interactive=interactive)
