"""One execution in the sandbox: what is asked of it, and its outcome."""

from __future__ import annotations

import enum
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path


class RunVerdict(enum.StrEnum):
    """The verdict of one execution (judge protocol v1). A checker decides whether the output is right."""

    OK = "OK"
    TLE = "TLE"
    MLE = "MLE"
    OLE = "OLE"
    RE = "RE"
    #: the sandbox failed, the program is not to blame
    SE = "SE"


class Isolation(enum.StrEnum):
    """How strongly an execution was contained; recorded in each result. Levels are ordered: ``min`` is
    the weakest."""

    # from the weakest to the strongest: the order of comparisons
    WEAK = "weak"
    NAMESPACES = "namespaces"
    FULL = "full"

    # All four, because str defines all four, by the alphabet. A string that is no level raises ValueError.

    def __lt__(self, other: str) -> bool:
        return self._rank() < Isolation(other)._rank()

    def __le__(self, other: str) -> bool:
        return self._rank() <= Isolation(other)._rank()

    def __gt__(self, other: str) -> bool:
        return self._rank() > Isolation(other)._rank()

    def __ge__(self, other: str) -> bool:
        return self._rank() >= Isolation(other)._rank()

    def _rank(self) -> int:
        return _RANKS[self]


#: a list of the levels, made for each of several comparisons a test, took a fiftieth of the node's time for the test
_RANKS = {level: rank for rank, level in enumerate(Isolation)}


class Policy(enum.StrEnum):
    """The seccomp policy and the set of mounts of an execution."""

    RUN = "run"
    COMPILE = "compile"


#: inside the sandbox: directory of ``FileIn.program``
PROGRAM_DIR = "/p"
#: inside the sandbox: directory of the node's own precompiled headers, read-only
HEADERS_DIR = "/h"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """The limits of one execution; the verdict is decided by comparing the measured figures with them."""

    cpu_ms: int
    wall_ms: int
    memory_bytes: int
    #: stdout and stderr together; above it the execution ends as OLE
    output_bytes: int
    #: tasks of this execution, not of the uid
    processes: int = 20
    #: writable scratch (a tmpfs) and the largest file in it
    scratch_bytes: int = 64 * 1024 * 1024
    open_files: int = 64


@dataclass(frozen=True, slots=True)
class FileIn:
    """A host file given to the execution under a plain name (no slash). It is a copy in the scratch directory; a
    ``program`` is not writable, and at ``PROGRAM_DIR/name``, where it stays for the next execution with the same
    file."""

    name: str
    path: Path
    executable: bool = False
    program: bool = False


@dataclass(frozen=True, slots=True)
class FileOut:
    """A regular file copied out of the scratch directory after the execution, unless absent or over ``max_bytes``."""

    name: str
    path: Path
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One execution: command, files and limits. The working directory is the scratch directory."""

    #: argv[0] is an absolute path inside the sandbox, as ``PROGRAM_DIR/name``, or ``./name`` of a file in the scratch
    argv: tuple[str, ...]
    limits: RunLimits
    policy: Policy = Policy.RUN
    #: a host file; None is /dev/null
    stdin: Path | None = None
    files_in: tuple[FileIn, ...] = ()
    files_out: tuple[FileOut, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    #: every byte of stdout up to ``limits.output_bytes`` goes to this host file, for comparing
    stdout_to: Path | None = None
    #: of a joined execution: the other's input ends when this one ends, and not when it closes its output
    holds_output: bool = False
    #: how much of each stream the outcome keeps
    keep_stdout_bytes: int = 262_144
    keep_stderr_bytes: int = 1_048_576
    #: how long to wait for the sandbox's other executions to end, and keep new ones out, so that this one is alone;
    #: None: it need not be alone
    alone_within_s: float | None = None
    #: the program's author; None: the node's own work. Time that a user's programs had alone while others waited is
    #: rationed
    user_id: int | None = None
    #: entered while the program runs. Who waits for it has opened the execution's files already, so that of several
    #: executions with the same gate (a ``trio.Lock``) the next begins as soon as one has ended; None: no gate
    gate: AbstractAsyncContextManager[object] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SandboxError:
    """The failed step of the sandbox and its errno. Reported on a separate channel, so no program can forge it."""

    step: str
    errno: int

    def __str__(self) -> str:
        return f"{self.step}: errno {self.errno}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """The outcome of one execution, decided from measured figures."""

    verdict: RunVerdict
    #: the rule that decided: ok, cpu, wall, memory, heap, output, processes, signal, exit, exec, sandbox
    rule: str
    exit_code: int
    exit_signal: int
    #: of all processes of the execution
    cpu_ms: int
    wall_ms: int
    memory_kb: int
    stdout: bytes
    stdout_len: int
    truncated_stdout: bool
    stderr: bytes
    stderr_len: int
    truncated_stderr: bool
    isolation: Isolation
    #: kills by the kernel's memory controller, where there is one
    oom_kill: int = 0
    #: names of ``files_out`` that were copied
    files_out: tuple[str, ...] = ()
    #: set exactly when ``verdict`` is SE
    sandbox_error: SandboxError | None = None
    #: part of ``wall_ms`` in which other programs kept this one from running, at least; the wall limit excludes it
    delay_ms: int = 0
    #: requested and granted: no other execution of the sandbox ran at the same time
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Two executions connected by pipes. ``stdout_len`` of both is the kernel's count of all their writes except those
    to stderr, when last read: not exact, but never less than what a flood of output must be charged for."""

    program: RunOutcome
    interactor: RunOutcome
    #: which one ended, or passed a limit, first; if one only followed the other, it is never taken for the first
    interactor_first: bool
    #: time between the two ends
    apart_ms: int
    #: bytes in the pipes when the program had ended: its output not read by the interactor, and the reverse
    unread_by_interactor: int
    unread_by_program: int
    #: the program was ended because it could no longer change the result: of its outcome only the figures are valid
    program_cut: bool
