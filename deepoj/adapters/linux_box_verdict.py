"""What a run came to, decided from measured figures: pure, and tested row by row.

Three rules stand behind the table. A program over a limit is never OK, whatever it returned. A program that we killed
is never a System Error. And only a failure reported out of band is a System Error: all 256 exit codes are the
program's own. Not every such failure is ours: a source can make the linker leave a file that no kernel executes.
"""

from __future__ import annotations

import enum
import errno
from dataclasses import dataclass

from deepoj.words import PROGRAM_DIR, RunLimits, RunSpec, RunVerdict

#: What execve answers where a resource of the host's is used up. All else can be caused by a crafted file: its headers
#: name an interpreter, and opening and reading that may fail in any way (EIO, of one that is too short).
_HOST_IS_SHORT = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Ended(enum.IntEnum):
    """What ended a run, as the launcher says it (``enum doj_ended`` in ``wire.h``)."""

    ITSELF = 0
    CPU = 1
    WALL = 2
    MEMORY = 3
    OUTPUT = 4
    PROCESSES = 5
    CANCELLED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured of one run."""

    ended_by: Ended
    exit_code: int
    exit_signal: int
    cpu_us: int
    wall_us: int
    #: of ``wall_us``: others kept the run from running, for at least so long
    delay_us: int = 0
    #: the peak of the whole run
    memory_bytes: int
    #: stdout and stderr together
    output_bytes: int
    oom_kill: int = 0
    #: the launcher reported a step of its own that failed
    faulted: bool = False
    #: what the run brought as its program is none
    unfit: bool = False


def decide(figures: Figures, limits: RunLimits) -> tuple[RunVerdict, str]:
    """The verdict and the rule behind it (``ok, cpu, wall, memory, output, processes, signal, exit, exec,
    sandbox``)."""
    if figures.unfit:
        return RunVerdict.RE, "exec"
    if figures.faulted:
        return RunVerdict.SE, "sandbox"
    killed = _KILLED.get(figures.ended_by)
    if killed is not None:
        return killed
    return _passed(figures, limits) or _ended(figures)


def is_unfit(step: str, error: int, spec: RunSpec) -> bool:
    """Whether a failed step says that the program which the run itself brought cannot be executed. A program of the
    host's that cannot (a missing interpreter, say) is the host's trouble."""
    brought = {
        f"{PROGRAM_DIR}/{file.name}" if file.program else f"./{file.name}" for file in spec.files_in if file.executable
    }
    return step == "exec" and error not in _HOST_IS_SHORT and spec.argv[0] in brought


#: what we ended a run for stands, even if dying moved another figure past its limit too
_KILLED = {
    Ended.CPU: (RunVerdict.TLE, "cpu"),
    Ended.WALL: (RunVerdict.TLE, "wall"),
    Ended.MEMORY: (RunVerdict.MLE, "memory"),
    Ended.OUTPUT: (RunVerdict.OLE, "output"),
    Ended.PROCESSES: (RunVerdict.RE, "processes"),
}


def _passed(figures: Figures, limits: RunLimits) -> tuple[RunVerdict, str] | None:
    """A limit that was passed though the program ended by itself (or by the kernel's memory controller)."""
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
