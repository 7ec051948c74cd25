"""Requests to the sandbox, and the meaning of its outcomes, for judging: pure functions, no run is made here.

A failed compilation is the source's fault if the compiler reports an error or exceeds its time, memory or output. It is
ours if the compiler is missing, blocked or killed by the host (``compile_trouble``). A compiler that runs code of the
source counts as killed by the host only if the kernel reports a kill.
"""

from __future__ import annotations

import errno
import re
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deepoj.judging.blocks import Mismatch
from deepoj.judging.languages import Language, Toolchain, ToolchainArchive
from deepoj.judging.problem import Case, Limits
from deepoj.judging.scoring.outcome import Graded
from deepoj.judging.text import cut, visible
from deepoj.words.problems import Problem
from deepoj.words.results import Borderline, Infra, TestResult, Verdict
from deepoj.words.sandbox import FileIn, FileOut, Policy, RunLimits, RunOutcome, RunSpec, RunVerdict, SandboxError

MIB = 1024 * 1024
#: upper bound of a package's output limit, unless the operator allows more: twice the largest file of a package
MOST_OUTPUT_BYTES = 128 * MIB
NOTHING_ASKED = Limits()
#: compilers on a JVM open each of their libraries
COMPILE_OPEN_FILES = 256
#: how much stderr is kept for a language whose runtime enforces the memory limit by itself
LAST_WORDS_BYTES = 64 * 1024
#: errors that every job on this node would meet, regardless of its program
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
#: The driver's complete message when a pass was killed by others, or collect2's when it was the linker (kills by the
#: box are reported as MLE or TLE). It must match completely: a source can bring these words into its own error
#: messages, but never without an error's place and kind around them.
_KILLED = re.compile(
    rb"[^\s:]+: fatal error: (Killed signal terminated program \w+|ld terminated with signal 9 \[Killed\])"
    rb"\ncompilation terminated\.\n?"
)
#: messages of compilers, assemblers and linkers that a file cannot grow. SIGBUS ends a linker that writes through a
#: mapping to a full disk
_FILES_FULL = re.compile(
    rb"file size limit exceeded|file too large|no space left on device|disk full|bus error|sigbus|sigxfsz",
    re.IGNORECASE,
)
#: messages that memory cannot grow
_MEMORY_FULL = re.compile(rb"virtual memory exhausted|out of memory allocating|memory exhausted|Cannot allocate memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """The node's limits for judging: an operator's settings (no defaults) and fixed values. Limits of time and memory
    of a run come from the problem."""

    toolchain: Toolchain
    compile_cpu_ms: int
    compile_wall_ms: int
    compile_memory_bytes: int
    compile_scratch_bytes: int
    #: a compiler with more output is stopped
    compile_output_bytes: int
    #: how much of it is kept in the result
    compile_output_kept: int = 64 * 1024
    compile_processes: int = 64
    run_output_bytes: int
    run_scratch_bytes: int
    run_processes: int
    #: minimum CPU time of a setter's checker (``checkers.check_limits``), and its other limits
    check_cpu_ms: int
    check_memory_bytes: int = 1024 * MIB
    check_output_bytes: int = 8 * MIB
    check_scratch_bytes: int = 64 * MIB
    check_processes: int = 64
    check_compile_cpu_ms: int = 30_000
    #: for an interactor, beside a checker's limits: its total output, and how long it may run on after the program
    interactor_output_bytes: int = 64 * MIB
    interactor_finish_ms: int = 10_000
    #: a longer stream counts as truncated
    stdout_limit_bytes: int
    stderr_limit_bytes: int
    #: for each output of a custom run, within the two above
    custom_output_bytes: int
    #: after a failed test, no test is started beyond this total run time
    failed_budget_ms: int = 60_000
    #: in percent of the time limit: a test whose CPU time is this close to it is run again (``borderline``); 0: off
    borderline_percent: float
    #: how long this run waits for the others to end
    borderline_wait_ms: int
    #: maximum number of explanations in a result
    max_explanations: int = 20
    keep_workdir: bool


def wall_limit_ms(time_limit_ms: int, factor: float = 3) -> int:
    """Return the wall limit beside the CPU limit. A sleeping program ends as Time Limit Exceeded, too."""
    return max(round(factor * time_limit_ms), time_limit_ms + 2_000)


# ---------------------------------------------------------------------------------------------------------------------
# Requests to the sandbox


def run_limits(
    problem: Problem, settings: JudgeSettings, language: Language, asked: Limits = NOTHING_ASKED
) -> RunLimits:
    """Return the limits of each run: the problem's plus the needs of the language's runtime, the package's own, and the
    node's for the rest."""
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
    """Return the limits of a contestant's program with this time and memory, plus the needs of the language's runtime;
    the node's for the rest."""
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
    """Return the limits of a test with an answer of this size: a correct output must fit, also one with more blanks."""
    return limits if 2 * answer_bytes <= limits.output_bytes else replace(limits, output_bytes=2 * answer_bytes)


def heap_mb(language: Language, limits: RunLimits) -> int:
    """Return the problem's memory limit, computed back from the limits of a run."""
    return limits.memory_bytes // MIB - language.memory_added_mb


def archive_spec(archive: ToolchainArchive, path: Path, settings: JudgeSettings) -> RunSpec:
    """Return the run that makes a language's toolchain cache at ``path``."""
    return RunSpec(
        argv=settings.toolchain.fill(archive.make),
        policy=Policy.COMPILE,
        limits=RunLimits(
            cpu_ms=archive.cpu_ms,
            wall_ms=archive.wall_ms,
            memory_bytes=archive.memory_bytes,
            output_bytes=settings.compile_output_bytes,
            processes=settings.compile_processes,
            scratch_bytes=archive.scratch_bytes,
            open_files=COMPILE_OPEN_FILES,
        ),
        files_out=(FileOut(archive.name, path, archive.max_bytes),),
        env=archive.env,
        keep_stdout_bytes=settings.compile_output_kept,
        keep_stderr_bytes=settings.compile_output_kept,
    )


def archive_file(archive: ToolchainArchive, path: Path) -> FileIn:
    """Return the toolchain cache at ``path`` for a compilation. It stays in the slot for the next one."""
    return FileIn(archive.name, path, program=True)


def compile_spec(language: Language, directory: Path, settings: JudgeSettings) -> RunSpec | None:
    """Return the run that compiles the source in ``directory`` into the artifact beside it; None if there is nothing to
    compile. A language with a toolchain cache also needs ``archive_file``."""
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
    """Return the run of one test. ``directory`` contains the artifact, or the source where the source itself is run."""
    program = language.artifact or language.source_name
    memory_mb = heap_mb(language, limits)
    return RunSpec(
        argv=language.run_argv(toolchain, memory_mb),
        limits=limits,
        stdin=stdin,
        files_in=(FileIn(program, directory / program, executable=bool(language.artifact), program=True),),
        env=language.run_environment(toolchain, memory_mb),
        stdout_to=stdout,
        # the comparison reads the file; of stderr only some runtimes' last messages are needed
        keep_stdout_bytes=0,
        keep_stderr_bytes=0 if language.heap is None else LAST_WORDS_BYTES,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Outcomes of runs


def sandbox_trouble(where: str, error: SandboxError) -> Infra:
    """Return the trouble of a run that our own failure ended. A failure that the program itself can cause (at its
    start) is never an outage: attempts during an outage do not count, so the job would be retried forever."""
    return Infra("sandbox", f"{where}: {error}", outage=error.errno in HOST_WIDE and error.step != "exec")


def at_heap_limit(outcome: RunOutcome, language: Language, limits: RunLimits) -> RunOutcome:
    """Return the outcome, as Memory Limit Exceeded if the runtime ended because its heap had reached the limit. The
    runtime's message shows that. If the message was lost among the program's own output, its memory use does."""
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
    """Return why a compilation failed for a reason of ours; None if it did not. ``host_killed``: meanwhile the kernel
    has killed a process of this host for lack of memory; asked only if the compiler runs code of the source.

    A compiler that runs code of the source (Perl's BEGIN blocks) can be ended by that code just as a host ends it. Such
    an end is the source's fault unless the kernel counted a kill. Otherwise it would be retried and end as a dead
    letter each time. A compiler that runs no code of the source cannot be ended in this way by it.
    """
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
    """Return why a compilation within ``limits`` failed without a message of the compiler; empty if it did not fail, or
    if the compiler has a message."""
    sentences = {
        RunVerdict.TLE: f"Compiling took longer than {limits.cpu_ms / 1000:g} s, this server's limit.",
        RunVerdict.MLE: f"Compiling took more than {limits.memory_bytes // MIB} MiB of memory, this server's limit.",
        RunVerdict.OLE: f"The compiler printed more than {limits.output_bytes // MIB} MiB, this server's limit.",
    }
    sentence = sentences.get(outcome.verdict, "")
    if outcome.verdict is RunVerdict.TLE and outcome.rule == "wall":
        sentence = f"Compiling took longer than {limits.wall_ms / 1000:g} s by the clock, this server's limit."
    if outcome.verdict is RunVerdict.RE:
        ended = f"The compiler was ended by signal {outcome.exit_signal}." if outcome.exit_signal else ""
        sentence = _limit_met(outcome, limits) or ended
    if outcome.verdict is RunVerdict.OK and language.artifact and language.artifact not in outcome.files_out:
        mib = language.artifact_max_bytes // MIB
        sentence = f"Compiling left no program of at most {mib} MiB, this server's limit."
    return sentence


def _limit_met(outcome: RunOutcome, limits: RunLimits) -> str:
    """Return which limit of this server a failed compiler has reached, as a sentence; empty if none. Compilers report
    it as an error of their own, or of the disk."""
    words = outcome.stderr + outcome.stdout
    mib = limits.scratch_bytes // MIB
    if outcome.exit_signal in (signal.SIGXFSZ, signal.SIGBUS) or _FILES_FULL.search(words):
        return (
            f"That is this server's limit: the files of a compilation may have {mib} MiB (compile.tmpfs_size_mb)."
            " An array with initial values is part of them, in the object file and in the program."
        )
    if _MEMORY_FULL.search(words):
        mib = limits.memory_bytes // MIB
        return f"That is this server's limit: a compilation may use {mib} MiB of memory (compile.memory_limit_mb)."
    return ""


def compiler_output(outcome: RunOutcome, kept_chars: int) -> str:
    """Return both output streams of the compiler, cut with a note."""
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
    fingerprint: str,
    settings: JudgeSettings,
) -> TestResult:
    """Return one test in the contract's form. ``reason`` is the rule that decided, empty for an accepted test.
    ``message``: the comparison's or the checker's message, for setters."""
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
        fingerprint=fingerprint,
    )


def why(rule: str, outcome: RunOutcome, limits: RunLimits, mismatch: Mismatch | None) -> dict[str, Any]:
    """Return a machine-readable reason for a failed test."""
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
    details = figures.get(rule, {})
    if mismatch is not None:
        details = {"unit": mismatch.unit, "position": mismatch.position}
    return {"rule": rule, **details}
