"""DMOJ problems: ``init.yml`` with cases and batches; the tests are beside it or in an archive of their own.

A batch is a group that scores its points if all of its cases are right. A case or batch of 0 points (a pretest) that
fails ends judging there, so everything after it depends on it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from deepoj.judging.checkers import ANSWER, INPUT, OUTPUT
from deepoj.judging.compare_dmoj import epsilon
from deepoj.judging.paths import folder
from deepoj.judging.problem import (
    Aggregate,
    Case,
    Checker,
    Compare,
    Group,
    Limits,
    Plan,
    Protocol,
)
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.keys import TABLES, check_keys
from deepoj.packages.formats.programs import flags_fault, language_named, program_of
from deepoj.packages.formats.statements import read_statements
from deepoj.packages.formats.submissions import read_submissions
from deepoj.packages.formats.texts import as_bool, as_list, as_map, as_number, as_text, as_words, yaml_map

MARK = "init.yml"
MIB = 1024 * 1024
MAX_WALL_FACTOR = 100

#: the names of the files in ``args_format_string``
_FILES: Mapping[str, str] = MappingProxyType(
    {"{input_file}": INPUT, "{output_file}": OUTPUT, "{answer_file}": ANSWER}
    | {"{input}": INPUT, "{output}": OUTPUT, "{answer}": ANSWER}
)
_PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {"default": Protocol.PLAIN, "testlib": Protocol.TESTLIB, "coci": Protocol.COCI, "peg": Protocol.PEG}
)
#: real time ÷ time limit, by default
_WALL_FACTOR = 3.0
#: The numbers of a case in its path, as DMOJ finds them. The number of a batch begins a word, so that a problem called
#: ``sums2`` is no batch. The kinds ignore case.
_NUMBERS = re.compile(r".*?(?:(?:^|\W)(?P<batch>\d++)[^\d\s]++)?(?<!\d)(?P<case>\d++)[^\d\s]*+\Z")
_IS_INPUT, _IS_ANSWER = (re.compile(rf".*?\.{word}|{word}", re.IGNORECASE) for word in ("in", "out"))


@dataclass(frozen=True, slots=True)
class _Item:
    """A case or a batch of the list."""

    points: float
    #: input and answer of each case
    cases: tuple[tuple[str | None, str | None], ...]
    batched: bool
    #: numbers of batches, from 1
    depends: tuple[int, ...] = ()
    #: files whose line ends are converted to Unix's
    texts: tuple[str, ...] = ()


def read(files: Files) -> Plan:
    """Read a DMOJ package. Raises Unusable."""
    config = yaml_map(files, MARK)
    notes: list[str] = []
    check_keys(config, "dmoj init.yml", MARK, notes)
    top = _archive(files, config)
    compare, checker = _decider(files, config, notes)
    _refuse_terminal(config, notes)
    items = _items(files, config, top, notes)
    short = as_bool(config.get("short_circuit", False), MARK, "short_circuit")
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
        limits=_limits(config),
        examples=read_submissions(files, notes),
        statements=read_statements(files),
        plain_texts=tuple(dict.fromkeys(name for item in items for name in item.texts)),
        unsupported=tuple(dict.fromkeys(notes)),
    )


def _limits(config: Mapping[str, Any]) -> Limits:
    factor, output = config.get("wall_time_factor"), config.get("output_limit_length")
    bytes_ = None if output is None else as_number(output, MARK, "output_limit_length", least=0, most=2**53)
    return Limits(
        wall_factor=None
        if factor is None
        else as_number(factor, MARK, "wall_time_factor", least=1, most=MAX_WALL_FACTOR),
        output_mb=None if bytes_ is None else max(math.ceil(bytes_ / MIB), 1),
    )


def _refuse_terminal(config: Mapping[str, Any], notes: list[str]) -> None:
    """Refuse ``unbuffered`` where it matters: it gives a program a terminal, on which runtimes do not buffer output."""
    if not as_bool(config.get("unbuffered") or False, MARK, "unbuffered"):
        return
    if "interactive" in config:
        raise Unusable(
            MARK,
            f"{show(MARK)}: 'unbuffered': programs that leave their output in a buffer are not supported. If the"
            " statement says that programs have to flush, set it to false.",
        )
    notes.append(f"{show(MARK)}: 'unbuffered': programs run on pipes, which changes nothing without an interactor.")


def _archive(files: Files, config: Mapping[str, Any]) -> str:
    """Return the folder of the tests, with its slash; empty: beside init.yml."""
    if not config.get("archive"):
        return ""
    name = as_text(config["archive"], MARK, "archive")
    if name not in files:
        raise Unusable(MARK, f"{show(MARK)}: the archive {show(name)} is not in the package.")
    return files.adopt(name)


# ---------------------------------------------------------------------------------------------------------------------
# Tests


def _items(files: Files, config: Mapping[str, Any], top: str, notes: list[str]) -> tuple[_Item, ...]:
    listed = config.get("test_cases")
    if isinstance(listed, list):
        # DMOJ gives pretests no points, even if the file says otherwise
        before = as_list(config.get("pretest_test_cases") or [], MARK, "pretest_test_cases")
        pretests = (replace(_item(files, one, config, top, notes), points=0.0) for one in before)
        return (*pretests, *(_item(files, one, config, top, notes) for one in listed))
    if config.get("pretest_test_cases"):
        raise Unusable(MARK, f"{show(MARK)}: pretest_test_cases beside tests that are found by name is not supported.")
    patterns = as_map(listed, MARK, "test_cases")
    check_keys(patterns, "dmoj test_cases", MARK, notes)
    items = _items_by_name(files, top, patterns.get("case_points"), _points(config))
    if _is_binary(config):
        return items
    return tuple(
        replace(item, texts=tuple(name for pair in item.cases for name in pair if name is not None)) for item in items
    )


def _item(files: Files, value: object, config: Mapping[str, Any], top: str, notes: list[str]) -> _Item:
    """Read a case or batch. A key that a case lacks is taken from its batch, then from the whole problem."""
    one = as_map(value, MARK, "a test case")
    check_keys(one, "dmoj a test case", MARK, notes)
    if "batched" not in one:
        pair = _pair(files, {**config, **one}, top)
        return _Item(_points({**config, **one}), (pair,), False, texts=_texts((pair,), {**config, **one}))
    members = [as_map(member, MARK, "a batched case") for member in as_list(one["batched"], MARK, "batched")]
    if not members:
        raise Unusable(MARK, f"{show(MARK)}: a batch without cases.")
    pairs: list[tuple[str | None, str | None]] = []
    texts: list[str] = []
    for member in members:
        check_keys(member, "dmoj a test case", MARK, notes)
        if "batched" in member:
            raise Unusable(MARK, f"{show(MARK)}: a batch in a batch.")
        inherited = {**config, **one, **member}
        pairs.append(_pair(files, inherited, top))
        texts += _texts(pairs[-1:], inherited)
    depends = tuple(
        round(as_number(number, MARK, "dependencies", least=1))
        for number in as_list(one.get("dependencies") or [], MARK, "dependencies")
    )
    return _Item(_points({**config, **one}), tuple(pairs), True, depends, tuple(texts))


def _points(config: Mapping[str, Any]) -> float:
    value = config.get("points")
    return 1.0 if value is None else as_number(value, MARK, "points", least=0)


def _is_binary(config: Mapping[str, Any]) -> bool:
    return as_bool(config.get("binary_data") or False, MARK, "binary_data")


def _texts(pairs: Sequence[tuple[str | None, str | None]], config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files whose line ends DMOJ converts: all tests, unless they are binary."""
    return () if _is_binary(config) else tuple(name for pair in pairs for name in pair if name is not None)


def _pair(files: Files, one: Mapping[str, Any], top: str) -> tuple[str | None, str | None]:
    names: list[str | None] = []
    for key in ("in", "out"):
        if one.get(key) is None:
            names.append(None)
            continue
        given = as_text(one[key], MARK, key)
        # a file beside init.yml takes precedence over one in the archive
        name = next((name for name in (given, top + given) if name in files), None)
        if name is None:
            raise Unusable(given, f"{show(given)}, which {MARK} names, is not in the package.")
        names.append(name)
    return names[0], names[1]


def _items_by_name(files: Files, top: str, points: object, default: float) -> tuple[_Item, ...]:
    """Find cases by their paths in the archive: ``1.in``, ``test.in.2``.

    With two numbers (``1-2.in``, ``1/2.in``) the first one is that of a batch.
    """
    inputs, answers = _numbered(files, top, _IS_INPUT), _numbered(files, top, _IS_ANSWER)
    for one, other, what in ((inputs, answers, "answer"), (answers, inputs, "input")):
        for key, name in one.items():
            if key not in other:
                raise Unusable(name, f"{show(name)} has no {what} beside it.")
    numbers = sorted({batch for batch, _ in inputs})
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
        keys = sorted(key for key in inputs if key[0] == number)
        worth = each[index] if each is not None else default
        batched = any(_has_batch(inputs[key][len(top) :]) for key in keys)
        items.append(_Item(worth, tuple((inputs[key], answers[key]) for key in keys), batched))
    return tuple(items)


def _numbered(files: Files, top: str, kind: re.Pattern[str]) -> dict[tuple[int, int], str]:
    """Return files of a kind by batch and case number. A case without a batch has a batch's place, as in DMOJ."""
    numbered: dict[tuple[int, int], str] = {}
    for name in files.below(top):
        path = name[len(top) :]
        match = _NUMBERS.match(path)
        if match is None or kind.match(path) is None or name == MARK:
            continue
        key = (int(match["batch"] or match["case"]), int(match["case"]))
        if key in numbered:
            raise Unusable(name, f"{show(name)} and {show(numbered[key])} would be the same test.")
        numbered[key] = name
    return numbered


def _has_batch(path: str) -> bool:
    match = _NUMBERS.match(path)
    return match is not None and match["batch"] is not None


def _tests(items: Sequence[_Item], short: bool) -> tuple[tuple[Case, ...], tuple[Group, ...]]:
    if not items:
        raise Unusable(MARK, "The package has no test case.")
    scored = any(item.points for item in items)
    #: a failed case or batch of 0 points ends judging, if something comes after it
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
# Checkers and interactors


def _decider(files: Files, config: Mapping[str, Any], notes: list[str]) -> tuple[Compare | None, Checker | None]:
    if "interactive" in config:
        spec = as_map(config["interactive"], MARK, "interactive")
        check_keys(spec, "dmoj interactive", MARK, notes)
        return None, _bridged(files, spec, "interactive", interactive=True)
    value = config.get("checker") or "standard"
    spec = {"name": value} if isinstance(value, str) else as_map(value, MARK, "checker")
    check_keys(spec, "dmoj checker", MARK, notes)
    name = as_text(spec.get("name", ""), MARK, "checker.name")
    args = as_map(spec.get("args"), MARK, "checker.args")
    place = f"dmoj checker {name}"
    if place not in TABLES:
        what = "checkers in Python for DMOJ's judge are" if name.endswith(".py") else f"the checker {show(name)} is"
        raise Unusable(MARK, f"{show(MARK)}: {what} not supported.")
    check_keys(args, place, MARK, notes)
    if name == "bridged":
        return None, _bridged(files, args, "checker.args", interactive=False)
    if name == "linecount":
        notes.append(f"{show(MARK)}: a program that fails gets no points for the lines that it printed before.")
    return _compare(name, args), None


def _compare(name: str, args: Mapping[str, Any]) -> Compare:
    if name in {"floats", "floatsabs", "floatsrel"}:
        return _floats(name, args)
    if name == "sorted":
        split_on = args.get("split_on", "lines")
        if split_on not in {"lines", "whitespace"}:
            raise Unusable(MARK, f"{show(MARK)}: split_on is lines or whitespace, not {show(split_on)}.")
        return Compare(way="dmoj_sorted" if split_on == "lines" else "unordered_tokens")
    return {
        "standard": Compare(way="lines"),
        "identical": Compare(way="exact"),
        "unordered": Compare(way="unordered_tokens"),
        "easy": Compare(way="dmoj_easy"),
        "linecount": Compare(way="dmoj_linecount"),
        # DMOJ checks only whether the key is there, not its value
        "rstripped": Compare(way="dmoj_rstripped", space_sensitive="filter_new_line" not in args),
    }[name]


def _floats(name: str, args: Mapping[str, Any]) -> Compare:
    precision = as_number(args.get("precision", 6), MARK, "precision", least=-300, most=400)
    mode = {"floatsabs": "absolute", "floatsrel": "relative"}.get(name, args.get("error_mode", "default"))
    if mode not in {"default", "absolute", "relative"}:
        raise Unusable(MARK, f"{show(MARK)}: the error mode {show(mode)} is not supported.")
    tolerance = epsilon(precision)
    return Compare(
        way="dmoj_floats",
        absolute=None if mode == "relative" else tolerance,
        relative=None if mode == "absolute" else tolerance,
    )


def _bridged(files: Files, args: Mapping[str, Any], where: str, *, interactive: bool) -> Checker:
    named = args.get("files")
    names = (named,) if isinstance(named, str) else as_words(named, MARK, f"{where}.files")
    for name in names:
        if name not in files:
            raise Unusable(MARK, f"{show(MARK)}: {show(name)} of {where} is not in the package.")
    kind = as_text(args.get("type") or "default", MARK, f"{where}.type")
    protocol = _PROTOCOLS.get(kind)
    if protocol is None or (interactive and protocol is Protocol.PEG):
        raise Unusable(MARK, f"{show(MARK)}: {where} of the type {show(kind)} is not supported.")
    lang = args.get("lang")
    language = None if lang is None else language_named(as_text(lang, MARK, f"{where}.lang"))
    if lang is not None and language is None:
        raise Unusable(MARK, f"{show(MARK)}: the language {show(lang)} of {where} is not known.")
    beside = [name for name in files.in_folder(folder(names[0])) if name.endswith((".h", ".hpp"))] if names else []
    program = program_of(
        files,
        tuple(dict.fromkeys((*names, *beside))),
        "The interactor" if interactive else "The checker",
        language=language,
    )
    flags = as_words(args.get("flags"), MARK, f"{where}.flags")
    if (fault := flags_fault(program.language, flags)) is not None:
        raise Unusable(MARK, f"{show(MARK)}: {where}.flags: {fault}.")
    return Checker(
        program=replace(program, flags=flags),
        protocol=protocol,
        interactive=interactive,
        order=_order(args, where, protocol, interactive=interactive),
    )


def _order(args: Mapping[str, Any], where: str, protocol: Protocol, *, interactive: bool) -> tuple[str, ...]:
    """Return the files' order in the arguments, if not the protocol's; older judges call the key ``args``."""
    template = args.get("args_format_string") or args.get("args")
    if not template:
        return ()
    order = tuple(_FILES.get(word, "") for word in as_words(template, MARK, f"{where}.args_format_string"))
    usual = (INPUT, ANSWER) if interactive and protocol is Protocol.PLAIN else (INPUT, OUTPUT, ANSWER)
    if sorted(order) != sorted(usual) or (interactive and order != usual):
        raise Unusable(MARK, f"{show(MARK)}: {where}.args_format_string: custom arguments are not supported.")
    return order
