"""Test data of Luogu: what config.yml may say, and what is refused."""

from __future__ import annotations

import pytest

from deepoj.judging.problem import Aggregate, Compare, Protocol
from tests.unit.packages.makers import fault, plan

FILES = {"a1.in": "", "a1.out": "", "a2.in": "", "a2.ans": ""}
ONE, TWO = (f"a{n}.in: {{timeLimit: 1000, memoryLimit: 262144, score: {20 * n}, subtaskId: 0}}\n" for n in (1, 2))


def test_tests_with_their_scores() -> None:
    found = plan({**FILES, "config.yml": ONE + TWO})
    assert (found.format, found.groups, found.scored) == ("luogu", (), True)
    assert [(case.name, case.answer, case.score) for case in found.cases] == [
        ("a1", "a1.out", 20),
        ("a2", "a2.ans", 40),
    ]
    assert (found.limits.time_ms, found.limits.memory_mb) == (1000, 256)
    assert found.compare == Compare(way="trimmed_lines")


def test_subtasks_count_as_a_whole() -> None:
    found = plan({**FILES, "config.yml": ONE + TWO.replace("subtaskId: 0", "subtaskId: 3")})
    assert [(one.name, one.aggregate) for one in found.groups[1:]] == [
        ("subtask 0", Aggregate.ALL),
        ("subtask 3", Aggregate.ALL),
    ]
    assert any("all of its tests" in note for note in found.unsupported)


def test_checker_is_testlib() -> None:
    checker = plan({**FILES, "checker.cpp": "", "config.yml": ONE + TWO}).checker
    assert checker is not None
    assert checker.protocol is Protocol.HYDRO


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ONE, "'a2.in' has no entry"),
        (ONE + TWO.replace("a2", "a3"), "'a3.in'"),
        (ONE + TWO.replace("1000", "2000"), "limits of their own"),
        (ONE + TWO.replace("262144", "65536"), "limits of their own"),
        (ONE + TWO.replace("timeLimit: 1000, ", ""), "no timeLimit"),
        (ONE + TWO.replace("score: 40, ", ""), "no score"),
        (ONE + TWO.replace("subtaskId: 0", "isPretest: true"), "isPretest"),
        (ONE + TWO.replace("subtaskId", "subtask"), "'subtask'"),
        ("title: x\n", "Luogu"),
        ("", "Luogu"),
    ],
)
def test_unsupported_is_refused_by_name(config: str, words: str) -> None:
    assert words in fault({**FILES, "config.yml": config}).sentence


def test_interactive_problem_is_refused() -> None:
    assert "interactive" in fault({**FILES, "interactive_lib.cpp": "", "config.yml": ONE + TWO}).sentence
