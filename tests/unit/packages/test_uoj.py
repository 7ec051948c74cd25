"""UOJ problems: what problem.conf may say, and what is refused."""

from __future__ import annotations

import pytest

from deepoj.judging.problem import Aggregate, Compare, Protocol
from tests.unit.packages.makers import fault, plan

CONF = "use_builtin_judger on\nn_tests 4\ninput_pre a\ninput_suf in\noutput_pre a\noutput_suf out\n"
FILES = {f"a{number}.{end}": "" for number in range(1, 5) for end in ("in", "out")}
EXTRA = {f"ex_a{number}.{end}": "" for number in range(1, 4) for end in ("in", "out")}
BUILTIN = "use_builtin_checker ncmp\n"


def test_tests_limits_and_comparison() -> None:
    found = plan({**FILES, "problem.conf": CONF + BUILTIN + "time_limit 2\nmemory_limit 512\noutput_limit 16"})
    assert [(case.name, case.input, case.answer) for case in found.cases] == [
        (str(number), f"a{number}.in", f"a{number}.out") for number in range(1, 5)
    ]
    assert (found.format, found.scored, found.compare, found.checker) == ("uoj", True, Compare(), None)
    assert (found.limits.time_ms, found.limits.memory_mb, found.limits.output_mb) == (2000, 512, 16)
    assert found.groups[0].max_score == 100


def test_names_that_are_not_given_are_uojs() -> None:
    files = {f"{kind}{number}.txt": "" for kind in ("input", "output") for number in range(1, 11)}
    found = plan({**files, "problem.conf": "use_builtin_judger on\n" + BUILTIN})
    assert len(found.cases) == 10
    assert found.cases[9].answer == "output10.txt"


def test_own_checker_is_testlib_with_shares() -> None:
    checker = plan({**FILES, "problem.conf": CONF, "chk.cpp": "", "testlib.h": "", "val.cpp": ""}).checker
    assert checker is not None
    assert (checker.protocol, checker.program.files) == (Protocol.UOJ, ("chk.cpp", "testlib.h"))


def test_subtasks() -> None:
    told = (
        "n_subtasks 3\nsubtask_end_1 1\nsubtask_end_2 3\nsubtask_score_1 20\nsubtask_score_2 30\nsubtask_score_3 50\n"
        "subtask_type_2 min\nsubtask_dependence_2 1\nsubtask_dependence_3 many\nsubtask_dependence_3_1 1\n"
        "subtask_dependence_3_2 2\n"
    )
    found = plan({**FILES, "problem.conf": CONF + BUILTIN + told})
    assert [(one.name, one.aggregate, one.max_score, one.depends_on) for one in found.groups[1:]] == [
        ("subtask 1", Aggregate.ALL, 20, ()),
        ("subtask 2", Aggregate.MIN, 30, ("subtask 1",)),
        ("subtask 3", Aggregate.ALL, 50, ("subtask 1", "subtask 2")),
    ]
    assert [case.group for case in found.cases] == ["subtask 1", "subtask 2", "subtask 2", "subtask 3"]


def test_extra_tests_are_worth_nothing_and_the_first_are_samples() -> None:
    found = plan({**FILES, **EXTRA, "problem.conf": CONF + BUILTIN + "n_ex_tests 3\nn_sample_tests 2"})
    extra = [case for case in found.cases if case.group == "extra"]
    assert [(case.name, case.input, case.sample) for case in extra] == [
        ("ex_1", "ex_a1.in", True),
        ("ex_2", "ex_a2.in", True),
        ("ex_3", "ex_a3.in", False),
    ]
    assert found.groups[-1].max_score == 0
    assert any("extra test" in note for note in found.unsupported)


def test_points_of_single_tests() -> None:
    found = plan({**FILES, "problem.conf": CONF + BUILTIN + "point_score_1 10\npoint_score_2 20\npoint_score_3 30"})
    assert [case.score for case in found.cases] == [10, 20, 30, None]


def test_outputs_are_called_as_on_uoj() -> None:
    found = plan({**FILES, "problem.conf": CONF + BUILTIN + "submit_answer on\nn_ex_tests 2"})
    assert (found.output_only, [case.name for case in found.cases]) == (True, ["a1", "a2", "a3", "a4"])


@pytest.mark.parametrize("name", ["fcmp", "lcmp", "wcmp", "rcmp6", "yesno", "uncmp", "bcmp"])
def test_builtin_checkers(name: str) -> None:
    assert plan({**FILES, "problem.conf": CONF + f"use_builtin_checker {name}"}).compare is not None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("", "no built-in checker"),
        ("use_builtin_checker caseacmp", "'caseacmp'"),
        (BUILTIN + "use_builtin_judger off", "judges of a problem's own"),
        (BUILTIN + "with_implementer on", "'with_implementer'"),
        (BUILTIN + "interaction_mode on", "'interaction_mode'"),
        (BUILTIN + "n_tests 5", "'a5.in'"),
        (BUILTIN + "time_limit_2 9", "limits of their own"),
        (BUILTIN + "memory_limit_2 9", "limits of their own"),
        (BUILTIN + "n_subtasks 2", "do not grow"),
        (BUILTIN + "n_subtasks 2\nsubtask_end_1 2\nsubtask_type_1 max", "'max'"),
        (BUILTIN + "n_subtasks 2\nsubtask_end_1 2\nsubtask_dependence_1 2", "does not come before"),
        (BUILTIN + "n_subtask 2", "'n_subtask"),
        (BUILTIN + "odd", "has no value"),
        (BUILTIN + "token x", "'token'"),
        (BUILTIN + "time_limit x", "a number"),
    ],
)
def test_unsupported_is_refused_by_name(told: str, words: str) -> None:
    assert words in fault({**FILES, "problem.conf": CONF + told}).sentence


def test_judge_that_is_not_built_in_is_refused() -> None:
    assert "use_builtin_judger" in fault({**FILES, "problem.conf": BUILTIN}).sentence
    assert "implementer" in fault({**FILES, "problem.conf": CONF + BUILTIN, "require/i.cpp": ""}).sentence
    told = "n_subtasks 2\nsubtask_end_1 2\nsubtask_type_2 min\nsubtask_dependence_2 1"
    assert "of the type min" in fault({**FILES, "problem.conf": CONF + told, "chk.cpp": ""}).sentence


def test_off_is_as_good_as_not_said() -> None:
    told = BUILTIN + "with_implementer off\ninteraction_mode off\nsubmit_answer off\nsubtask_dependence_1 none"
    assert plan({**FILES, "problem.conf": CONF + told}).format == "uoj"
