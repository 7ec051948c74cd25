"""What a package promises of its submissions, against what judging came to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deepoj.judging.problem import Example
from deepoj.judging.promises import Kept, PromiseResult, found, promised, skipped
from deepoj.words.results import CompileResult, Infra, Report, TestResult, Verdict
from tests.unit.makers import a_report

V = Verdict
AC, WA, TLE, RE, CE, PARTIAL, MLE = (
    word.value
    for word in (
        V.ACCEPTED, V.WRONG_ANSWER, V.TIME_LIMIT_EXCEEDED, V.RUNTIME_ERROR, V.COMPILE_ERROR, V.PARTIAL,
        V.MEMORY_LIMIT_EXCEEDED,
    )
)  # fmt: skip


def an_example(*expected: str, scores: tuple[tuple[float, float], ...] = ()) -> Example:
    return Example(
        name="s/a.cpp", language="cpp20", files=("s/a.cpp",), entry="s/a.cpp", expected=expected, expected_scores=scores
    )


def judged(status: Verdict, score: float | None = None) -> Report:
    report = a_report(status)
    return report if score is None else replace(report, score=score)


@pytest.mark.parametrize(
    ("example", "report", "kept"),
    [
        (an_example(AC), judged(V.ACCEPTED), Kept.OK),
        (an_example(AC), judged(V.WRONG_ANSWER), Kept.DIFFERS),
        (an_example(WA), judged(V.ACCEPTED), Kept.DIFFERS),
        (an_example(WA, TLE), judged(V.TIME_LIMIT_EXCEEDED), Kept.OK),
        (an_example(WA, TLE), judged(V.RUNTIME_ERROR), Kept.DIFFERS),
        (an_example(RE, MLE), judged(V.MEMORY_LIMIT_EXCEEDED), Kept.OK),
        (an_example(CE), judged(V.COMPILE_ERROR), Kept.OK),
        # a wrong form is a wrong answer, and not the other way round
        (an_example(WA), judged(V.PRESENTATION_ERROR), Kept.OK),
        (an_example(TLE, WA), judged(V.PRESENTATION_ERROR), Kept.OK),
        (an_example(AC), judged(V.PRESENTATION_ERROR), Kept.DIFFERS),
        (an_example(TLE), judged(V.PRESENTATION_ERROR), Kept.DIFFERS),
        (an_example(V.PRESENTATION_ERROR.value), judged(V.PRESENTATION_ERROR), Kept.OK),
        (an_example(V.PRESENTATION_ERROR.value), judged(V.WRONG_ANSWER), Kept.DIFFERS),
        (an_example(), judged(V.ACCEPTED), Kept.NO_PROMISE),
        (an_example(), judged(V.RUNTIME_ERROR), Kept.NO_PROMISE),
        # scores: any of the ranges, both ends included
        (an_example(scores=((40, 40),)), judged(V.PARTIAL, 40), Kept.OK),
        (an_example(scores=((40, 40),)), judged(V.PARTIAL, 0.1 * 3 + 39.7), Kept.OK),
        (an_example(scores=((40, 40),)), judged(V.PARTIAL, 41), Kept.DIFFERS),
        (an_example(scores=((10, 20),)), judged(V.PARTIAL, 10), Kept.OK),
        (an_example(scores=((10, 20),)), judged(V.PARTIAL, 20), Kept.OK),
        (an_example(scores=((10, 20),)), judged(V.PARTIAL, 20.01), Kept.DIFFERS),
        (an_example(scores=((0, 0), (100, 100))), judged(V.ACCEPTED, 100), Kept.OK),
        (an_example(scores=((0, 0), (100, 100))), judged(V.PARTIAL, 50), Kept.DIFFERS),
        # both: both
        (an_example(PARTIAL, scores=((40, 40),)), judged(V.PARTIAL, 40), Kept.OK),
        (an_example(PARTIAL, scores=((40, 40),)), judged(V.ACCEPTED, 40), Kept.DIFFERS),
        (an_example(PARTIAL, scores=((40, 40),)), judged(V.PARTIAL, 30), Kept.DIFFERS),
    ],
)
def test_the_table(example: Example, report: Report, kept: Kept) -> None:
    finding = found(example, report)
    assert finding.kept is kept
    assert bool(finding.why) is (kept is Kept.DIFFERS)
    assert finding.report is report


@pytest.mark.parametrize("example", [an_example(AC), an_example(), an_example(*(word.value for word in V))])
def test_judging_that_failed_keeps_no_promise(example: Example) -> None:
    finding = found(example, Infra("checker_broken", "the checker failed on test 2"))
    assert finding == PromiseResult(
        example=example, kept=Kept.DIFFERS, why="not judged: the checker failed on test 2 (checker_broken)"
    )
    assert finding.got == "System Error"


def test_a_difference_says_where() -> None:
    tests = (
        TestResult(name="1", status=V.ACCEPTED),
        TestResult(name="2", status=V.WRONG_ANSWER, reason="compare", checker_message="token 1: expected '3', got '4'"),
    )
    finding = found(an_example(AC), replace(judged(V.WRONG_ANSWER), tests=tests))
    assert finding.why == "Wrong Answer on test 2 (compare: token 1: expected '3', got '4')"


def test_a_compiler_is_quoted() -> None:
    refused = CompileResult(ok=False, time_ms=1, output="main.cpp:1:\n  error: no")
    finding = found(an_example(AC), replace(judged(V.COMPILE_ERROR), compile=refused, tests=()))
    assert finding.why == "Compile Error: main.cpp:1: error: no"


def test_skipped_example_has_its_reason_and_no_verdict() -> None:
    finding = skipped(an_example(AC), "this host has no Go")
    assert (finding.kept, finding.why, finding.got) == (Kept.SKIPPED, "this host has no Go", "")


@pytest.mark.parametrize(
    ("example", "words"),
    [
        (an_example(), ""),
        (an_example(AC), "Accepted"),
        (an_example(WA, TLE), "Wrong Answer or Time Limit Exceeded"),
        (an_example(scores=((40, 40),)), "score 40"),
        (an_example(*(word.value for word in V if word is not V.ACCEPTED)), "a failure"),
        (an_example(*(word.value for word in V)), " or ".join(V)),
        (an_example(PARTIAL, scores=((0, 0), (10, 20.5))), "Partial, score 0 or 10 to 20.5"),
    ],
)
def test_a_promise_in_words(example: Example, words: str) -> None:
    assert promised(example) == words
