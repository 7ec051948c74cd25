"""What judging asks of the box and what it makes of the answers: pure functions, no run is made here.

Whose fault is a failed compilation? The source's, if the compiler says so or runs out of its time, memory or output;
ours, if the compiler is missing, blocked or killed by the host (``compile_trouble``). A compiler that runs code of the
source is killed by the host only if the kernel says that it killed.
"""

from __future__ import annotations

import errno
import re
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deepoj.judging.blocks import Mismatch
from deepoj.judging.languages import Kit, Language, Toolchain
from deepoj.judging.problem import Case, Limits
from deepoj.judging.scoring import Graded
from deepoj.judging.text import cut, visible
from deepoj.words import (
    Borderline,
    FileIn,
    FileOut,
    Infra,
    Policy,
    Problem,
    RunLimits,
    RunOutcome,
    RunSpec,
    RunVerdict,
    SandboxError,
    TestResult,
    Verdict,
)

MIB = 1024 * 1024
#: whatever a package asks for, unless the operator allows more: twice the largest file that a package may hold
MOST_OUTPUT_BYTES = 128 * MIB
NOTHING_ASKED = Limits()
#: compilers on a JVM open each of their libraries
COMPILE_OPEN_FILES = 256
#: of stderr, of a language whose runtime keeps the memory limit by itself
LAST_WORDS_BYTES = 64 * 1024
#: what every job on this node would meet, whatever it does
HOST_WIDE = frozenset(
    {
        errno.EAGAIN,
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EROFS,
    }
)
#: All that the driver says when somebody killed a pass, or collect2 when it was the linker (kills by the box arrive as
#: MLE or TLE). It has to be all: a source can bring these words into its own error messages, but never without an
#: error's place and kind around them.
_KILLED = re.compile(
    rb"[^\s:]+: fatal error: (Killed signal terminated program \w+|ld terminated with signal 9 \[Killed\])"
    rb"\ncompilation terminated\.\n?"
)
#: how compilers, assemblers and linkers say that a file cannot grow
_FILES_FULL = re.compile(rb"File size limit exceeded|[Ff]ile too large|No space left on device|[Dd]isk full")
#: and that memory cannot
_MEMORY_FULL = re.compile(rb"virtual memory exhausted|out of memory allocating|memory exhausted|Cannot allocate memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """What an operator may set (no defaults) and what none may. A problem brings its own limits of time and memory."""

    toolchain: Toolchain
    compile_cpu_ms: int
    compile_wall_ms: int
    compile_memory_bytes: int
    compile_scratch_bytes: int
    #: what a compiler may say before it is stopped
    compile_output_bytes: int
    #: what of it is kept in the result
    compile_output_kept: int = 64 * 1024
    compile_processes: int = 64
    run_output_bytes: int
    run_scratch_bytes: int
    run_processes: int
    #: of a setter's checker: what it has at least (``checkers.check_limits``), and what else it may use
    check_cpu_ms: int
    check_memory_bytes: int = 1024 * MIB
    check_output_bytes: int = 8 * MIB
    check_scratch_bytes: int = 64 * MIB
    check_processes: int = 64
    check_compile_cpu_ms: int = 30_000
    #: of an interactor, beside what checkers have: what it may write in all, how long it may go on after the program
    interactor_output_bytes: int = 64 * MIB
    interactor_finish_ms: int = 10_000
    #: past these a stream counts as truncated
    stdout_limit_bytes: int
    stderr_limit_bytes: int
    #: of either output of a custom run, within the two above
    custom_output_bytes: int
    #: after a failed test, no test is started beyond this much run time in all
    failed_budget_ms: int = 60_000
    #: of the time limit: a test whose CPU time is no farther from it is run again, alone; 0: none is
    borderline_percent: float
    #: how long such a run waits for the others to end
    borderline_wait_ms: int
    #: explanations in a result, at most
    max_explanations: int = 20
    keep_workdir: bool


def wall_limit_ms(time_limit_ms: int, factor: float = 3) -> int:
    """The wall clock's limit beside the CPU's: a sleeping program ends as Time Limit Exceeded too."""
    return max(round(factor * time_limit_ms), time_limit_ms + 2_000)


# ---------------------------------------------------------------------------------------------------------------------
# What is asked of the box


def run_limits(
    problem: Problem, settings: JudgeSettings, language: Language, asked: Limits = NOTHING_ASKED
) -> RunLimits:
    """The limits of each run: the problem's with what the language's runtime needs by itself, what the package asks for
    beside those, and the node's for the rest."""
    output_bytes = settings.run_output_bytes
    if asked.output_mb is not None:
        output_bytes = min(asked.output_mb * MIB, max(output_bytes, MOST_OUTPUT_BYTES))
    limits = program_limits(
        settings,
        language,
        time_limit_ms=problem.time_limit_ms * asked.time_factor(language.key),
        memory_bytes=problem.memory_limit_mb * MIB,
    )
    if asked.wall_factor is not None:
        limits = replace(limits, wall_ms=wall_limit_ms(limits.cpu_ms, asked.wall_factor))
    return replace(limits, output_bytes=output_bytes)


def program_limits(
    settings: JudgeSettings, language: Language, *, time_limit_ms: float, memory_bytes: int
) -> RunLimits:
    """The limits of a contestant's program that may use so much, with what the language's runtime needs by itself; the
    node's for the rest."""
    cpu_ms = round(time_limit_ms * language.time_factor)
    return RunLimits(
        cpu_ms=cpu_ms,
        wall_ms=wall_limit_ms(cpu_ms),
        memory_bytes=memory_bytes + language.memory_added_mb * MIB,
        output_bytes=settings.run_output_bytes,
        processes=settings.run_processes + language.processes_added,
        scratch_bytes=settings.run_scratch_bytes,
    )


def for_answer(limits: RunLimits, answer_bytes: int) -> RunLimits:
    """The limits of a test with such an answer: an output that is right must not be too long, nor one with other
    blanks."""
    return replace(limits, output_bytes=max(limits.output_bytes, 2 * answer_bytes))


def heap_mb(language: Language, limits: RunLimits) -> int:
    """The problem's memory limit, back from the limits of a run."""
    return limits.memory_bytes // MIB - language.memory_added_mb


def kit_spec(kit: Kit, path: Path, settings: JudgeSettings) -> RunSpec:
    """Making a kit at ``path``."""
    return RunSpec(
        argv=settings.toolchain.fill(kit.make),
        policy=Policy.COMPILE,
        limits=RunLimits(
            cpu_ms=kit.cpu_ms,
            wall_ms=kit.wall_ms,
            memory_bytes=kit.memory_bytes,
            output_bytes=settings.compile_output_bytes,
            processes=settings.compile_processes,
            scratch_bytes=kit.scratch_bytes,
            open_files=COMPILE_OPEN_FILES,
        ),
        files_out=(FileOut(kit.name, path, kit.max_bytes),),
        env=kit.env,
        keep_stdout_bytes=settings.compile_output_kept,
        keep_stderr_bytes=settings.compile_output_kept,
    )


def kit_file(kit: Kit, path: Path) -> FileIn:
    """The kit at ``path``, for a compilation; the next one on that slot finds it still there."""
    return FileIn(kit.name, path, program=True)


def compile_spec(language: Language, directory: Path, settings: JudgeSettings) -> RunSpec | None:
    """Compiling the source in ``directory`` into the artifact beside it; None if there is nothing to compile. A
    language that has a kit needs ``kit_file`` beside it."""
    argv = language.compile_argv(settings.toolchain)
    if argv is None:
        return None
    artifact = language.artifact
    return RunSpec(
        argv=argv,
        policy=Policy.COMPILE,
        limits=RunLimits(
            cpu_ms=round(settings.compile_cpu_ms * language.compile_factor),
            wall_ms=round(settings.compile_wall_ms * language.compile_factor),
            memory_bytes=settings.compile_memory_bytes,
            output_bytes=settings.compile_output_bytes,
            processes=settings.compile_processes,
            scratch_bytes=settings.compile_scratch_bytes,
            open_files=COMPILE_OPEN_FILES,
        ),
        files_in=(FileIn(language.source_name, directory / language.source_name),),
        files_out=(FileOut(artifact, directory / artifact, language.artifact_max_bytes),) if artifact else (),
        env=language.compile_env,
        keep_stdout_bytes=settings.compile_output_kept,
        keep_stderr_bytes=settings.compile_output_kept,
    )


def run_spec(
    language: Language, directory: Path, *, stdin: Path | None, stdout: Path, limits: RunLimits, toolchain: Toolchain
) -> RunSpec:
    """One test. ``directory`` holds the artifact, or the source where the source is what runs."""
    program = language.artifact or language.source_name
    memory_mb = heap_mb(language, limits)
    return RunSpec(
        argv=language.run_argv(toolchain, memory_mb),
        limits=limits,
        stdin=stdin,
        files_in=(FileIn(program, directory / program, executable=bool(language.artifact), program=True),),
        env=language.run_environment(toolchain, memory_mb),
        stdout_to=stdout,
        # the comparison reads the file; of the rest, some runtimes' last words are read
        keep_stdout_bytes=0,
        keep_stderr_bytes=0 if language.heap is None else LAST_WORDS_BYTES,
    )


# ---------------------------------------------------------------------------------------------------------------------
# What came of it


def sandbox_trouble(where: str, error: SandboxError) -> Infra:
    """A run that our own failure ended. What the program itself could bring about (its start) is never an outage: such
    an attempt would not count, and the job be tried for ever."""
    return Infra("sandbox", f"{where}: {error}", outage=error.errno in HOST_WIDE and error.step != "exec")


def at_heap_limit(outcome: RunOutcome, language: Language, limits: RunLimits) -> RunOutcome:
    """The outcome, as Memory Limit Exceeded if the runtime ended because its heap had reached the limit. It says so, or
    weighs as much where its words were lost among the program's own."""
    heap = language.heap
    if heap is None or outcome.verdict is not RunVerdict.RE:
        return outcome
    if (outcome.exit_code, outcome.exit_signal) != (heap.exit_code, heap.exit_signal):
        return outcome
    lost = outcome.stderr_len > len(outcome.stderr) and outcome.memory_kb >= heap_mb(language, limits) * 1024
    if heap.says in outcome.stderr or lost:
        return replace(outcome, verdict=RunVerdict.MLE, rule="heap")
    return outcome


def compile_trouble(outcome: RunOutcome, language: Language, *, host_killed: bool) -> Infra | None:
    """A compilation that failed for a reason of ours. ``host_killed``: the kernel killed some process of this host for
    want of memory meanwhile.

    A compiler that runs code of the source (Perl's BEGIN blocks) can be ended by it just as a host ends it. Such an end
    is the source's doing unless the kernel counted a kill: taken for ours it would be tried again and end as a dead
    letter each time. A compiler that runs none cannot be ended so by a source."""
    if outcome.sandbox_error is not None:
        return sandbox_trouble("compiling", outcome.sandbox_error)
    if outcome.verdict is RunVerdict.SE:
        return Infra("sandbox", f"compiling: rule '{outcome.rule}'")
    if outcome.verdict is RunVerdict.RE and (host_killed or not language.compile_runs_source):
        if outcome.stderr_len == len(outcome.stderr) and _KILLED.fullmatch(outcome.stderr):
            return Infra("compiler_killed", visible(outcome.stderr[:200]).replace("\n", " ").strip())
        if outcome.exit_signal in (9, 31):
            return Infra("compiler_killed", f"the compiler was ended by signal {outcome.exit_signal}")
    return None


def compile_sentence(outcome: RunOutcome, language: Language, limits: RunLimits) -> str:
    """Why a compilation within ``limits`` failed without the compiler saying so; empty if it did not, or if the words
    are its own."""
    sentences = {
        RunVerdict.TLE: f"Compiling took longer than {limits.cpu_ms / 1000:g} s.",
        RunVerdict.MLE: f"Compiling took more than {limits.memory_bytes // MIB} MiB of memory.",
        RunVerdict.OLE: f"The compiler said more than {limits.output_bytes // MIB} MiB.",
    }
    sentence = sentences.get(outcome.verdict, "")
    if outcome.verdict is RunVerdict.TLE and outcome.rule == "wall":
        sentence = f"Compiling took longer than {limits.wall_ms / 1000:g} s by the clock."
    if outcome.verdict is RunVerdict.RE:
        ended = f"The compiler was ended by signal {outcome.exit_signal}." if outcome.exit_signal else ""
        sentence = _limit_met(outcome, limits) or ended
    if outcome.verdict is RunVerdict.OK and language.artifact and language.artifact not in outcome.files_out:
        sentence = f"Compiling left no program of at most {language.artifact_max_bytes // MIB} MiB."
    return sentence


def _limit_met(outcome: RunOutcome, limits: RunLimits) -> str:
    """Which limit of this server a compiler ran into that failed with words of its own; empty if it was none. Compilers
    report it as an error of their own, or of the disk."""
    words = outcome.stderr + outcome.stdout
    mib = limits.scratch_bytes // MIB
    if outcome.exit_signal == signal.SIGXFSZ or _FILES_FULL.search(words):
        return f"That is this server's limit: the files of a compilation may have {mib} MiB (compile.tmpfs_size_mb)."
    if _MEMORY_FULL.search(words):
        mib = limits.memory_bytes // MIB
        return f"That is this server's limit: a compilation may use {mib} MiB of memory (compile.memory_limit_mb)."
    return ""


def said(outcome: RunOutcome, kept_chars: int) -> str:
    """What the compiler said on both streams, cut with a note."""
    missing = outcome.stdout_len + outcome.stderr_len - len(outcome.stdout) - len(outcome.stderr)
    return cut(visible(outcome.stderr) + visible(outcome.stdout), kept_chars, missing)


def test_result(
    case: Case,
    graded: Graded,
    rule: str,
    outcome: RunOutcome,
    *,
    message: str,
    borderline: Borderline | None,
    settings: JudgeSettings,
) -> TestResult:
    """One test as the contract shows it. ``reason`` is the rule that decided, empty for an accepted test. ``message``:
    what the comparison or the checker says, for setters."""
    return TestResult(
        name=case.name,
        status=graded.status,
        group=case.group,
        score=graded.score,
        cpu_ms=outcome.cpu_ms,
        wall_ms=outcome.wall_ms,
        memory_kb=outcome.memory_kb,
        exit_code=outcome.exit_code,
        exit_signal=outcome.exit_signal,
        reason="" if graded.status is Verdict.ACCEPTED else rule,
        checker_message=message,
        stdout_len=outcome.stdout_len,
        truncated_stdout=outcome.stdout_len > settings.stdout_limit_bytes,
        stderr_len=outcome.stderr_len,
        truncated_stderr=outcome.stderr_len > settings.stderr_limit_bytes,
        sample=case.sample,
        borderline=borderline,
    )


def why(rule: str, outcome: RunOutcome, limits: RunLimits, mismatch: Mismatch | None) -> dict[str, Any]:
    """A machine-readable reason for a failed test."""
    figures: dict[str, dict[str, Any]] = {
        "cpu": {"measured_ms": outcome.cpu_ms, "limit_ms": limits.cpu_ms},
        "wall": {"measured_ms": outcome.wall_ms, "limit_ms": limits.wall_ms},
        "memory": {
            "measured_kb": outcome.memory_kb,
            "limit_kb": limits.memory_bytes // 1024,
            "oom_kill": outcome.oom_kill,
        },
        "heap": {"measured_kb": outcome.memory_kb, "limit_kb": limits.memory_bytes // 1024},
        "output": {
            "measured_bytes": outcome.stdout_len + outcome.stderr_len,
            "limit_bytes": limits.output_bytes,
        },
        "signal": {"exit_signal": outcome.exit_signal},
        "exit": {"exit_code": outcome.exit_code},
    }
    found = figures.get(rule, {})
    if mismatch is not None:
        found = {"unit": mismatch.unit, "position": mismatch.position}
    return {"rule": rule, **found}
