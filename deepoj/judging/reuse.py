"""Which tests of an earlier judging stand as they are: those that were decided by the very same things.

A test's *fingerprint* is a hash of everything that decides it: the sources, the commands and the tools that make a
program of them, the test's files and arguments, how its output is judged and by which checker, and the limits of the
run. It goes into the result with the test. A rejudge takes over what has the fingerprint that it would give now, and
runs the rest. What is never taken over: a System Error, a test that was close to its time limit and was run twice, and
one whose fingerprint is not known.

A new kind of thing that decides tests belongs in here; what a fingerprint is made of grows by ``_FORM``, so that older
ones match nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from deepoj.judging import testlib
from deepoj.judging.abilities import way_of
from deepoj.judging.checkers import language_of, takes_headers
from deepoj.judging.languages import Language, Toolchain
from deepoj.judging.packages.names import base
from deepoj.judging.problem import Case, Plan, Program
from deepoj.words import Isolation, RunLimits, TestResult, Verdict

#: grows when verdicts could come out otherwise for what looks the same in here
_FORM = 4

#: never taken over
_OURS = frozenset({Verdict.SYSTEM_ERROR, Verdict.INVALID})
#: rules of reasons that are about more than one run of one test
_ABOUT_MORE = frozenset({"verdict", "borderline", "budget"})


def tool_mark(tool: str) -> list[object]:
    """What stands for a compiler or an interpreter: its file. Packages keep the time of its making on every host.
    Blocking."""
    try:
        real = Path(tool).resolve()
        seen = real.stat()
    except OSError:
        return [tool]
    return [str(real), seen.st_size, seen.st_mtime_ns]


def program_mark(language: Language, sources: Mapping[str, bytes], entry: str, toolchain: Toolchain) -> str:
    """What stands for the program: its sources by name, and how and with what it is made and run. Blocking."""
    return _hash(
        language.key,
        sorted((name, hashlib.sha256(text).hexdigest()) for name, text in sources.items()),
        entry,
        *_means(language, toolchain),
    )


def checkers_mark(plan: Plan, toolchain: Toolchain) -> str:
    """What stands for how and with what the plan's checkers are made and run, ``testlib.h`` included; their sources
    stand in the fingerprint. Empty if there is none. Blocking."""
    marks: list[object] = []
    for program in _programs(plan):
        language = language_of(program)
        if language is not None:
            # whether a source includes it is not looked at; a package's own wins
            ours = takes_headers(language) and not any(base(name) == testlib.NAME for name in program.files)
            marks.append([language.key, *_means(language, toolchain), testlib.digest() if ours else None])
    return _hash(*marks) if marks else ""


def _programs(plan: Plan) -> list[Program]:
    return [one.program for one in (plan.checker, plan.output_checker) if one is not None]


def _means(language: Language, toolchain: Toolchain) -> list[object]:
    """The lines that make and run a program, and the tools in them."""
    # what the memory limit makes of a command is the limit's business
    build, run = language.compile_argv(toolchain), language.run_argv(toolchain, 1)
    asked = (build, run, language.version_argv(toolchain))
    tools = sorted({argv[0] for argv in asked if argv and argv[0].startswith("/")})
    return [
        [build, language.compile_env, run, language.run_environment(toolchain, 1)],
        [tool_mark(tool) for tool in tools],
    ]


@dataclass(frozen=True, slots=True)
class Deciders:
    """Everything that decides the tests of one attempt: see ``fingerprint``."""

    program: str
    plan: Plan
    #: of the plan's files, by archive name: SHA-256
    digest: Callable[[str], str]
    #: the problem's ``compare``
    compare: str
    limits: RunLimits
    #: ``checkers_mark``
    checkers: str

    def fingerprint(self, case: Case) -> str:
        """22 characters; equal for two tests exactly if the same things decide them."""
        checkers = [one for one in (self.plan.checker, self.plan.output_checker) if one is not None]
        way = way_of(self.plan, self.compare)
        return _hash(
            self.program,
            asdict(self.limits),
            None if way is None else asdict(way),
            [(asdict(one), self._files(one.program.files)) for one in checkers],
            self.checkers,
            self._files([name for name in (case.input,) if name is not None]),
            self._files([name for name in (case.answer,) if name is not None]),
            [(name, self.digest(name)) for name in case.extra_files],
            [case.args, case.checker_args],
            # a checker's points are points of what the test is worth
            [self.plan.scored, self.plan.points, case.score, case.group] if checkers else None,
            self.plan.output_only,
        )

    def _files(self, names: Sequence[str]) -> list[str]:
        return [self.digest(name) for name in names]


def _hash(*parts: object) -> str:
    text = json.dumps([_FORM, *parts], default=str, sort_keys=True).encode()
    return base64.urlsafe_b64encode(hashlib.blake2b(text, digest_size=16).digest()).rstrip(b"=").decode()


# ---------------------------------------------------------------------------------------------------------------------
# What was


@dataclass(frozen=True, slots=True)
class _FormerTest:
    """A test out of a result that is stored, as far as it may be taken over."""

    name: str
    status: Verdict
    score: float
    cpu_ms: int
    wall_ms: int
    memory_kb: int
    exit_code: int
    exit_signal: int
    reason: str
    checker_message: str
    stdout_len: int
    truncated_stdout: bool
    stderr_len: int
    truncated_stderr: bool
    fingerprint: str
    reused_attempt: int | None = None
    borderline: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reusable:
    """A test that may be taken over, and why it came to what it did (empty for an accepted one)."""

    test: TestResult
    reason: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Former:
    """What an earlier judging found, by fingerprint."""

    tests: Mapping[str, Reusable]
    #: the weakest that any of its runs had
    isolation: Isolation

    def reusable(self, fingerprint: str) -> Reusable | None:
        return self.tests.get(fingerprint)


def former_of(result: Mapping[str, Any]) -> Former | None:
    """What may be taken over of a stored result; None: nothing, or it is none that we know how to read."""
    try:
        isolation, attempt = Isolation(result["isolation"]), int(result["attempt_id"])
        stored = _ADAPTER.validate_python(result["tests"])
    except (KeyError, TypeError, ValueError, ValidationError):
        return None
    reasons = _reasons(result.get("explanation"))
    found: dict[str, Reusable] = {}
    for one in stored:
        if one.fingerprint and one.borderline is None and one.status not in _OURS:
            found.setdefault(one.fingerprint, _reusable(one, attempt, reasons))
    return Former(MappingProxyType(found), isolation) if found else None


_ADAPTER = TypeAdapter(list[_FormerTest])


def _reusable(one: _FormerTest, attempt: int, reasons: Mapping[str, Mapping[str, Any]]) -> Reusable:
    test = TestResult(
        name=one.name,
        status=one.status,
        score=one.score,
        cpu_ms=one.cpu_ms,
        wall_ms=one.wall_ms,
        memory_kb=one.memory_kb,
        exit_code=one.exit_code,
        exit_signal=one.exit_signal,
        reason=one.reason,
        checker_message=one.checker_message,
        stdout_len=one.stdout_len,
        truncated_stdout=one.truncated_stdout,
        stderr_len=one.stderr_len,
        truncated_stderr=one.truncated_stderr,
        fingerprint=one.fingerprint,
        reused_attempt=attempt if one.reused_attempt is None else one.reused_attempt,
    )
    if one.status is Verdict.ACCEPTED:
        return Reusable(test, {})
    return Reusable(test, reasons.get(one.name, {"test": one.name, "rule": one.reason}))


def _reasons(explanation: object) -> dict[str, Mapping[str, Any]]:
    """Of each test that failed, the reason about its run; there may be less of them than tests that failed."""
    found: dict[str, Mapping[str, Any]] = {}
    for reason in explanation if isinstance(explanation, list) else ():
        if isinstance(reason, Mapping) and isinstance(name := reason.get("test"), str):
            about_one = reason.get("rule") not in _ABOUT_MORE and "tests_skipped" not in reason
            if about_one:
                found.setdefault(name, reason)
    return found
