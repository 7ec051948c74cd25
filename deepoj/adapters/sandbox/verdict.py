"""The verdict of a run, decided from measured figures: pure, and tested row by row.

Three rules: a program over a limit is never OK, even if it returned 0. A program that we killed is never a System
Error. Only a failure reported out of band is a System Error: all 256 exit codes are the program's own. This failure
can be caused by the submission: a source can make the linker produce a file that the kernel cannot execute.
"""

from __future__ import annotations

import enum
import errno
from dataclasses import dataclass

from deepoj.words.sandbox import PROGRAM_DIR, RunLimits, RunSpec, RunVerdict

#: execve's errors for an exhausted resource of the host. A crafted file can cause all others: its headers name an
#: interpreter, and opening and reading that may fail in any way (EIO for one that is too short).
_HOST_IS_SHORT = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Ended(enum.IntEnum):
    """What ended a run, as reported by the launcher (``enum doj_ended`` in ``wire.h``)."""

    ITSELF = 0
    CPU = 1
    WALL = 2
    MEMORY = 3
    OUTPUT = 4
    PROCESSES = 5
    CANCELLED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The measured figures of a run."""

    ended_by: Ended
    exit_code: int
    exit_signal: int
    cpu_us: int
    wall_us: int
    #: part of ``wall_us``: other processes kept the run from running for at least this long
    delay_us: int = 0
    #: the peak of the whole run
    memory_bytes: int
    #: stdout and stderr together
    output_bytes: int
    oom_kill: int = 0
    #: the launcher reported a step of its own that failed
    faulted: bool = False
    #: the file that the run brought as its program cannot be executed
    unfit: bool = False


def decide(figures: Figures, limits: RunLimits) -> tuple[RunVerdict, str]:
    """Return the verdict and the rule that decided, one of ``RunOutcome.rule``."""
    if figures.unfit:
        return RunVerdict.RE, "exec"
    if figures.faulted:
        return RunVerdict.SE, "sandbox"
    killed = _KILLED.get(figures.ended_by)
    if killed is not None:
        return killed
    return _passed(figures, limits) or _ended(figures)


def is_unfit(step: str, error: int, spec: RunSpec) -> bool:
    """Return whether a step failed because the program that the run itself brought cannot be executed.

    If a program of the host cannot be executed (a missing interpreter), that is the host's fault.
    """
    if step != "exec" or error in _HOST_IS_SHORT:
        return False
    brought = {
        f"{PROGRAM_DIR}/{file.name}" if file.program else f"./{file.name}" for file in spec.files_in if file.executable
    }
    return spec.argv[0] in brought


#: the reason why we ended a run counts, even if dying moved another figure past its limit, too
_KILLED = {
    Ended.CPU: (RunVerdict.TLE, "cpu"),
    Ended.WALL: (RunVerdict.TLE, "wall"),
    Ended.MEMORY: (RunVerdict.MLE, "memory"),
    Ended.OUTPUT: (RunVerdict.OLE, "output"),
    Ended.PROCESSES: (RunVerdict.RE, "processes"),
}


def _passed(figures: Figures, limits: RunLimits) -> tuple[RunVerdict, str] | None:
    """Return the limit that was passed although the program ended by itself (or by the kernel's memory controller)."""
    ill = figures.exit_code != 0 or figures.exit_signal != 0
    if figures.oom_kill and ill:
        return RunVerdict.MLE, "memory"
    if figures.cpu_us > limits.cpu_ms * 1000:
        return RunVerdict.TLE, "cpu"
    if figures.wall_us - figures.delay_us > limits.wall_ms * 1000:
        return RunVerdict.TLE, "wall"
    if figures.output_bytes > limits.output_bytes:
        return RunVerdict.OLE, "output"
    if figures.memory_bytes > limits.memory_bytes or (figures.memory_bytes == limits.memory_bytes and ill):
        return RunVerdict.MLE, "memory"
    return None


def _ended(figures: Figures) -> tuple[RunVerdict, str]:
    if figures.exit_signal:
        return RunVerdict.RE, "signal"
    if figures.exit_code:
        return RunVerdict.RE, "exit"
    return RunVerdict.OK, "ok"
