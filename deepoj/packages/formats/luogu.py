"""Luogu's test data: ``config.yml`` with one entry for each input, and ``checker.cpp`` of testlib.

Luogu's help (help.luogu.com.cn, the page on test data) describes the file: each entry has ``timeLimit`` in ms,
``memoryLimit`` in KB, ``score`` and ``subtaskId``. Its comparison ignores blanks at the ends of lines and empty lines
at the end. What a test of a subtask is worth by itself is set on the site and not in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepoj.judging.problem import Aggregate, Case, Checker, Compare, Group, Limits, Plan, Protocol
from deepoj.packages.formats.faults import PackageFault, Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.keys import check_keys
from deepoj.packages.formats.pairs import pair_up
from deepoj.packages.formats.programs import program_of
from deepoj.packages.formats.statements import read_statements
from deepoj.packages.formats.submissions import TOP as SUBMISSIONS
from deepoj.packages.formats.submissions import read_submissions
from deepoj.packages.formats.texts import as_bool, as_map, as_number, yaml_map

MARK = "config.yml"
_CHECKER = "checker.cpp"
_KIB = 1024
#: programs that Luogu runs with or beside a submission
_LIBRARIES = ("interactive_lib.cpp", "interactor.cpp", "grader.cpp")


def fits(files: Files) -> bool:
    """Return whether a ``config.yml`` is Luogu's: its keys are names of inputs."""
    config = yaml_map(files, MARK)
    return bool(config) and all(isinstance(one, Mapping) for one in config.values())


def read(files: Files) -> Plan:
    """Read test data of Luogu. Raises Unusable."""
    notes: list[str] = []
    tests = {name: as_map(one, MARK, show(name)) for name, one in yaml_map(files, MARK).items()}
    for test in tests.values():
        check_keys(test, "luogu test", MARK, notes)
    for name in _LIBRARIES:
        if name in files:
            raise Unusable(name, f"{show(name)}: interactive problems of Luogu are not supported.")
    answers = _answers(files, tests)
    subtasks = {name: _subtask(test) for name, test in tests.items()}
    several = len(set(subtasks.values())) > 1
    if several:
        notes.append(f"{show(MARK)}: a subtask gives its points if all of its tests are right.")
    checker = _checker(files)
    return Plan(
        format="luogu",
        cases=tuple(
            Case(
                name=name.rpartition(".")[0],
                input=name,
                answer=answers[name],
                group=f"subtask {subtasks[name]}" if several else "",
                score=as_number(_stated(test, name, "score"), MARK, "score", least=0, most=1e9),
            )
            for name, test in tests.items()
        ),
        groups=_groups(subtasks) if several else (),
        scored=True,
        compare=Compare(way="trimmed_lines") if checker is None else None,
        checker=checker,
        limits=_limits(tests),
        examples=read_submissions(files, notes),
        statements=read_statements(files),
        unsupported=tuple(dict.fromkeys(notes)),
    )


def _stated(test: Mapping[str, Any], name: str, key: str) -> object:
    if test.get(key) is None:
        raise Unusable(MARK, f"{show(MARK)}: {show(name)} has no {key}.")
    return test[key]


def _answers(files: Files, tests: Mapping[str, Any]) -> dict[str, str]:
    """Return the answer of each input. A test that is missing in the file would be judged on Luogu by its defaults."""
    pairs = pair_up([name for name in files.names if name not in {MARK, _CHECKER} and not name.startswith(SUBMISSIONS)])
    if isinstance(pairs, PackageFault):
        raise Unusable(pairs.file, pairs.sentence)
    answers = {pair.input: pair.answer for pair in pairs}
    for name in tests:
        if name not in answers:
            raise Unusable(
                name, f"{show(name)}, which {MARK} names, is not in the package, or has no answer beside it."
            )
    for name in answers:
        if name not in tests:
            raise Unusable(name, f"{show(name)} has no entry in {show(MARK)}: give its limits and score there.")
    return answers


def _subtask(test: Mapping[str, Any]) -> int:
    if as_bool(test.get("isPretest", False), MARK, "isPretest"):
        raise Unusable(MARK, f"{show(MARK)}: isPretest: tests that count during a contest alone are not supported.")
    return round(as_number(test.get("subtaskId", 0), MARK, "subtaskId", least=0, most=1e6))


def _groups(subtasks: Mapping[str, int]) -> tuple[Group, ...]:
    root = Group(name="", parent=None)
    numbers = dict.fromkeys(subtasks.values())
    return (root, *(Group(name=f"subtask {number}", aggregate=Aggregate.ALL) for number in numbers))


def _limits(tests: Mapping[str, Mapping[str, Any]]) -> Limits:
    limits = {
        (
            as_number(_stated(test, name, "timeLimit"), MARK, "timeLimit", least=1, most=1e9),
            as_number(_stated(test, name, "memoryLimit"), MARK, "memoryLimit", least=_KIB, most=1e12),
        )
        for name, test in tests.items()
    }
    if len(limits) > 1:
        raise Unusable(MARK, f"{show(MARK)}: tests with limits of their own are not supported.")
    time_ms, memory_kib = limits.pop()
    return Limits(time_ms=round(time_ms), memory_mb=round(memory_kib / _KIB))


def _checker(files: Files) -> Checker | None:
    if _CHECKER not in files:
        return None
    names = (_CHECKER, "testlib.h") if "testlib.h" in files else (_CHECKER,)
    return Checker(program=program_of(files, names, "The checker"), protocol=Protocol.HYDRO)
