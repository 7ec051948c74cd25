"""The canaries: programs with known verdicts, which a node judges regularly to check that it still judges correctly.

A canary is a row of ``CANARIES``: a program (a file in ``programs``), its input, its limits, and its expected result.
``why`` names the wrong verdict that it guards against. "The original" is the judge that this one replaces; each wrong
verdict attributed to it has happened. Pure data; ``execution.canary`` judges them.

Each row follows three rules, so that a loaded or slow host does not stop without a fault:

* a program that a limit of CPU, memory or output must end never ends by itself, or first passes the limit by its own
  measure;
* a program that must end otherwise stays far below each limit. Its wall limit is ``WALL_MS``, unless the case is about
  that limit. A host so slow that 100 ms of CPU do not suffice gets more in a re-run (``is_about_cpu`` excepted);
* a case that depends on how a host contains programs names each possible result and its level.

There are few programs and many cases: a program is compiled once per host, and g++ takes half a second for a
``<iostream>``. The first line of a program's input selects the case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deepoj.judging.problem import Compare
from deepoj.words.results import Verdict
from deepoj.words.sandbox import Isolation, RunLimits

MIB: Final = 1024 * 1024
#: if a program gets no CPU for so long, it is the host's fault, and there is a re-run
WALL_MS: Final = 30_000
#: the language of each program
PROGRAMS: Final = MappingProxyType(
    {
        "empty.c": "c17",
        "broken.c": "c17",
        "system.cpp": "cpp17",
        "library.cpp": "cpp17",
        "hello.py": "python3",
    }
)


@dataclass(frozen=True, slots=True)
class ExpectedResult:
    """An expected result of a canary, in the terms of the judge step: ``rule`` is the one that decided."""

    status: Verdict
    rule: str
    exit_code: int = 0
    exit_signal: int = 0
    #: None: at every level
    level: Isolation | None = None

    def __str__(self) -> str:
        ended = f", exit code {self.exit_code}" if self.exit_code else ""
        if self.exit_signal:
            ended = f", signal {self.exit_signal}"
        return f"{self.status} (rule {self.rule}{ended})"


@dataclass(frozen=True, slots=True)
class Text:
    """The content of a file, written only when it is needed: ``head``, then ``unit`` repeated ``times`` times."""

    head: bytes = b""
    unit: bytes = b""
    times: int = 0

    def write_to(self, path: Path) -> None:
        with path.open("wb") as file:
            file.write(self.head)
            file.write(self.unit * self.times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One program with one input, and its verdict."""

    #: the metric's label, never changed
    name: str
    program: str
    stdin: Text
    fates: tuple[ExpectedResult, ...]
    #: the output that it must print to be Accepted (or must not, for a Wrong Answer)
    answer: Text = field(default_factory=Text)
    compare: Compare = field(default_factory=Compare)
    #: text that stderr (the compiler's, if compiling fails) must contain
    says: bytes = b""
    #: maximum memory
    weighs_kb: int | None = None
    limits: RunLimits
    why: str

    @property
    def language(self) -> str:
        """The key of its language."""
        return PROGRAMS[self.program]

    @property
    def is_about_cpu(self) -> bool:
        """Whether the case is about the CPU limit itself."""
        return any(fate.rule == "cpu" for fate in self.fates)

    def fates_at(self, level: Isolation) -> tuple[ExpectedResult, ...]:
        """Return the expected results on a host of this level."""
        return tuple(fate for fate in self.fates if fate.level in (None, level))


def source(program: str) -> str:
    """The text of a program of ``PROGRAMS``."""
    return resources.files(__name__).joinpath("programs", program).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------------


def _limits(
    *, cpu_ms: int = 100, wall_ms: int = WALL_MS, memory_mib: int = 64, output_kib: int = 4096, processes: int = 20
) -> RunLimits:
    return RunLimits(
        cpu_ms=cpu_ms,
        wall_ms=wall_ms,
        memory_bytes=memory_mib * MIB,
        output_bytes=output_kib * 1024,
        processes=processes,
        scratch_bytes=8 * MIB,
    )


_EXACT = Compare(way="exact")
_ACCEPTED = ExpectedResult(Verdict.ACCEPTED, "ok")
_TOO_LONG = ExpectedResult(Verdict.TIME_LIMIT_EXCEEDED, "cpu")
_TOO_LARGE = ExpectedResult(Verdict.MEMORY_LIMIT_EXCEEDED, "memory")
_TOO_MUCH = ExpectedResult(Verdict.OUTPUT_LIMIT_EXCEEDED, "output")


def _exit(code: int, level: Isolation | None = None) -> ExpectedResult:
    return ExpectedResult(Verdict.RUNTIME_ERROR, "exit", exit_code=code, level=level)


def _signal(number: int) -> ExpectedResult:
    return ExpectedResult(Verdict.RUNTIME_ERROR, "signal", exit_signal=number)


def _system(name: str, line: str, *fates: ExpectedResult, why: str, prints: str = "", **more: object) -> Canary:
    """A case of ``system.cpp``."""
    parts: dict[str, object] = {"stdin": Text(f"{line}\n".encode()), "answer": Text(prints.encode()), **more}
    parts.setdefault("limits", _limits())
    return Canary(name=name, program="system.cpp", fates=fates, why=why, **parts)  # type: ignore[arg-type]


def _library(name: str, line: str, *fates: ExpectedResult, why: str, prints: str = "", **more: object) -> Canary:
    """A case of ``library.cpp``."""
    parts: dict[str, object] = {"stdin": Text(f"{line}\n".encode()), "answer": Text(prints.encode()), **more}
    parts.setdefault("limits", _limits())
    return Canary(name=name, program="library.cpp", fates=fates, why=why, **parts)  # type: ignore[arg-type]


CANARIES: Final[tuple[Canary, ...]] = (
    # -- an ordinary submission
    _library(
        "accepted", "add 20 22", _ACCEPTED, prints="42", why="a correct program is Accepted with any blanks"
    ),
    _library(
        "wrong-answer", "add 20 23", ExpectedResult(Verdict.WRONG_ANSWER, "compare"), prints="42\n",
        why="a wrong output is never Accepted",
    ),
    _library(
        "number-without-exponent", "add 20 22", _ACCEPTED, prints="42e\n", compare=Compare(way="floats", relative=0.0),
        why="42e is the number 42 for Kattis' default validator, but was a word here",
    ),
    _library(
        "number-at-tolerance", "add 20 22", ExpectedResult(Verdict.WRONG_ANSWER, "compare"), prints="41.9\n",
        compare=Compare(way="floats", absolute=0.1), why="the difference is rounded as Kattis rounds it: above 0.1",
    ),
    _library(
        "number-at-tolerance-domjudge", "add 20 22", _ACCEPTED, prints="42.1\n",
        compare=Compare(way="domjudge_floats", absolute=0.1), why="DOMjudge rounds to more bits: not above 0.1",
    ),
    _library(
        "number-too-large", "add 20 22", ExpectedResult(Verdict.WRONG_ANSWER, "compare"), prints="1e400\n",
        compare=Compare(way="floats", absolute=1e300, relative=1e300), why="a value beyond double is near no number",
    ),
    Canary(
        name="compile-error", program="broken.c", stdin=Text(), limits=_limits(), says=b"undeclared",
        fates=(ExpectedResult(Verdict.COMPILE_ERROR, "exit", exit_code=1),),
        why="the compiler really runs, and its message reaches the contestant; compiled again in each round",
    ),
    Canary(
        name="python-hello", program="hello.py", stdin=Text(b"20 22\n"), answer=Text(b"hello 42\n"),
        limits=_limits(), fates=(_ACCEPTED,),
        why="an interpreter finds its library in the box",
    ),
    # -- memory of an empty program
    Canary(
        name="empty", program="empty.c", stdin=Text(), limits=_limits(), fates=(_ACCEPTED,), weighs_kb=2047,
        why="the original measured 10 MB for an empty program: its own fork was included",
    ),
    # -- exit codes
    _system("return-minus-one", "exit -1", _exit(255), why="the original called `return -1` a System Error"),
    _system("exit-1", "exit 1", _exit(1), why="a program that reports its own failure is never Accepted"),
    _system(
        "exit-125-forged", "forge 125", _exit(125), says=b"System Error",
        why="125 and a message on stderr must not pass for the sandbox's own failure",
    ),
    _system(
        "exit-127-forged", "forge 127", _exit(127), says=b"System Error",
        why="127 and a message on stderr must not pass for a program that could not be started",
    ),
    # -- signals
    _system("abort", "abort", _signal(6), why="as pid 1 of its namespace abort() would show as signal 11"),
    _library(
        "uncaught-exception", "uncaught", _signal(6), says=b"nobody catches this",
        why="the original reported SIGSYS: its policy denied tgkill",
    ),
    _system("null-pointer", "null", _signal(11), why="a crash is the program's, and keeps its signal"),
    _system("divide-by-zero", "divide", _signal(8), why="a crash is the program's, and keeps its signal"),
    # -- time
    _system(
        "cpu-loop", "loop", _TOO_LONG, limits=_limits(cpu_ms=20),
        why="the original called a CPU loop a System Error",
    ),
    _system(
        # Just late: a box ends a run some milliseconds past its limit, and this program must end by itself. The margin
        # must not be smaller: the clock of a cgroup was seen 5 ms behind the program's own, on an emulated machine.
        "late-but-clean", "burn 30", _TOO_LONG, limits=_limits(cpu_ms=20),
        why="the original accepted 1305 ms under a limit of 1000 because the program returned 0",
    ),
    _system("just-in-time", "burn 10", _ACCEPTED, why="a time below the limit is Accepted"),
    _system(
        "sleep-for-ever", "sleep", ExpectedResult(Verdict.TIME_LIMIT_EXCEEDED, "wall"), limits=_limits(wall_ms=40),
        why="a program that uses no CPU time must not hold a slot without end",
    ),
    _system("nap", "nap 2", _ACCEPTED, why="the original killed programs that sleep"),
    # -- memory
    _system(
        "static-array", "static", _TOO_LARGE, limits=_limits(memory_mib=8),
        why="the original called memory over the limit a Runtime Error",
    ),
    _system(
        "heap-growth", "grow", _TOO_LARGE, limits=_limits(memory_mib=8),
        why="malloc until it fails, then exit 1: the memory limit decides, not the exit code",
    ),
    _library(
        "vector-growth", "grow", _TOO_LARGE, limits=_limits(memory_mib=8),
        why="the same through new: no Runtime Error for bad_alloc",
    ),
    _system(
        "endless-recursion", f"recurse {10**9}", _TOO_LARGE, limits=_limits(memory_mib=8),
        why="the stack may grow to the memory limit, and passing it is distinguished from a crash",
    ),
    _system(
        "deep-recursion", "recurse 10000", _ACCEPTED, prints="deep\n",
        why="a stack of 10 MB is fine where the memory limit is 64",
    ),
    _system("resize", "resize", _ACCEPTED, prints="resized\n", why="the original killed realloc's mremap"),
    # -- input and output
    _system(
        "vectored-output", "vectors", _ACCEPTED, answer=Text(unit=b"v" * 63 + b"\n", times=4800), compare=_EXACT,
        why="the original killed writev",
    ),
    _library(
        "large-output", "flood", _ACCEPTED, answer=Text(unit=b"x" * 1023 + b"\n", times=1024), compare=_EXACT,
        why="1 MiB is compared to the last byte although less of it is kept",
    ),
    _system(
        "output-flood", "flood 1", _TOO_MUCH, limits=_limits(output_kib=256),
        why="endless output is stopped, and is no Runtime Error",
    ),
    _system(
        "stderr-flood", "flood 2", _TOO_MUCH, limits=_limits(output_kib=256),
        why="stderr counts too, and never stalls the program",
    ),
    _system(
        "large-input", "count", _ACCEPTED, prints=f"{MIB}\n", stdin=Text(b"count\n", b"7", MIB),
        why="all of the input arrives, and its end, too",
    ),
    _system("closed-output", "close", _ACCEPTED, why="a program may close its streams"),
    _system("scratch-file", "scratch", _ACCEPTED, prints="written\n", why="a program may write in its directory"),
    # -- processes
    _library("threads", "threads", _ACCEPTED, prints="28\n", why="the original killed programs with threads"),
    _library("caught-exception", "caught", _ACCEPTED, prints="caught\n", why="exceptions work in the box"),
    _system("children", "children 4", _ACCEPTED, prints="10\n", why="fork and wait within the limit are fine"),
    _system(
        "fork-bomb", "bomb", _exit(11, Isolation.FULL),
        # refused by a user namespace's quota; without one, ended by counting
        _exit(11, Isolation.NAMESPACES), ExpectedResult(Verdict.RUNTIME_ERROR, "processes", level=Isolation.NAMESPACES),
        _exit(11, Isolation.WEAK), ExpectedResult(Verdict.RUNTIME_ERROR, "processes", level=Isolation.WEAK),
        why="processes are bounded for each run",
    ),
    _system(
        "orphan", "orphan", _ACCEPTED, prints="gone\n",
        why="a daemon that keeps the output open must neither hold up the run nor outlive it",
    ),
    # -- containment
    _system("host-files", "host_files", _ACCEPTED, prints="kept out\n", why="no file of the host is read or written"),
    _system("network", "network", _ACCEPTED, prints="no socket\n", why="no program reaches a network"),
)  # fmt: skip
