"""Playground runs (``POST /api/v1/run``): a program on an input of its author's. No answer is compared."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.words.jobs import State
from deepoj.words.results import CompileResult
from deepoj.words.sandbox import Isolation, RunLimits, RunOutcome
from deepoj.words.sources import Sources

#: the prefix of a run's id: a stream entry whose ``job_id`` has it only wakes a node with room for a run
RUN_ID_PREFIX = "run-"


class CustomStatus(enum.StrEnum):
    """The status of a custom run. Its output is not compared, so it is neither accepted nor wrong."""

    #: the program ended by itself with exit code 0
    FINISHED = "Finished"
    COMPILE_ERROR = "Compile Error"
    TIME_LIMIT_EXCEEDED = "Time Limit Exceeded"
    MEMORY_LIMIT_EXCEEDED = "Memory Limit Exceeded"
    OUTPUT_LIMIT_EXCEEDED = "Output Limit Exceeded"
    RUNTIME_ERROR = "Runtime Error"
    SYSTEM_ERROR = "System Error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomDraft:
    """A custom run as its author sent it, already well-formed, its limits within the operator's."""

    user_id: int
    #: a language key such as ``cpp17``
    language: str
    code: str
    stdin: bytes
    time_limit_ms: int
    memory_limit_kb: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class CustomReceipt:
    """A custom run that was stored, and when, by the database's clock."""

    run_id: str
    at_ms: int


class CustomRefusal(enum.StrEnum):
    """Why a custom run was refused."""

    INFLIGHT_CAP_REACHED = "INFLIGHT_CAP_REACHED"
    #: its author is in a team of a running contest that allows none
    CONTEST_WITHOUT_RUNS = "CONTEST_WITHOUT_RUNS"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRun:
    """A custom run as its author may read it back."""

    run_id: str
    user_id: int
    language: str
    time_limit_ms: int
    memory_limit_kb: int
    #: never ``dead``: a run has no dead letter
    state: State
    #: ``pending``, ``running`` or a ``CustomStatus``
    status: str
    attempt_id: int
    #: ``ATTEMPTS_EXHAUSTED``, or ``RUN_EXPIRED``: it waited too long
    error_code: str | None = None
    #: measured figures (``playground.rules``), once it was run
    result: Mapping[str, Any] | None = None
    #: the kept part of its output
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass(frozen=True, slots=True)
class CustomProgram:
    """What a custom run was made of."""

    code: str
    stdin: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomClaim(Sources):
    """The right to make one attempt at a custom run while the lease is valid."""

    run_id: str
    attempt_id: int
    lease_owner: str
    user_id: int
    language: str
    stdin: bytes
    time_limit_ms: int
    memory_limit_kb: int
    trace_id: str
    #: when the run was stored, and the time between that and this claim; by the database's clock
    at_ms: int
    waited_ms: int

    @property
    def job_id(self) -> str:
        """The run's id under the name that leases and directories use for every job."""
        return self.run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomReport:
    """The result of running it."""

    status: CustomStatus
    isolation: Isolation
    compile: CompileResult | None
    limits: RunLimits
    #: None: the program did not compile
    outcome: RunOutcome | None
    explanation: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class CustomSwept:
    """The result of a round of the sweeper: the ids of the runs it ended, and how many it deleted."""

    ended: tuple[str, ...]
    deleted: int
