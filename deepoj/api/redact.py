"""What a contestant may see of a result: everything about the own program, nothing of the hidden tests.

A program reads a hidden test and chooses its exit code, how much it prints and where its answer first differs: each of
these is a channel that carries the test out, many bits a run. They are null, in their place, so that a result has one
shape for everybody. Status, time, memory and signal stay though a bit or two fit through them: without them nobody can
mend a program. What a compiler says is about the source, which is the contestant's own.

An allow-list: what judging adds to results later stays hidden until it is named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepoj.judging.verdicts import RUN_TABLE

_RESULT = (
    "job_id", "attempt_id", "status", "score", "time_used", "memory_used", "wall_time", "language", "trace_id",
    "problem_version", "isolation",
)  # fmt: skip
_COMPILE = ("ok", "time_ms", "output", "cached")
#: the contract's fields of a test, in its order, and whether the value is shown
_TEST: Mapping[str, bool] = {
    "name": True, "group": True, "status": True, "score": True, "cpu_ms": True, "wall_ms": True, "memory_kb": True,
    "exit_code": False, "exit_signal": True, "reason": True,
    # checkers quote the tests
    "checker_message": False,
    "stdout_len": False, "truncated_stdout": False, "stderr_len": False, "truncated_stderr": False,
}  # fmt: skip
#: of an explanation: figures, never texts
_FIGURES = frozenset(
    {"measured_ms", "limit_ms", "measured_kb", "limit_kb", "limit_bytes", "oom_kill", "exit_signal", "tests_run",
     "tests_total"}
)  # fmt: skip
#: rules that say which limit or comparison a test failed; they quote nothing
_RULES = frozenset(
    {rule for _, rule in RUN_TABLE} | {"compare", "checker", "interactor", "left", "compile", "budget", "discarded", ""}
)
#: of an explanation whose rule is ``compile``: our own words about the compiler
_COMPILE_WORDS = frozenset({"why", "sentence"})


def result_for(result: Mapping[str, Any] | None, *, is_admin: bool) -> dict[str, Any] | None:
    """The result object for an administrator (all of it) or for its author (hidden values are null)."""
    if result is None:
        return None
    if is_admin:
        return dict(result)
    shown = _only(result, _RESULT)
    if isinstance(compiled := result.get("compile"), Mapping):
        shown["compile"] = _only(compiled, _COMPILE)
    elif "compile" in result:
        shown["compile"] = None
    shown["tests"] = [_test(test) for test in result.get("tests") or () if isinstance(test, Mapping)]
    shown["explanation"] = [_why(why) for why in result.get("explanation") or () if isinstance(why, Mapping)]
    return shown


def _only(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found}


def _test(test: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: test[name] if is_open else None for name, is_open in _TEST.items() if name in test}
    if "reason" in shown and not _is_rule(shown["reason"]):
        shown["reason"] = None
    return shown


def _why(why: Mapping[str, Any]) -> dict[str, Any]:
    of_compiler = why.get("rule") == "compile"

    def is_open(name: str, value: object) -> bool:
        if name in _FIGURES:
            return isinstance(value, bool | int | float)
        if name == "rule":
            return _is_rule(value)
        return name == "test" or (of_compiler and name in _COMPILE_WORDS)

    return {name: value if is_open(name, value) else None for name, value in why.items()}


def _is_rule(value: object) -> bool:
    return isinstance(value, str) and value in _RULES
