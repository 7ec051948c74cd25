"""Reuse tests of an earlier judging that were decided by exactly the same inputs.

A test's *fingerprint* is a hash of everything that decides it: the sources, the commands and tools that make a program
of them, the test's files and arguments, the comparison or checker, and the limits of the run. It is stored in the
result with the test. A rejudge reuses the tests whose fingerprints are unchanged, and runs the rest. Some tests are
never reused: a System Error, a test that was close to its time limit and was run twice, and a test without a
fingerprint.

A new kind of input that decides tests must be added here, and ``_FORM`` raised, so that older fingerprints match
nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from deepoj.judging import testlib
from deepoj.judging.abilities import way_of
from deepoj.judging.checkers import language_of, takes_headers
from deepoj.judging.headers import leaving_out
from deepoj.judging.languages import Language, Toolchain
from deepoj.judging.paths import base
from deepoj.judging.problem import Case, Checker, Plan, Program
from deepoj.words.results import TestResult, Verdict
from deepoj.words.sandbox import Isolation, RunLimits

#: raised when the same fingerprint could mean other verdicts
_FORM = 5

#: verdicts that are never reused
_OURS = frozenset({Verdict.SYSTEM_ERROR, Verdict.INVALID})
#: rules of reasons that concern more than one run of one test
_ABOUT_MORE = frozenset({"verdict", "borderline", "budget"})


def tool_mark(tool: str) -> list[object]:
    """Identify a compiler or an interpreter by its file. Packages set the same modification time on every host.
    Blocking."""
    try:
        real = Path(tool).resolve()
        seen = real.stat()
    except OSError:
        return [tool]
    return [str(real), seen.st_size, seen.st_mtime_ns]


def program_mark(language: Language, sources: Mapping[str, bytes], entry: str, toolchain: Toolchain) -> str:
    """Digest of the program: its sources by name, the commands that build and run it, and the versions of the tools.
    Blocking."""
    return _hash(
        language.key,
        sorted((name, hashlib.sha256(text).hexdigest()) for name, text in sources.items()),
        entry,
        *_means(language, toolchain),
    )


def checkers_mark(plan: Plan, toolchain: Toolchain) -> str:
    """Digest of the commands and tools of the plan's checkers, and of ``testlib.h``. Their sources are in the
    fingerprint. Empty if there is no checker. Blocking."""
    marks: list[object] = []
    for program in _programs(plan):
        language = language_of(program)
        if language is not None:
            # not checked: whether a source includes it; a package's own file takes precedence
            ours = takes_headers(language) and not any(base(name) == testlib.NAME for name in program.files)
            marks.append([language.key, *_means(language, toolchain), testlib.digest() if ours else None])
    return _hash(*marks) if marks else ""


def _programs(plan: Plan) -> list[Program]:
    return [one.program for one in (plan.checker, plan.output_checker) if one is not None]


def _means(language: Language, toolchain: Toolchain) -> list[object]:
    """The command lines that build and run a program, and their tools."""
    # the memory limit's effect on a command is covered by the limits
    build, run = language.compile_argv(toolchain), language.run_argv(toolchain, 1)
    asked = (build, run, language.version_argv(toolchain))
    tools = sorted({argv[0] for argv in asked if argv and argv[0].startswith("/")})
    if language.is_gcc and Path(toolchain.mold).exists():
        tools.append(toolchain.mold)
    if build is not None and language.is_gcc and toolchain.lean_headers:
        build = leaving_out(build)  # for some sources: which ones depends on the sources, which are in the digest
    return [
        [build, language.compile_env, run, language.run_environment(toolchain, 1)],
        [tool_mark(tool) for tool in tools],
    ]


@dataclass(frozen=True, slots=True)
class Deciders:
    """All inputs that decide the tests of one attempt: see ``fingerprint``."""

    program: str
    plan: Plan
    #: SHA-256 of the plan's files, by archive name
    digest: Callable[[str], str]
    #: the problem's ``compare``
    compare: str
    limits: RunLimits
    #: ``checkers_mark``
    checkers: str
    #: ``_text`` of the parts that all tests share: to make it for each took three fifths of the time of a fingerprint
    _common: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        way = way_of(self.plan, self.compare)
        common = _text(
            self.program,
            asdict(self.limits),
            None if way is None else asdict(way),
            [(asdict(one), self._files(one.program.files)) for one in self._used_checkers()],
            self.checkers,
        )
        object.__setattr__(self, "_common", common)

    def fingerprint(self, case: Case) -> str:
        """Return 22 characters; equal for two tests exactly if the same inputs decide them."""
        own = _text(
            self._files([name for name in (case.input,) if name is not None]),
            self._files([name for name in (case.answer,) if name is not None]),
            [(name, self.digest(name)) for name in case.extra_files],
            [case.args, case.checker_args],
            # a checker's points are points of the test's worth
            [self.plan.scored, self.plan.points, case.score, case.group] if self._used_checkers() else None,
            self.plan.output_only,
        )
        return _digest(f"{self._common}, {own}")

    def _used_checkers(self) -> list[Checker]:
        return [one for one in (self.plan.checker, self.plan.output_checker) if one is not None]

    def _files(self, names: Sequence[str]) -> list[str]:
        return [self.digest(name) for name in names]


def _hash(*parts: object) -> str:
    return _digest(_text(*parts))


def _text(*parts: object) -> str:
    """Return the parts as the elements of a JSON array, without its brackets."""
    return json.dumps(parts, default=str, sort_keys=True)[1:-1]


def _digest(text: str) -> str:
    content = f"[{_FORM}, {text}]".encode()
    return base64.urlsafe_b64encode(hashlib.blake2b(content, digest_size=16).digest()).rstrip(b"=").decode()


# ---------------------------------------------------------------------------------------------------------------------
# The earlier judging


@dataclass(frozen=True, slots=True)
class _FormerTest:
    """A test of a stored result, with the fields that can be reused."""

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
    """A test that may be reused, and the reason of its verdict (empty for an accepted one)."""

    test: TestResult
    reason: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Former:
    """The reusable tests of an earlier judging, by fingerprint."""

    tests: Mapping[str, Reusable]
    #: the weakest level of any of its runs
    isolation: Isolation

    def reusable(self, fingerprint: str) -> Reusable | None:
        return self.tests.get(fingerprint)


def former_of(result: Mapping[str, Any]) -> Former | None:
    """Return the reusable part of a stored result; None: there is none, or the format is unknown."""
    try:
        isolation, attempt = Isolation(result["isolation"]), int(result["attempt_id"])
        stored = _ADAPTER.validate_python(result["tests"])
    except (KeyError, TypeError, ValueError, ValidationError):
        return None
    reasons = _reasons(result.get("explanation"))
    reusable: dict[str, Reusable] = {}
    for one in stored:
        if one.fingerprint and one.borderline is None and one.status not in _OURS:
            reusable.setdefault(one.fingerprint, _reusable(one, attempt, reasons))
    return Former(MappingProxyType(reusable), isolation) if reusable else None


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
    """Return the reason about its own run for each failed test. There may be fewer reasons than failed tests."""
    reason_of_test: dict[str, Mapping[str, Any]] = {}
    for reason in explanation if isinstance(explanation, list) else ():
        if isinstance(reason, Mapping) and isinstance(name := reason.get("test"), str):
            about_one = reason.get("rule") not in _ABOUT_MORE and "tests_skipped" not in reason
            if about_one:
                reason_of_test.setdefault(name, reason)
    return reason_of_test
