"""The number of bits of a hidden test that a program can tell its author by the figures of its run."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from deepoj.api import redact
from deepoj.api.redact import HiddenSteps, item_for, result_for
from deepoj.judging.result import as_result, as_test
from deepoj.words.jobs import State
from deepoj.words.results import Borderline, Report, TestResult, Verdict
from deepoj.words.submissions import SubmissionItem
from tests.fakes.settings import hidden_steps
from tests.unit.makers import a_claim, a_report

STEPS = hidden_steps()
LIMIT_MS, LIMIT_KB = 2000, 262_144


def hidden(**changes: Any) -> TestResult:
    plain = a_report(Verdict.RUNTIME_ERROR).tests[0]
    fields: dict[str, Any] = {"status": Verdict.RUNTIME_ERROR, "reason": "signal", "sample": False}
    return replace(plain, **fields | changes)


def report_of(test: TestResult) -> Report:
    """Return a report of one test with its figures in every place where judging repeats them."""
    figures = {"measured_ms": test.cpu_ms, "measured_kb": test.memory_kb, "exit_signal": test.exit_signal}
    return replace(
        a_report(Verdict.RUNTIME_ERROR),
        tests=(test,),
        time_used_ms=test.cpu_ms,
        memory_used_kb=test.memory_kb,
        wall_ms=test.wall_ms,
        explanation=({"rule": "signal", "test": test.name, "oom_kill": test.cpu_ms, **figures},),
    )


def views(test: TestResult, *, is_whole: bool = False, steps: HiddenSteps = STEPS) -> list[Any]:
    """Return all that its author sees: the result (also by webhook), the live event, the list item."""
    report = report_of(test)
    item = SubmissionItem(
        job_id="j", user_id=1, username="u", problem_id=1, language="cpp17", state=State.DONE, status="Runtime Error",
        judging=1, score=0.0, time_used_ms=report.time_used_ms, memory_used_kb=report.memory_used_kb, created_at="",
        updated_at="",
    )  # fmt: skip
    return [
        result_for(as_result(a_claim(), report), is_whole=is_whole, steps=steps),
        redact.test_for(as_test(test), is_whole=is_whole, steps=steps),
        repr(item_for(item, is_whole=is_whole, steps=steps)),
    ]


def bits(tests: Iterable[TestResult]) -> float:
    """Return the bits that an author can learn about which of these reports it was."""
    return math.log2(len({json.dumps(views(test)) for test in tests}))


def memories() -> Iterator[TestResult]:
    return (hidden(memory_kb=kb) for kb in range(1024, LIMIT_KB + 32_768, 32))


def times() -> Iterator[TestResult]:
    return (hidden(cpu_ms=ms) for ms in range(1, LIMIT_MS + 500))


def walls() -> Iterator[TestResult]:
    return (hidden(wall_ms=ms) for ms in range(1, 3 * LIMIT_MS))


def signals() -> Iterator[TestResult]:
    return (hidden(exit_signal=number) for number in range(1, 65))


def second_runs() -> Iterator[TestResult]:
    for ms in range(1900, 2100):
        twice = Borderline(
            first_ms=ms, first_status=Verdict.ACCEPTED, again_ms=4000 - ms, again_status=Verdict.ACCEPTED,
            limit_ms=LIMIT_MS, margin_percent=5.0, alone=True,
        )  # fmt: skip
        yield hidden(cpu_ms=LIMIT_MS, borderline=twice)


@pytest.mark.parametrize(
    ("tests", "at_most"),
    [
        (memories, math.log2(6)),
        (times, math.log2(6)),
        # the worst of a submission is shown, rounded; of a single test nothing
        (walls, math.log2(7)),
        (signals, math.log2(3)),
        (second_runs, 0.0),
        (lambda: (hidden(exit_code=code, reason="exit") for code in range(256)), 0.0),
        (lambda: (hidden(exit_signal=number, reason="cpu") for number in range(65)), 0.0),
        (lambda: (hidden(stdout_len=n, stderr_len=n, checker_message=str(n)) for n in range(50)), 0.0),
    ],
)  # fmt: skip
def test_figures_of_a_hidden_test_carry_few_bits(tests: Any, at_most: float) -> None:
    assert bits(tests()) <= at_most


def test_figures_of_a_sample_and_of_an_administrator_are_exact() -> None:
    sample = hidden(sample=True, memory_kb=12_345, cpu_ms=77, wall_ms=99, exit_signal=signal.SIGBUS)
    result, live, _ = views(sample)
    for test in (result["tests"][0], live):
        assert (test["memory_kb"], test["cpu_ms"], test["wall_ms"], test["exit_signal"]) == (12_345, 77, 99, 7)
    assert result["explanation"][0]["measured_kb"] == 12_345
    result, live, item = views(replace(sample, sample=False), is_whole=True)
    stored = as_test(replace(sample, sample=False)) | {"signal_class": "crashed"}
    assert (live, result["tests"][0]) == (stored, stored)
    assert (result["memory_used"], result["time_used"]) == (12_345, 77)
    assert "memory_used_kb=12345" in item


def test_a_step_of_zero_shows_figures_exactly() -> None:
    result, live, _ = views(hidden(memory_kb=12_345, cpu_ms=77), steps=hidden_steps(time_ms=0, memory_kb=0))
    assert (live["memory_kb"], live["cpu_ms"], result["memory_used"]) == (12_345, 77, 12_345)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, 0), (1, 100), (100, 100), (101, 200), (801, 1600), (None, None), ("1", None), (1e308, None)],
)
def test_a_figure_is_rounded_up_to_the_step_doubled(value: Any, shown: Any) -> None:
    assert STEPS.rounded("cpu_ms", value) == shown


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGSEGV, "crashed"), (signal.SIGFPE, "crashed"), (signal.SIGABRT, "aborted"), (signal.SIGKILL, "killed"),
     (signal.SIGUSR1, "killed"), (63, "killed"), (0, None)],
)  # fmt: skip
def test_a_signal_of_a_hidden_test_is_told_by_its_class(number: int, name: str | None) -> None:
    _, live, _ = views(hidden(exit_signal=number))
    assert (live["exit_signal"], live["signal_class"]) == (None, name)


def test_an_explanation_that_may_be_of_a_hidden_test_is_none_of_a_sample() -> None:
    """For example two tests of one name in two folders of a package."""
    sample = hidden(sample=True, memory_kb=12_345)
    report = replace(report_of(sample), tests=(sample, replace(sample, sample=False)))
    result = result_for(as_result(a_claim(), report), is_whole=False, steps=STEPS)
    assert result is not None
    assert result["explanation"][0]["measured_kb"] == 16_384
    assert result["explanation"][0]["exit_signal"] is None


def test_a_test_that_does_not_say_is_hidden() -> None:
    stored = as_test(hidden(memory_kb=12_345))
    del stored["sample"]
    assert redact.test_for(stored, is_whole=False, steps=STEPS)["memory_kb"] == 16_384
