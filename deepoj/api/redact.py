"""What a contestant may see of a result: everything about the own program, nothing of the hidden tests.

An allow-list: what judging adds to results later stays hidden until it is named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RESULT = (
    "job_id", "attempt_id", "status", "score", "time_used", "memory_used", "wall_time", "language", "trace_id",
    "problem_version", "isolation",
)  # fmt: skip
#: the compiler's words are the author's
_COMPILE = ("ok", "time_ms", "output")
#: not ``checker_message``: checkers quote the tests
_TEST = (
    "name", "group", "status", "score", "cpu_ms", "wall_ms", "memory_kb", "exit_code", "exit_signal", "reason",
    "stdout_len", "truncated_stdout", "stderr_len", "truncated_stderr",
)  # fmt: skip
#: of an explanation: the rule, the test's name, and figures
_EXPLANATION_WORDS = frozenset({"rule", "test", "status", "group"})


def result_for(result: Mapping[str, Any] | None, *, is_admin: bool) -> dict[str, Any] | None:
    """The result object for an administrator (all of it) or for its author."""
    if result is None:
        return None
    if is_admin:
        return dict(result)
    shown = _only(result, _RESULT)
    if isinstance(compiled := result.get("compile"), Mapping):
        shown["compile"] = _only(compiled, _COMPILE)
    elif "compile" in result:
        shown["compile"] = None
    shown["tests"] = [_only(test, _TEST) for test in result.get("tests") or () if isinstance(test, Mapping)]
    shown["explanation"] = [_figures(why) for why in result.get("explanation") or () if isinstance(why, Mapping)]
    return shown


def _only(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found}


def _figures(why: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in why.items()
        if name in _EXPLANATION_WORDS or value is None or isinstance(value, bool | int | float)
    }
