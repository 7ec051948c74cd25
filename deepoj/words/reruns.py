"""Reruns: one test of a submission, run once more to show what the program prints. Nothing of it counts."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deepoj.words.background import BackgroundClaim

#: what is kept of a file, from its beginning
KEEP_BYTES = 65_536
#: reruns that an account may have unfinished, and finished; older finished ones are deleted
MAX_UNFINISHED, MAX_KEPT = 5, 20
#: how long a rerun may wait for a node
MAX_WAIT_S = 600.0
#: reruns of each kind per round of the sweeper
SWEEP_LIMIT = 200
#: longer names of tests are not looked for
MAX_TEST_CHARS = 500


class RerunRefusal(enum.StrEnum):
    """Why a rerun was not taken."""

    #: the submission is gone, or its source was erased
    UNKNOWN = "unknown"
    #: the account has ``MAX_UNFINISHED`` unfinished ones
    TOO_MANY = "too_many"


class RerunFailure(enum.StrEnum):
    """Why a rerun shows nothing."""

    #: the problem has no test of this name now
    NO_TEST = "no_test"
    #: the node could not judge it; ``message`` says why
    TROUBLE = "trouble"
    #: each node that tried stopped answering
    UNANSWERED = "unanswered"
    #: no node took it in time
    NOT_TAKEN = "not_taken"


class RerunFile(enum.StrEnum):
    """The files that a rerun shows."""

    INPUT = "input"
    ANSWER = "answer"
    OUTPUT = "output"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """The beginning of a file, and the size of all of it."""

    beginning: bytes
    size: int

    @property
    def is_cut(self) -> bool:
        return self.size > len(self.beginning)


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunOutcome:
    """What a rerun showed. Without ``failure``, ``status`` is the verdict of the test or of compiling."""

    failure: RerunFailure | None = None
    status: str | None = None
    #: the reason of the verdict, as a result has it in ``explanation``
    reason: Mapping[str, Any] = field(default_factory=dict)
    #: of the checker, the interactor, the comparison or the trouble
    message: str = ""
    #: of the compiler
    compiled: str = ""
    cpu_ms: int = 0
    wall_ms: int = 0
    memory_kb: int = 0
    exit_code: int | None = None
    exit_signal: int | None = None
    time_limit_ms: int | None = None
    memory_limit_kb: int | None = None
    problem_version: int | None = None
    #: the program talked with an interactor: no file is its output
    is_interactive: bool = False
    files: Mapping[RerunFile, KeptFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """A rerun, for people. ``outcome`` is None until it has ended."""

    id: int
    job_id: str
    test: str
    #: user name
    asked_by: str
    is_running: bool
    outcome: RerunOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunClaim(BackgroundClaim):
    """The claim of a rerun. ``batch_id`` is its number, ``place`` its asker's place."""

    test: str
    #: of the submission's contest; None: the problem's
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None
