"""Redacts results for contestants: they see everything about their own program, but nothing of the hidden tests.

A program can read a hidden test and then choose its exit code, the length of its output, where its answer first
differs, and its time and memory. Each of these is a covert channel that can leak many bits of the test per run. Three
rules, implemented only here, close or narrow the channels:

* A value that does not help to debug a program is null. The key stays, so all clients get the same shape.
* A figure (time, memory) is rounded up to one of few values: ``HiddenSteps``.
* A signal is shown by its class (``signal_class``), and only if it decided the verdict.

A test still reveals its verdict with the reason (13 outcomes: 3.7 bits) and two figures (2.6 bits each at the defaults,
2 s and 256 MB). A test run twice near its time limit also reveals the verdict and time of the first run; a scored
problem reveals the points, and an event stream the time of each event. Compiler output concerns the contestant's own
source. Samples are public: their results are shown exactly. The stored result is exact too.

A contest may keep a verdict from its own team until the jury has verified it, or until it is over. The store says which
(``is_withheld``; ``is_judging_withheld`` of migration 038). Then the submission looks, from its sending on, as if its
first attempt were being judged: neither the start, the end nor a repetition of its judging can be seen.

The fields shown are an allow-list: a field added to results later stays hidden until it is added here.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deepoj.judging.verdicts import RUN_TABLE
from deepoj.words.jobs import State
from deepoj.words.live import LiveJob
from deepoj.words.results import Verdict
from deepoj.words.submissions import Submission, SubmissionItem

_RESULT = (
    "job_id", "attempt_id", "status", "score", "time_used", "memory_used", "wall_time", "language", "trace_id",
    "problem_version", "isolation",
)  # fmt: skip
#: figure → unit in which it is rounded up for hidden tests; samples are exact
_ROUNDED = {
    "time_used": "ms", "wall_time": "ms", "cpu_ms": "ms", "measured_ms": "ms", "first_ms": "ms", "again_ms": "ms",
    "memory_used": "kb", "memory_kb": "kb", "measured_kb": "kb",
}  # fmt: skip
_COMPILE = ("ok", "time_ms", "output")
#: the fields of a test in the result, in order, and whether their values are shown
_TEST: Mapping[str, bool] = {
    "name": True, "group": True, "status": True, "score": True, "cpu_ms": True,
    # a program can set it freely by sleeping: a second channel beside the CPU time
    "wall_ms": False,
    "memory_kb": True, "exit_code": False, "exit_signal": False, "reason": True,
    # checker messages quote the tests
    "checker_message": False,
    "stdout_len": False, "truncated_stdout": False, "stderr_len": False, "truncated_stderr": False,
    "sample": True, "borderline": True,
    # reveals whether two tests, or two versions of a test, are equal
    "fingerprint": False,
    "reused": True, "reused_attempt": True,
}  # fmt: skip
#: fields of a test group that are shown
_GROUP = ("name", "status", "score", "max_score")
#: fields of a test's borderline record (a test that was run twice) that are shown
_BORDERLINE = (
    "first_ms", "first_status", "again_ms", "again_status", "limit_ms", "margin_percent", "alone", "counted",
)  # fmt: skip
#: figures of an explanation that are shown
_FIGURES = frozenset(
    {"measured_ms", "limit_ms", "measured_kb", "limit_kb", "limit_bytes", "oom_kill", "tests_run", "tests_total",
     "tests_failed", "tests_skipped", "score", "max_score", "first_ms", "again_ms", "margin_percent", "alone"}
)  # fmt: skip
#: names of tests and groups in an explanation; results show them anyway
_NAMES = frozenset({"test", "group", "depends_on"})
#: texts of an explanation that are shown: only these fixed words
_WORDS: Mapping[str, frozenset[str]] = {
    "status": frozenset(Verdict),
    "first_status": frozenset(Verdict),
    "again_status": frozenset(Verdict),
    "decided_by": frozenset({"first_failed", "score", "all_accepted"}),
    "counted": frozenset({"again"}),
}
#: rules that name the failed limit or comparison, or the overall outcome; they quote no test data
_RULES = frozenset(
    {rule for _, rule in RUN_TABLE}
    | {"compare", "checker", "interactor", "left", "compile", "budget", "discarded", ""}
    | {"verdict", "borderline", "dependency", "short_circuit"}
)
#: texts of an explanation with the rule ``compile``: fixed sentences about the compiler
_COMPILE_WORDS = frozenset({"why", "sentence"})
#: every other signal's class is ``killed``
_SIGNAL_CLASSES: Mapping[int, str] = {
    signal.SIGABRT: "aborted",
    **dict.fromkeys(
        (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS), "crashed"
    ),
}
#: the first attempt, or judging, of a submission
_FIRST = 1
#: what is shown of a submission whose verdict a contest keeps back, waiting, running or ended
_WITHHELD: Mapping[str, Any] = {"state": State.PROCESSING, "status": "running", "judging": _FIRST}


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenSteps:
    """Rounding of figures of hidden tests: up to the step times the next power of two. A step of 0 means exact.

    With powers of two, a limit of any size leaves only a few different values.
    """

    time_ms: int
    memory_kb: int

    def rounded(self, name: str, value: Any) -> Any:
        """Return the value of a field as shown: a figure is rounded, other values are unchanged."""
        if name not in _ROUNDED:
            return value
        bound = self.time_ms if _ROUNDED[name] == "ms" else self.memory_kb
        if bound == 0 or value is None:
            return value
        if not isinstance(value, int):
            return None
        if value <= 0:
            return value
        while bound < value:
            bound *= 2
        return bound


_EXACT = HiddenSteps(time_ms=0, memory_kb=0)


def result_for(result: Mapping[str, Any] | None, *, is_whole: bool, steps: HiddenSteps) -> dict[str, Any] | None:
    """Return the result whole and exact, as accounts see it that may read all results of its problem, or redacted, as
    its author sees it."""
    if result is None:
        return None
    if is_whole:
        return _with_classes(result)
    shown = _only(result, _RESULT, steps)
    if isinstance(compiled := result.get("compile"), Mapping):
        # a cache hit would reveal that another user has submitted the same source
        hidden = [name for name in ("cached", "wall_ms") if name in compiled]
        shown["compile"] = _only(compiled, _COMPILE) | dict.fromkeys(hidden)
    elif "compile" in result:
        shown["compile"] = None
    tests = _mappings(result, "tests")
    shown["tests"] = [test_for(test, is_whole=False, steps=steps) for test in tests]
    if "groups" in result:
        shown["groups"] = [_only(group, _GROUP) for group in _mappings(result, "groups")]
    # A name shared by a sample and a hidden test must not make the hidden one visible.
    samples = {test.get("name") for test in tests if _is_sample(test)}
    samples -= {test.get("name") for test in tests if not _is_sample(test)}
    shown["explanation"] = [_why(why, samples, steps) for why in _mappings(result, "explanation")]
    if "stages" in result:
        shown["stages"] = None  # a program can choose its run time freely, and the host's load is in all of them
    return shown


def test_for(test: Mapping[str, Any], *, is_whole: bool, steps: HiddenSteps) -> dict[str, Any]:
    """Return one test of a result, redacted like ``result_for``."""
    if is_whole:
        return dict(test) | _signal_class(test)
    if _is_sample(test):
        shown, steps = {name: test[name] for name in _TEST if name in test}, _EXACT
    else:
        shown = {
            name: steps.rounded(name, test[name]) if is_open else None
            for name, is_open in _TEST.items()
            if name in test
        }
        if "reason" in shown and not _is_rule(shown["reason"]):
            shown["reason"] = None
    if isinstance(twice := shown.get("borderline"), Mapping):
        shown["borderline"] = _only(twice, _BORDERLINE, steps)
    return shown | _signal_class(test)


def submission_for(submission: Submission, *, is_whole: bool) -> Submission:
    """Return a submission without a verdict that a contest keeps back, and with the verdict that its jury has given."""
    if is_whole:
        return submission
    if submission.is_withheld:
        return replace(
            submission,
            **_WITHHELD,
            attempt_id=_FIRST,
            error_code=None,
            error_message=None,
            result=None,
            # else it would tell how long the judging took
            updated_at=submission.created_at,
        )
    if submission.override is None or submission.result is None:
        return submission
    return replace(submission, status=submission.override, result={**submission.result, "status": submission.override})


def live_for(job: LiveJob, *, is_whole: bool) -> LiveJob:
    """Return the progress of a judging without what a contest keeps back."""
    if is_whole or not job.is_withheld:
        return job
    return replace(job, **_WITHHELD, attempt_id=_FIRST, tests=(), finished=None)


def item_for(item: SubmissionItem, *, is_whole: bool, steps: HiddenSteps) -> SubmissionItem:
    """Return an entry of a list of submissions. Its figures are maxima over all tests, including hidden ones."""
    if is_whole:
        return item
    if item.is_withheld:
        return replace(
            item,
            **_WITHHELD,
            score=None,
            time_used_ms=None,
            memory_used_kb=None,
            updated_at=item.created_at,
        )
    if item.override is not None:
        item = replace(item, status=item.override)
    return replace(
        item,
        time_used_ms=steps.rounded("time_used", item.time_used_ms),
        memory_used_kb=steps.rounded("memory_used", item.memory_used_kb),
    )


def _mappings(result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [each for each in result.get(name) or () if isinstance(each, Mapping)]


def _is_sample(test: Mapping[str, Any]) -> bool:
    return test.get("sample") is True


def _only(fields: Mapping[str, Any], names: tuple[str, ...], steps: HiddenSteps = _EXACT) -> dict[str, Any]:
    """Return the named fields, with their figures rounded."""
    return {name: steps.rounded(name, fields[name]) for name in names if name in fields}


def _with_classes(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole result with ``signal_class`` in each test, so administrators get the same shape."""
    classes = {"tests": [dict(test) | _signal_class(test) for test in _mappings(result, "tests")]}
    return dict(result) | (classes if "tests" in result else {})


def _signal_class(test: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the class of the signal if it decided the verdict, else null: after an exceeded limit, the program can
    choose the signal."""
    if "exit_signal" not in test:
        return {}
    decided = test.get("reason") == "signal" and bool(test["exit_signal"])
    return {"signal_class": _SIGNAL_CLASSES.get(test["exit_signal"], "killed") if decided else None}


def _why(why: Mapping[str, Any], samples: set[Any], steps: HiddenSteps) -> dict[str, Any]:
    if why.get("test") in samples:
        return dict(why)
    of_compiler = why.get("rule") == "compile"

    def is_open(name: str, value: object) -> bool:
        if name in _FIGURES:
            return isinstance(value, bool | int | float)
        if name == "rule":
            return _is_rule(value)
        if name in _WORDS:
            return isinstance(value, str) and value in _WORDS[name]
        return name in _NAMES or (of_compiler and name in _COMPILE_WORDS)

    shown = {name: steps.rounded(name, value) if is_open(name, value) else None for name, value in why.items()}
    if shown.get("oom_kill"):
        # the number of killed processes is the program's choice: show only that there was one
        shown["oom_kill"] = 1
    return shown


def _is_rule(value: object) -> bool:
    return isinstance(value, str) and value in _RULES
