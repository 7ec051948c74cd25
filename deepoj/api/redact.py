"""What a contestant may see of a result: everything about the own program, nothing of the hidden tests.

A program reads a hidden test and chooses its exit code, how much it prints, where its answer first differs, and how
much time and memory it takes: each of these is a channel that carries the test out, many bits a run. Three rules close
or narrow them, and this module is their only home:

* A value that does not help to mend a program is null. The key stays, so all readers get the same shape.
* A figure (time, memory) is rounded up to the next of few values: ``HiddenSteps``.
* A signal is told by its class (``signal_class``), and only where it decided the verdict.

What remains of a test is the verdict with its reason (13 outcomes: 3.7 bits) and two figures (2.6 bits each at the
defaults, 2 s and 256 MB); of one that came so near to its time limit that it was run twice also the first run's verdict
and time, of a scored problem the points, and of a stream of events when each one comes. What a compiler says is about
the source, which is the contestant's own. A sample is no secret: of its tests everything is shown, exactly. The stored
record is exact as well.

An allow-list: what judging adds to results later stays hidden until it is named here.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deepoj.judging.verdicts import RUN_TABLE
from deepoj.words.results import Verdict
from deepoj.words.submissions import SubmissionItem

_RESULT = (
    "job_id", "attempt_id", "status", "score", "time_used", "memory_used", "wall_time", "language", "trace_id",
    "problem_version", "isolation",
)  # fmt: skip
#: the unit in which a figure of hidden tests is rounded up; of samples it is exact
_ROUNDED = {
    "time_used": "ms", "wall_time": "ms", "cpu_ms": "ms", "measured_ms": "ms", "first_ms": "ms", "again_ms": "ms",
    "memory_used": "kb", "memory_kb": "kb", "measured_kb": "kb",
}  # fmt: skip
_COMPILE = ("ok", "time_ms", "output")
#: the contract's fields of a test, in its order, and whether the value is shown
_TEST: Mapping[str, bool] = {
    "name": True, "group": True, "status": True, "score": True, "cpu_ms": True,
    # beside the CPU time a second clock that a program sets at will, by sleeping
    "wall_ms": False,
    "memory_kb": True, "exit_code": False, "exit_signal": False, "reason": True,
    # checkers quote the tests
    "checker_message": False,
    "stdout_len": False, "truncated_stdout": False, "stderr_len": False, "truncated_stderr": False,
    "sample": True, "borderline": True,
    # tells whether two tests, or two versions of one, are equal
    "fingerprint": False,
    "reused": True, "reused_attempt": True,
}  # fmt: skip
#: of a test group
_GROUP = ("name", "status", "score", "max_score")
#: of a test that was run twice
_BORDERLINE = (
    "first_ms", "first_status", "again_ms", "again_status", "limit_ms", "margin_percent", "alone", "counted",
)  # fmt: skip
#: of an explanation: figures, never texts
_FIGURES = frozenset(
    {"measured_ms", "limit_ms", "measured_kb", "limit_kb", "limit_bytes", "oom_kill", "tests_run", "tests_total",
     "tests_failed", "tests_skipped", "score", "max_score", "first_ms", "again_ms", "margin_percent", "alone"}
)  # fmt: skip
#: of an explanation: names of tests and groups, which results show anyway
_NAMES = frozenset({"test", "group", "depends_on"})
#: of an explanation: our own words, and no others
_WORDS: Mapping[str, frozenset[str]] = {
    "status": frozenset(Verdict),
    "first_status": frozenset(Verdict),
    "again_status": frozenset(Verdict),
    "decided_by": frozenset({"first_failed", "score", "all_accepted"}),
    "counted": frozenset({"again"}),
}
#: rules that say which limit or comparison a test failed, or what became of the whole; they quote nothing
_RULES = frozenset(
    {rule for _, rule in RUN_TABLE}
    | {"compare", "checker", "interactor", "left", "compile", "budget", "discarded", ""}
    | {"verdict", "borderline", "dependency", "short_circuit"}
)
#: of an explanation whose rule is ``compile``: our own words about the compiler
_COMPILE_WORDS = frozenset({"why", "sentence"})
#: every other signal's class is ``killed``
_SIGNAL_CLASSES: Mapping[int, str] = {
    signal.SIGABRT: "aborted",
    **dict.fromkeys(
        (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS), "crashed"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenSteps:
    """How coarse figures of hidden tests are: rounded up to the step, or to the step doubled as often as it takes.

    Doubled, because then a limit of any size leaves a handful of values. 0: exact.
    """

    time_ms: int
    memory_kb: int

    def rounded(self, name: str, value: Any) -> Any:
        """The value of a field as it is shown; what is no figure to be rounded is shown as it is."""
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


def result_for(result: Mapping[str, Any] | None, *, is_admin: bool, steps: HiddenSteps) -> dict[str, Any] | None:
    """The result object for an administrator (all of it, exactly) or for its author (hidden values are null)."""
    if result is None:
        return None
    if is_admin:
        return _with_classes(result)
    shown = _only(result, _RESULT, steps)
    if isinstance(compiled := result.get("compile"), Mapping):
        # whether it was kept tells that somebody else has sent the same source
        shown["compile"] = _only(compiled, _COMPILE) | dict.fromkeys({"cached"} & compiled.keys())
    elif "compile" in result:
        shown["compile"] = None
    tests = _mappings(result, "tests")
    shown["tests"] = [test_for(test, is_admin=False, steps=steps) for test in tests]
    if "groups" in result:
        shown["groups"] = [_only(group, _GROUP) for group in _mappings(result, "groups")]
    # A name that a hidden test has as well says nothing of a sample.
    samples = {test.get("name") for test in tests if _is_sample(test)}
    samples -= {test.get("name") for test in tests if not _is_sample(test)}
    shown["explanation"] = [_why(why, samples, steps) for why in _mappings(result, "explanation")]
    return shown


def test_for(test: Mapping[str, Any], *, is_admin: bool, steps: HiddenSteps) -> dict[str, Any]:
    """One test of a result, as above."""
    if is_admin:
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


def item_for(item: SubmissionItem, *, is_admin: bool, steps: HiddenSteps) -> SubmissionItem:
    """A submission in a list. Its figures are the worst of all tests, so of hidden ones as well."""
    if is_admin:
        return item
    return replace(
        item,
        time_used_ms=steps.rounded("time_used", item.time_used_ms),
        memory_used_kb=steps.rounded("memory_used", item.memory_used_kb),
    )


def _mappings(result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [each for each in result.get(name) or () if isinstance(each, Mapping)]


def _is_sample(test: Mapping[str, Any]) -> bool:
    return test.get("sample") is True


def _only(found: Mapping[str, Any], names: tuple[str, ...], steps: HiddenSteps = _EXACT) -> dict[str, Any]:
    return {name: steps.rounded(name, found[name]) for name in names if name in found}


def _with_classes(result: Mapping[str, Any]) -> dict[str, Any]:
    """The whole result, each test with its ``signal_class``: one shape for everybody."""
    classes = {"tests": [dict(test) | _signal_class(test) for test in _mappings(result, "tests")]}
    return dict(result) | (classes if "tests" in result else {})


def _signal_class(test: Mapping[str, Any]) -> dict[str, str | None]:
    """Null unless a signal decided: beside a limit that was passed, which one it was is the program's choice."""
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
        # the program chooses how many of its processes there are to be killed
        shown["oom_kill"] = 1
    return shown


def _is_rule(value: object) -> bool:
    return isinstance(value, str) and value in _RULES
