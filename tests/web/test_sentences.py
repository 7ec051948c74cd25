"""What a page says about a verdict, in words."""

from __future__ import annotations

from typing import Any

import pytest

from deepoj.judging.blocks import Mismatch, Unmatched
from deepoj.web import sentences


def english(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ({"status": "Accepted", "reason": "ok"}, ""),
        ({"status": "Wrong Answer", "reason": "compare"}, "Its output differs from the expected one."),
        (
            {"status": "Runtime Error", "reason": "signal", "signal_class": "crashed"},
            "The program crashed, for example by",
        ),
        (
            {"status": "Wrong Answer", "reason": "checker", "checker_message": "{0}"},
            "refused its output. The package says: “{0}”",
        ),
        ({"status": "Wrong Answer", "reason": None}, ""),
        (
            {"status": "Wrong Answer", "reason": "compare", "checker_message": str(Mismatch("token", 2, b"{a}", None))},
            "one. Token 2: expected '{a}', got the end.",
        ),
        (
            {"status": "Wrong Answer", "reason": "compare", "checker_message": str(Unmatched("line", 3, None, b"x"))},
            "Line 3 is one too many: 'x'.",
        ),
        (
            {"status": "Wrong Answer", "reason": "compare", "checker_message": str(Unmatched("line", 3, b"x", None))},
            "Line 3 of the answer is missing: 'x'.",
        ),
    ],
)
def test_why_a_test_failed(test: dict[str, Any], said: str) -> None:
    [found] = sentences.of_tests({"tests": [test]}, english, is_whole=True)
    assert said in found if said else found == ""


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ({"rule": "verdict", "status": "Wrong Answer", "test": "2"}, []),
        ({"rule": "compile", "why": "exit", "sentence": "compilation failed"}, []),
        ({"rule": "compile", "why": "wall", "sentence": "It took too long."}, ["It took too long."]),
        (
            {"rule": "cpu", "test": "4", "measured_ms": 1020, "limit_ms": 1000},
            ["Test 4 used 1.02 s of CPU time; the limit is 1.00 s."],
        ),
        (
            {"rule": "memory", "test": "4", "measured_kb": 4096, "limit_kb": 2048},
            ["Test 4 used 4.0 MiB of memory; the limit is 2.0 MiB."],
        ),
        ({"rule": "compare", "test": "4"}, ["Test 4: Its output differs from the expected one."]),
        ({"rule": "dependency", "group": "b", "depends_on": "a"}, ["Group b was skipped because of a."]),
        ({"rule": "short_circuit", "group": "b", "test": "7"}, ["Group b was skipped because of 7."]),
        ({"rule": "of tomorrow", "test": "4"}, []),
    ],
)
def test_why_a_submission_failed(why: dict[str, Any], said: list[str]) -> None:
    assert list(sentences.of_submission({"explanation": [why]}, english)) == said


CPU = {"rule": "cpu", "test": "4", "measured_ms": 1020, "limit_ms": 1000}
SLOW = {"name": "4", "status": "Time Limit Exceeded", "reason": "cpu"}


@pytest.mark.parametrize(
    ("tests", "is_whole", "said"),
    [
        ([SLOW], True, "It used 1.02 s of CPU time; the limit is 1.00 s."),
        ([SLOW | {"sample": True}], False, "It used 1.02 s of CPU time; the limit is 1.00 s."),
        ([SLOW | {"sample": False}], False, "It used more CPU time than the limit."),
        ([SLOW, SLOW], True, "It used more CPU time than the limit."),
        ([SLOW | {"reason": "memory"}], True, "It used more memory than the limit."),
    ],
    ids=["exact", "sample", "hidden", "two of a name", "another reason"],
)
def test_reason_of_a_test_is_said_once_beside_it(tests: list[dict[str, Any]], is_whole: bool, said: str) -> None:
    budget = {"rule": "budget", "test": None}
    result = {"tests": tests, "explanation": [CPU, {"rule": "compare", "test": "4"}, budget]}
    assert sentences.of_tests({**result, "explanation": [CPU]}, english, is_whole=is_whole) == [said] * len(tests)
    assert list(sentences.of_submission(result, english)) == [
        "The other tests were not run, since they could change nothing."
    ]


def test_first_failure_is_named_and_each_sentence_is_said_once() -> None:
    words = ["Accepted", *["Wrong Answer"] * 4]
    tests = [{"name": str(number), "status": word} for number, word in enumerate(words, 1)]
    failed, others = sentences.first_failure(tests, ["", "It differs.", "It differs.", "It was slow.", "It was slow."])
    assert failed == ("2", "It differs.")
    assert others == ["", "", "", "It was slow.", ""]


@pytest.mark.parametrize("status", ["Accepted", "Skipped"])
def test_first_failure_of_tests_without_one_is_none(status: str) -> None:
    assert sentences.first_failure([{"name": "1", "status": status}], ["why"]) == (None, ["why"])
