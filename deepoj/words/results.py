"""Verdicts, and what judging an attempt found."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deepoj.words.sandbox import Isolation


class Verdict(enum.StrEnum):
    """The verdict of a submission or a test. ``INVALID`` is the initial value, so that a forgotten verdict shows."""

    INVALID = "Invalid"
    ACCEPTED = "Accepted"
    WRONG_ANSWER = "Wrong Answer"
    #: only a checker may give it
    PRESENTATION_ERROR = "Presentation Error"
    COMPILE_ERROR = "Compile Error"
    TIME_LIMIT_EXCEEDED = "Time Limit Exceeded"
    MEMORY_LIMIT_EXCEEDED = "Memory Limit Exceeded"
    OUTPUT_LIMIT_EXCEEDED = "Output Limit Exceeded"
    RUNTIME_ERROR = "Runtime Error"
    #: a failure of the judge, never the contestant's
    SYSTEM_ERROR = "System Error"
    #: scored problems only
    PARTIAL = "Partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileResult:
    """The compiler's result; ``output`` is its output, truncated."""

    ok: bool
    #: CPU time of the compilation, also if it was an earlier one
    time_ms: int
    output: str
    #: the result is of an earlier compilation of the same sources
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Borderline:
    """Runs of a test whose CPU time was close to its limit: the first, and the last one, which counts."""

    first_ms: int
    first_status: Verdict
    again_ms: int
    again_status: Verdict
    limit_ms: int
    margin_percent: float
    #: whether the run that counts had the node's sandbox to itself
    alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One test of a submission (``tests[]`` of the result object)."""

    __test__ = False  # not a pytest class

    name: str
    status: Verdict
    group: str = ""
    score: float = 0.0
    cpu_ms: int = 0
    wall_ms: int = 0
    memory_kb: int = 0
    exit_code: int = 0
    exit_signal: int = 0
    reason: str = ""
    checker_message: str = ""
    stdout_len: int = 0
    truncated_stdout: bool = False
    stderr_len: int = 0
    truncated_stderr: bool = False
    #: its input and answer are not secret
    sample: bool = False
    #: set if it was run two or three times
    borderline: Borderline | None = None
    #: of everything that decides the test (``judging.reuse``); empty: unknown, so the test cannot be taken over
    fingerprint: str = ""
    #: the attempt that ran it, if the test was taken over from an earlier judging
    reused_attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """One test group of a submission (``groups[]``); the root group has the empty name."""

    name: str
    #: None: no test of it failed, and not all of them were judged
    status: Verdict | None
    score: float
    #: None: the package sets no bound
    max_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Milliseconds that the stages of a judging took, one after the other, from the submit to the moment before the
    verdict is written."""

    #: from the submit, its commit included, until the job was in the stream; to the millisecond, as is ``claim_ms``
    dispatch_ms: float = 0.0
    #: until a node claimed it
    claim_ms: float = 0.0
    #: everything of the attempt that is in no other stage: its directory, the test data
    prepare_ms: float = 0.0
    compile_ms: float = 0.0
    #: while the program ran on a test, or on several beside each other, with the sandbox's own work
    run_ms: float = 0.0
    #: the rest of the tests: comparing, checkers, and what is between two of them
    compare_ms: float = 0.0

    def of_attempt(self, attempt_ms: float, *, dispatch_ms: float, waited_ms: float) -> Stages:
        """Return these stages with those that the attempt does not know itself. ``attempt_ms``: since its claim."""
        known_ms = self.compile_ms + self.run_ms + self.compare_ms
        return replace(
            self,
            dispatch_ms=dispatch_ms,
            claim_ms=waited_ms - dispatch_ms,
            prepare_ms=max(0.0, attempt_ms - known_ms),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of judging one attempt: the body of the verdict."""

    status: Verdict
    score: float
    #: highest CPU time of a test
    time_used_ms: int
    memory_used_kb: int
    wall_ms: int
    language: str
    problem_version: str
    isolation: Isolation
    compile: CompileResult | None
    tests: tuple[TestResult, ...] = ()
    groups: tuple[GroupResult, ...] = ()
    explanation: tuple[Mapping[str, Any], ...] = ()
    #: costs of judging besides the program's own time: for metrics, not part of the result
    compile_wall_ms: int = 0
    run_wall_ms: int = 0
    stages: Stages = Stages()


@dataclass(frozen=True, slots=True)
class Infra:
    """Judging failed for an infrastructure reason: to be tried again, never the contestant's fault.

    ``outage``: a dependency is away, for this job as for every other. Such an attempt does not count against the job's
    maximum. Otherwise an object store that is away for some minutes would turn every waiting job into a dead letter.
    """

    code: str
    message: str
    outage: bool = False
