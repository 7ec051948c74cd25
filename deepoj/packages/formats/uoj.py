"""UOJ problems: ``problem.conf`` beside its tests, a built-in checker or ``chk.cpp`` of testlib, subtasks.

The format is what UOJ's judge reads: ``judger/uoj_judger/include/uoj_judger.h`` of vfleaking/uoj (``load_config``,
``conf_run_limit``, ``conf_subtask_meta_info``, ``main_data_test``, ``ex_data_test``) and its
``builtin/judger/judger.cpp``. A key with a number at its end is about one test or subtask.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

from deepoj.judging.paths import without_suffix
from deepoj.judging.problem import Aggregate, Case, Checker, Compare, Example, Group, Limits, Plan, Protocol
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.keys import check_keys
from deepoj.packages.formats.programs import program_of, sources_in
from deepoj.packages.formats.statements import read_statements
from deepoj.packages.formats.submissions import AC, example_of, read_submissions
from deepoj.packages.formats.testlib_checkers import STANDARD
from deepoj.packages.formats.texts import as_number

MARK = "problem.conf"
_NUMBER = re.compile(r"_[0-9]+")
_MOST_TESTS = 100_000
_MOST_SUBTASKS = 100
#: keys whose value says that the feature is not used
_OFF = frozenset({"off", "none", "0"})


class _Conf:
    """The keys and values of ``problem.conf``. ``N`` in a name is the number of a test or subtask."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, key: str, default: str = "", *, at: int | None = None) -> str:
        """Return a value; of a numbered key without a value the one of the plain key."""
        plain = key.removesuffix("_N")
        usual = self._values.get(plain, default) if key in _SHARED else default
        return self._values.get(key, default) if at is None else self._values.get(f"{plain}_{at}", usual)

    def number(self, key: str, default: float, *, at: int | None = None, least: float = 0, most: float = 1e9) -> float:
        value = self.text(key, str(default), at=at)
        return as_number(value, MARK, key.replace("_N", f"_{at}"), least=least, most=most)

    def whole(self, key: str, default: int, *, at: int | None = None, most: float = 1e9) -> int:
        return int(self.number(key, default, at=at, most=most))

    def is_on(self, key: str) -> bool:
        return self._values.get(key, "off") == "on"


#: numbered keys for which a key without a number is the default
_SHARED = frozenset({"time_limit_N", "memory_limit_N", "output_limit_N", "point_score_N"})


def read(files: Files) -> Plan:
    """Read a UOJ package. Raises Unusable."""
    notes: list[str] = []
    values = _values(files)
    used = {_NUMBER.sub("_N", key): value for key, value in values.items() if value not in _OFF}
    check_keys(used, "uoj problem.conf", MARK, notes)
    conf = _Conf(values)
    _refuse_programs(files, conf)
    compare, checker = _decider(files, conf)
    tests = conf.whole("n_tests", 10, most=_MOST_TESTS)
    output_only = conf.is_on("submit_answer")
    main = tuple(_case(files, conf, number, output_only=output_only) for number in range(1, tests + 1))
    groups, grouped = _groups(conf, main, checker)
    extra = () if output_only else _extra(files, conf, notes)
    numbers = (*range(1, tests + 1), *(-number for number in range(1, len(extra) + 1)))
    return Plan(
        format="uoj",
        cases=(*grouped, *extra),
        groups=(*groups, *((Group(name="extra", max_score=0.0, judge_all=False),) if extra else ())),
        scored=True,
        compare=compare,
        checker=checker,
        input_validators=_validators(files),
        limits=_limits(conf, numbers),
        output_only=output_only,
        examples=(*read_submissions(files, notes, outputs=output_only), *_solutions(files, notes)),
        statements=read_statements(files),
        attachments=files.below("download/"),
        unsupported=tuple(notes),
    )


def _values(files: Files) -> dict[str, str]:
    words = files.text(MARK).split()
    if len(words) % 2:
        raise Unusable(MARK, f"{show(MARK)}: the key {show(words[-1])} has no value.")
    return dict(zip(words[::2], words[1::2], strict=True))


def _refuse_programs(files: Files, conf: _Conf) -> None:
    """Refuse problems that UOJ does not judge by its built-in judge alone."""
    if not conf.is_on("use_builtin_judger"):
        raise Unusable(
            MARK,
            f"{show(MARK)}: 'use_builtin_judger' is not on: judges of a problem's own are not supported. Write it as an"
            " interactive problem of Kattis or Polygon.",
        )
    if required := files.below("require/"):
        raise Unusable(
            required[0],
            f"{show(required[0])}: files beside a submission (an implementer, headers) are not supported for UOJ's"
            " packages: use 'include' of a Kattis package.",
        )


# ---------------------------------------------------------------------------------------------------------------------
# Tests


def _name(conf: _Conf, kind: str, number: int) -> str:
    head = conf.text("input_pre" if kind == "input" else "output_pre", kind)
    tail = conf.text("input_suf" if kind == "input" else "output_suf", "txt")
    return f"{'ex_' if number < 0 else ''}{head}{abs(number)}.{tail}"


def _case(files: Files, conf: _Conf, number: int, *, output_only: bool, sample: bool = False) -> Case:
    names = _name(conf, "input", number), _name(conf, "output", number)
    for name in names:
        if name not in files:
            raise Unusable(name, f"{show(name)}, which {MARK} counts, is not in the package.")
    points = conf.text("point_score_N", at=number)
    return Case(
        # contestants call their outputs so
        name=names[1].rpartition(".")[0] if output_only else f"{'ex_' if number < 0 else ''}{abs(number)}",
        input=names[0],
        answer=names[1],
        group="extra" if number < 0 else "",
        score=None if number < 0 or not points else as_number(points, MARK, "point_score", least=0),
        sample=sample,
    )


def _extra(files: Files, conf: _Conf, notes: list[str]) -> tuple[Case, ...]:
    """Return the extra tests: a submission that passes all others must pass them, too. The first ones are samples."""
    count = conf.whole("n_ex_tests", 0, most=_MOST_TESTS)
    samples = conf.whole("n_sample_tests", 0, most=count)
    if count:
        notes.append(
            f"{show(MARK)}: a submission that fails an extra test is not accepted, and loses no points (UOJ takes 3)."
        )
    return tuple(
        _case(files, conf, -number, output_only=False, sample=number <= samples) for number in range(1, count + 1)
    )


def _groups(conf: _Conf, main: tuple[Case, ...], checker: Checker | None) -> tuple[tuple[Group, ...], tuple[Case, ...]]:
    count = conf.whole("n_subtasks", 0, most=_MOST_SUBTASKS)
    root = Group(name="", parent=None, max_score=100.0)
    if count == 0:
        return (root,), main
    ends = [0, *(conf.whole("subtask_end_N", 0, at=number) for number in range(1, count)), len(main)]
    if any(one >= other for one, other in itertools.pairwise(ends)):
        raise Unusable(MARK, f"{show(MARK)}: the numbers of subtask_end_1 to subtask_end_{count - 1} do not grow.")
    groups, cases = [], []
    for number in range(1, count + 1):
        name = f"subtask {number}"
        groups.append(_group(conf, number, count, checker))
        cases += [_in_group(case, name) for case in main[ends[number - 1] : ends[number]]]
    return (root, *groups), tuple(cases)


def _in_group(case: Case, group: str) -> Case:
    return Case(name=case.name, input=case.input, answer=case.answer, group=group)


def _group(conf: _Conf, number: int, count: int, checker: Checker | None) -> Group:
    kind = conf.text("subtask_type_N", "packed", at=number)
    if kind not in {"packed", "min"}:
        raise Unusable(MARK, f"{show(MARK)}: a subtask of the type {show(kind)} is not supported: packed and min are.")
    needed = _dependencies(conf, number)
    if kind == "min" and needed and checker is not None:
        raise Unusable(
            MARK,
            f"{show(MARK)}: subtask {number}: a subtask of the type min that takes over the points of another one is"
            " not supported beside a checker that may give a part of the points.",
        )
    return Group(
        name=f"subtask {number}",
        aggregate=Aggregate.ALL if kind == "packed" else Aggregate.MIN,
        max_score=conf.number("subtask_score_N", 100 // count, at=number),
        depends_on=tuple(f"subtask {other}" for other in needed),
        judge_all=False,
    )


def _dependencies(conf: _Conf, number: int) -> list[int]:
    value = conf.text("subtask_dependence_N", "none", at=number)
    if value != "many":
        needed = [] if value in _OFF else [value]
    else:
        places = iter(range(1, _MOST_SUBTASKS + 1))
        key = "subtask_dependence_N_N".replace("_N", f"_{number}", 1)
        needed = list(iter(lambda: conf.text(key, at=next(places)), ""))
    others = [int(as_number(one, MARK, f"subtask_dependence_{number}", least=1, most=1e6)) for one in needed]
    if any(other >= number for other in others):
        raise Unusable(MARK, f"{show(MARK)}: subtask {number} depends on one that does not come before it.")
    return others


def _limits(conf: _Conf, numbers: tuple[int, ...]) -> Limits:
    """Return the limits, which have to be those of every test. UOJ's own are ``RL_DEFAULT``."""
    found: dict[str, float] = {}
    for key in ("time_limit_N", "memory_limit_N", "output_limit_N"):
        plain = key.removesuffix("_N")
        values = {conf.text(key, at=number) for number in numbers}
        if len(values) > 1:
            raise Unusable(MARK, f"{show(MARK)}: {plain}: tests with limits of their own are not supported.")
        if value := values.pop():
            found[plain] = as_number(value, MARK, plain, least=1e-3, most=1e6)
    return Limits(
        time_ms=round(found["time_limit"] * 1000) if "time_limit" in found else None,
        memory_mb=round(found["memory_limit"]) if "memory_limit" in found else None,
        output_mb=max(round(found.get("output_limit", 64)), 1),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Programs


def _decider(files: Files, conf: _Conf) -> tuple[Compare | None, Checker | None]:
    name = conf.text("use_builtin_checker")
    if name:
        if name not in STANDARD:
            raise Unusable(MARK, f"{show(MARK)}: the built-in checker {show(name)} is not supported.")
        return STANDARD[name], None
    if "chk.cpp" not in files:
        raise Unusable(MARK, f"{show(MARK)} names no built-in checker, and the package has no 'chk.cpp'.")
    return None, Checker(
        program=program_of(files, _with_testlib(files, "chk.cpp"), "The checker"), protocol=Protocol.UOJ
    )


def _solutions(files: Files, notes: list[str]) -> tuple[Example, ...]:
    """Return the standard program, which UOJ runs to answer hacks."""
    names = [name for name in files.in_folder("") if without_suffix(name) == "std"]
    return tuple(
        example_of(files, name, (name,), notes, expected=(AC,), promised_by="std") for name in sources_in(files, names)
    )


def _validators(files: Files) -> tuple[Checker, ...]:
    if "val.cpp" not in files:
        return ()
    program = program_of(files, _with_testlib(files, "val.cpp"), "The validator")
    return (Checker(program=program, protocol=Protocol.TESTLIB),)


def _with_testlib(files: Files, name: str) -> tuple[str, ...]:
    return (name, "testlib.h") if "testlib.h" in files else (name,)
