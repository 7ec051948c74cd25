"""What a contestant may see of a result: everything about the own program, nothing of the hidden tests.

A program reads a hidden test and chooses its exit code, how much it prints and where its answer first differs: each of
these is a channel that carries the test out, many bits a run. They are null, in their place, so that a result has one
shape for everybody. Status, time, memory and signal stay though a bit or two fit through them: without them nobody can
mend a program. What a compiler says is about the source, which is the contestant's own. A sample is no secret: of its
tests everything is shown.

An allow-list: what judging adds to results later stays hidden until it is named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepoj.judging.verdicts import RUN_TABLE
from deepoj.words import Verdict

_RESULT = (
    "job_id", "attempt_id", "status", "score", "time_used", "memory_used", "wall_time", "language", "trace_id",
    "problem_version", "isolation",
)  # fmt: skip
_COMPILE = ("ok", "time_ms", "output")
#: the contract's fields of a test, in its order, and whether the value is shown
_TEST: Mapping[str, bool] = {
    "name": True, "group": True, "status": True, "score": True, "cpu_ms": True, "wall_ms": True, "memory_kb": True,
    "exit_code": False, "exit_signal": True, "reason": True,
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
    {"measured_ms", "limit_ms", "measured_kb", "limit_kb", "limit_bytes", "oom_kill", "exit_signal", "tests_run",
     "tests_total", "tests_failed", "tests_skipped", "score", "max_score", "first_ms", "again_ms", "margin_percent",
     "alone"}
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


def result_for(result: Mapping[str, Any] | None, *, is_admin: bool) -> dict[str, Any] | None:
    """The result object for an administrator (all of it) or for its author (hidden values are null)."""
    if result is None:
        return None
    if is_admin:
        return dict(result)
    shown = _only(result, _RESULT)
    if isinstance(compiled := result.get("compile"), Mapping):
        # whether it was kept tells that somebody else has sent the same source
        shown["compile"] = _only(compiled, _COMPILE) | dict.fromkeys({"cached"} & compiled.keys())
    elif "compile" in result:
        shown["compile"] = None
    tests = _mappings(result, "tests")
    shown["tests"] = [test_for(test, is_admin=False) for test in tests]
    if "groups" in result:
        shown["groups"] = [_only(group, _GROUP) for group in _mappings(result, "groups")]
    # A name that a hidden test has as well says nothing of a sample.
    samples = {test.get("name") for test in tests if _is_sample(test)}
    samples -= {test.get("name") for test in tests if not _is_sample(test)}
    shown["explanation"] = [_why(why, samples) for why in _mappings(result, "explanation")]
    return shown


def test_for(test: Mapping[str, Any], *, is_admin: bool) -> dict[str, Any]:
    """One test of a result, as above."""
    if is_admin:
        return dict(test)
    everything = _is_sample(test)
    shown = {name: test[name] if is_open or everything else None for name, is_open in _TEST.items() if name in test}
    if "reason" in shown and not (everything or _is_rule(shown["reason"])):
        shown["reason"] = None
    if isinstance(twice := shown.get("borderline"), Mapping):
        shown["borderline"] = _only(twice, _BORDERLINE)
    return shown


def _mappings(result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [each for each in result.get(name) or () if isinstance(each, Mapping)]


def _is_sample(test: Mapping[str, Any]) -> bool:
    return test.get("sample") is True


def _only(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found}


def _why(why: Mapping[str, Any], samples: set[Any]) -> dict[str, Any]:
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

    return {name: value if is_open(name, value) else None for name, value in why.items()}


def _is_rule(value: object) -> bool:
    return isinstance(value, str) and value in _RULES
