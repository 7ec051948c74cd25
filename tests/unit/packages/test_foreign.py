"""Packages of other judges are never taken for bare tests."""

from __future__ import annotations

import pytest

from tests.unit.packages.makers import fault, plan

TESTS = {"1.in": "1", "1.out": "1", "2.in": "2", "2.out": "2"}

MARKS = [
    ("task.yaml", "CMS"),
    ("problem.json", "TPS"),
    ("subtasks.json", "TPS"),
    ("problem.yaml", "Kattis"),
    ("testdata/config.yaml", "Hydro"),
    ("config.yml", "Luogu"),
    ("config.ini", "Vijos"),
    ("problem.conf", "UOJ"),
    ("data.yml", "SYZOJ"),
    ("problem.xml", "Polygon"),
    ("init.yml", "DMOJ"),
    ("contest.yaml", "CMS"),
    ("domjudge-problem.ini", "DOMjudge"),
    ("description/problem.info", "BOCA"),
    ("problem.yml", "Jutge"),
    ("handler.yml", "Jutge"),
    ("gen/GEN", "CMS"),
    ("contest.cdf", "Lemon"),
]


@pytest.mark.parametrize(("mark", "owner"), MARKS)
@pytest.mark.parametrize("place", ["a/b/", "a/b/c/d/"])
@pytest.mark.parametrize("case", [str, str.upper, str.title])
def test_configuration_of_another_judge_beside_bare_tests_is_refused_by_name(
    mark: str, owner: str, place: str, case: type[str]
) -> None:
    found = fault({**{f"{place}{name}": text for name, text in TESTS.items()}, place + case(mark): "x: 1"})
    assert owner in found.sentence
    assert found.file == place + case(mark)
    assert any(word in found.sentence for word in ("upload", "zip", "write", "export"))


def test_tps_task_is_refused_by_its_name_and_not_by_a_stray_input() -> None:
    files = {"problem.json": "{}", "tests/0-01.in": "", "tests/0-01.out": "", "gen/gen.in": "", "att/x.in": ""}
    assert "TPS" in fault({**files, "graders/manager.cpp": "", "graders/stub.cpp": ""}).sentence
    assert "TPS" in fault({f"message/{name}": text for name, text in files.items()}).sentence


def test_configuration_in_another_case_at_the_top_is_refused() -> None:
    assert "exactly this name" in fault({**TESTS, "Problem.Conf": "n_tests 2"}).sentence


@pytest.mark.parametrize(
    "program",
    [
        "checker.cpp", "check.py", "chk.cpp", "spj.cc", "validator.py", "val.cpp", "manager.cpp", "grader.py", "stub.c",
        "check/checker", "cor/correttore.cpp", "graders/main.cpp", "sol/grader.cpp", "my_checker.cpp", "MyChecker.java",
        "checker1.cpp", "judge.cpp", "interactor.cpp", "checker.exe", "output_validators/x.py", "implementer.cpp",
    ],
)  # fmt: skip
@pytest.mark.parametrize("config", [None, "title: Sums", "groups: [{name: a, cases: ['*']}]"])
def test_checker_that_nothing_reads_is_refused(program: str, config: str | None) -> None:
    own = {} if config is None else {"deepoj.yaml": config}
    found = fault({**TESTS, **own, program: ""})
    assert (found.file, "nothing in the package reads it" in found.sentence) == (program, True)


@pytest.mark.parametrize(
    "name",
    [
        "README.md", "std.cpp", "gen.py", "judge_solution.cpp", "solutions/checker.cpp", "checker.txt",
        "checkerboard.cpp",
        "submissions/accepted/checker.cpp", "attachments/grader.py", "statement.pdf", "testlib.h",
    ],
)  # fmt: skip
def test_files_that_decide_nothing_stay_beside_bare_tests(name: str) -> None:
    assert plan({**TESTS, name: ""}).format == "own"


@pytest.mark.parametrize("config", ["compare: exact", "checker: {files: [c.py]}"])
def test_stated_way_of_deciding_leaves_other_programs_alone(config: str) -> None:
    assert plan({**TESTS, "c.py": "", "old_checker.cpp": "", "deepoj.yaml": config}).format == "own"


def test_own_configuration_decides_beside_another_judges() -> None:
    assert plan({**TESTS, "problem.conf": "n_tests 2", "deepoj.yaml": "compare: exact"}).format == "own"


def test_unread_checker_in_another_format_is_noted() -> None:
    init = "test_cases: [{in: 1.in, out: 1.out, points: 1}]"
    found = plan({**TESTS, "init.yml": init, "checker.cpp": ""})
    assert found.unsupported == ("Nothing reads 'checker.cpp': they decide no verdict.",)
