"""Hydro problems: what problem.yaml and config.yaml may say, and what is refused."""

from __future__ import annotations

import pytest

from deepoj.judging.problem import Accepts, Aggregate, Compare, Points, Protocol
from tests.unit.packages.makers import fault, plan

ABOUT = "pid: P1\nowner: 2\ntitle: Sums\ntag: [easy]\nnSubmit: 3\nnAccept: 1\n"
TESTS = {f"testdata/{name}.{end}": "" for name in ("a1", "a2", "a3", "a4") for end in ("in", "out")}
PACKAGE = {"problem.yaml": ABOUT, **TESTS}
CASES = "cases: [{input: a1.in, output: a1.out}, {input: a2.in, output: a2.out}]\n"
SUBTASKS = """subtasks:
  - {score: 30, cases: [{input: a1.in, output: a1.out}, {input: a2.in, output: a2.out}]}
  - {type: sum, if: [1], cases: [{input: a3.in, output: a3.out}, {input: a4.in, output: a4.out}]}
"""


def test_cases_that_are_listed() -> None:
    found = plan({**PACKAGE, "testdata/config.yaml": "time: 2s\nmemory: 512m\n" + CASES})
    assert (found.format, found.title, found.tags) == ("hydro", "Sums", ("easy",))
    assert (found.limits.time_ms, found.limits.memory_mb) == (2000, 512)
    assert found.compare == Compare(way="trimmed_lines")
    assert [(case.input, case.score) for case in found.cases] == [("testdata/a1.in", 50), ("testdata/a2.in", 50)]
    assert [(one.name, one.aggregate, one.max_score) for one in found.groups[1:]] == [("subtask 1", Aggregate.SUM, 100)]


@pytest.mark.parametrize(
    ("time", "memory", "limits"),
    [
        ("1500ms", "256MB", (1500, 256)),
        ("0.5s", "1g", (500, 1024)),
        ("2", "64", (2, 64)),
        ("1.5", "65536k", (1500, 64)),
        ("3S", "1.5G", (3000, 1536)),
    ],
)
def test_units(time: str, memory: str, limits: tuple[int, int]) -> None:
    found = plan({**PACKAGE, "testdata/config.yaml": f"time: {time}\nmemory: {memory}\n{CASES}"})
    assert (found.limits.time_ms, found.limits.memory_mb) == limits


def test_subtasks_and_dependencies() -> None:
    found = plan({**PACKAGE, "testdata/config.yaml": SUBTASKS})
    assert found.points is Points.SHARES
    assert [(one.name, one.aggregate, one.max_score, one.depends_on) for one in found.groups[1:]] == [
        ("subtask 1", Aggregate.MIN, 30, ()),
        ("subtask 2", Aggregate.SUM, 70, ("subtask 1",)),
    ]
    assert [case.score for case in found.cases] == [30, 30, 35, 35]


def test_best_test_of_a_subtask_counts_where_points_are_absolute() -> None:
    found = plan({**PACKAGE, "testdata/config.yaml": SUBTASKS.replace("type: sum", "type: max")})
    assert found.points is Points.LEGACY
    assert (found.groups[0].accepts, found.groups[2].accepts) == (Accepts.ALWAYS, Accepts.ANY)
    assert found.groups[2].aggregate is Aggregate.MAX
    assert [case.score for case in found.cases] == [30, 30, 70, 70]


def test_scores_that_are_not_stated_are_spread_in_whole_numbers() -> None:
    three = "cases: [{input: a1.in, output: a1.out}, {input: a2.in, output: a2.out}, {input: a3.in, output: a3.out}]"
    assert [case.score for case in plan({**PACKAGE, "testdata/config.yaml": three}).cases] == [33, 33, 34]


def test_tests_are_found_by_name() -> None:
    files = {f"testdata/p{batch}-{number}.{end}": "" for batch in (1, 2) for number in (1, 2) for end in ("in", "ans")}
    found = plan({"problem.yaml": ABOUT, **files, "testdata/sample.in": ""})
    assert [(case.input, case.group) for case in found.cases] == [
        ("testdata/p1-1.in", "subtask 1"),
        ("testdata/p1-2.in", "subtask 1"),
        ("testdata/p2-1.in", "subtask 2"),
        ("testdata/p2-2.in", "subtask 2"),
    ]
    assert {one.aggregate for one in found.groups[1:]} == {Aggregate.MIN}
    plain = plan({"problem.yaml": ABOUT, **TESTS, "testdata/config.yaml": "time: 1s"})
    assert ([one.aggregate for one in plain.groups[1:]], len(plain.cases)) == ([Aggregate.SUM], 4)


def test_inputs_and_outputs_are_found_by_their_words() -> None:
    files = {f"testdata/{kind}{number}.txt": "" for kind in ("input", "output") for number in (1, 2)}
    found = plan({"problem.yaml": ABOUT, **files})
    assert [(case.input, case.answer) for case in found.cases] == [
        ("testdata/input1.txt", "testdata/output1.txt"),
        ("testdata/input2.txt", "testdata/output2.txt"),
    ]


def test_test_data_alone() -> None:
    files = {name.removeprefix("testdata/"): text for name, text in TESTS.items()}
    assert plan({**files, "config.yaml": "type: default\n" + CASES}).format == "hydro"
    assert plan({**files, "config.yml": CASES}).format == "hydro"


def test_testlib_checker_with_its_files() -> None:
    told = (
        CASES
        + "checker_type: testlib\nchecker: chk.cc\njudge_extra_files: [lib.h]\nvalidator: {file: v.cc, lang: cc.cc17}"
    )
    more = {f"testdata/{name}": "" for name in ("chk.cc", "lib.h", "v.cc", "testlib.h")}
    found = plan({**PACKAGE, **more, "testdata/config.yaml": told})
    assert found.checker is not None
    assert found.checker.protocol is Protocol.HYDRO
    assert found.checker.program.files == ("testdata/chk.cc", "testdata/lib.h", "testdata/testlib.h")
    assert [one.program.language for one in found.input_validators] == ["cpp17"]
    assert (
        plan({**PACKAGE, "testdata/config.yaml": CASES + "checker_type: testlib\nchecker: rcmp6"}).compare is not None
    )


def test_interactor_and_outputs() -> None:
    told = CASES + "type: interactive\ninteractor: i.cc"
    checker = plan({**PACKAGE, "testdata/i.cc": "", "testdata/config.yaml": told}).checker
    assert checker is not None
    assert (checker.interactive, checker.protocol) == (True, Protocol.HYDRO)
    told = CASES + "type: submit_answer\nsubType: multi\nfilename: out#.txt"
    found = plan({**PACKAGE, "testdata/config.yaml": told})
    assert (found.output_only, [case.name for case in found.cases]) == (True, ["out1.txt", "out2.txt"])


def test_time_limit_rates_are_factors() -> None:
    found = plan({**PACKAGE, "testdata/config.yaml": CASES + "time_limit_rate: {py.py3: 2, java: 1.5}"})
    assert dict(found.limits.time_factors) == {"python3": 2, "pypy3": 2, "java": 1.5}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("type: objective\nanswers: {1: [A, 100]}", "'answers'"),
        ("type: objective", "'objective'"),
        ("type: communication\nmanager: m.cc\nnum_processes: 2", "'manager'"),
        ("type: remote_judge", "'remote_judge'"),
        ("filename: foo", "filename"),
        ("user_extra_files: [a.h]", "'user_extra_files'"),
        ("memory_limit_rate: {java: 2}", "'memory_limit_rate'"),
        ("checker_type: lemon\nchecker: a1.in", "'lemon'"),
        ("checker_type: testlib", "names no checker"),
        ("checker_type: testlib\nchecker: none.cc", "'testdata/none.cc'"),
        ("checker_type: testlib\nchecker: c.cc\njudge_extra_files: [d.cc]", "second source"),
        ("type: interactive", "its interactor"),
        ("type: submit_answer", "subType"),
        ("tiem: 2s", "'tiem'"),
        ("time: fast", "time"),
        ("memory: 1t", "memory"),
    ],
)
def test_unsupported_is_refused_by_name(told: str, words: str) -> None:
    more = {"testdata/c.cc": "", "testdata/d.cc": ""}
    assert words in fault({**PACKAGE, **more, "testdata/config.yaml": CASES + told}).sentence


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (SUBTASKS.replace("score: 30", "score: 30, time: 9s"), "limits of their own"),
        (SUBTASKS.replace("{input: a1.in,", "{memory: 9m, input: a1.in,"), "limits of their own"),
        (SUBTASKS.replace("if: [1]", "if: [7]"), "subtask 7"),
        (SUBTASKS.replace("if: [1]", "if: [2]"), "depends on itself"),
        (SUBTASKS.replace("type: sum", "type: avg"), "'avg'"),
        (SUBTASKS.replace("a3.in", "b.in"), "'testdata/b.in'"),
        (SUBTASKS.replace("type: sum", "typ: sum"), "'typ'"),
    ],
)
def test_subtasks_that_are_refused(told: str, words: str) -> None:
    assert words in fault({**PACKAGE, "testdata/config.yaml": told}).sentence
