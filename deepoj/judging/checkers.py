"""Custom checkers: builds the sandbox execution of a checker, and derives the verdict of a test from its outcome.

A checker reports by its exit code (``verdicts.CHECK_TABLE``) and by points. It fails if it crashes (some runtimes
report this only in their message: ``CRASHES``), hangs, floods, exits with an unknown code or leaves no points where
they are required. A failure is never the contestant's fault, even if the contestant's output caused it: a checker must
not trust that output. The result is an ``Infra`` with the checker's last message, for the setter. This module executes
nothing.

Command lines of checkers, with ``input``, ``output`` and ``answer`` in the scratch:

=========  ===========================================================================================
TESTLIB    ``checker input output answer [args…]``; its message is on stderr
HYDRO      the same as TESTLIB, with points in percent
UOJ        the same as TESTLIB, with points as shares
PLAIN      the same as TESTLIB, with fewer exit codes
PEG        ``checker answer output input [args…]``; a share is on two lines of stdout
CMS        ``checker input answer output [args…]``; the share is on stdout
VALIDATOR  ``validator input answer ./ [args…] < output``; its message is in files of the feedback directory
=========  ===========================================================================================

The feedback directory is the scratch itself, because the sandbox only returns files. The format requires a directory
name that ends with a slash. The scratch is as empty as a separate directory, and has as much space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from deepoj.judging import checker_points, exec_rules, verdicts
from deepoj.judging.checker_points import SCORE, SHARE
from deepoj.judging.exec_rules import MIB, JudgeSettings
from deepoj.judging.languages import Language, resolve
from deepoj.judging.languages.families import COMPILE_ENV, ENV
from deepoj.judging.problem import Checker, Program, Protocol
from deepoj.judging.text import cut, visible
from deepoj.words.problems import Problem
from deepoj.words.results import Infra, Verdict
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, FileOut, RunLimits, RunOutcome, RunSpec, RunVerdict

INPUT, OUTPUT, ANSWER = "input", "output", "answer"
FEEDBACK_DIR = "./"
JUDGE_MESSAGE, TEAM_MESSAGE, JUDGE_ERROR = "judgemessage.txt", "teammessage.txt", "judgeerror.txt"
#: environment variable for compiling setters' C++, never contestants': ``<header>`` is also searched beside the source
BESIDE = ("CPATH", ".")
#: order of the file arguments, for protocols that do not have input, output and answer in this order
_ORDERS = {Protocol.PEG: (ANSWER, OUTPUT, INPUT), Protocol.CMS: (INPUT, ANSWER, OUTPUT)}
#: the files that are read from a feedback directory
FEEDBACK_FILES = (JUDGE_MESSAGE, TEAM_MESSAGE, JUDGE_ERROR, SCORE, SHARE)
#: maximum size of a feedback file that the sandbox returns
FEEDBACK_MAX_BYTES = 1 * MIB
#: maximum length of a checker's message in a result or in an error
MESSAGE_CHARS = 4096
BROKEN = "checker_broken"
NO_TESTLIB = "testlib_missing"

#: language → pattern of the message on stderr with which its runtime ends a program after an uncaught error. The exit
#: code (1 of most, 2 of Go and OCaml) is one with which checkers reject, so only the message shows that it was a crash.
#: A contestant who makes a checker print this message gets a System Error, nothing better.
CRASHES: Mapping[str, re.Pattern[bytes]] = MappingProxyType(
    {
        key: re.compile(words, re.MULTILINE)
        for keys, words in (
            ("python3 pypy3", rb"^Traceback \(most recent call last\):"),
            ("java kotlin scala", rb'^Exception in thread "'),
            ("javascript", rb"^Node\.js v[0-9]|^    at .+:[0-9]+:[0-9]+\)?$"),
            ("csharp", rb"^Unhandled [Ee]xception"),
            ("ruby", rb"^(?>[^\n(]*?\.rb:[0-9]+:in ).*\([A-Z][\w:]*\)$"),
            ("perl", rb" at /p/\S+ line [0-9]+[.,]"),
            ("php", rb"^(PHP )?(Fatal|Parse) error: "),
            ("lua", rb"^stack traceback:"),
            ("haskell", rb"^CallStack \(from HasCallStack\):|^main: "),
            ("ocaml", rb"^Fatal error: exception "),
            ("go", rb"^goroutine [0-9]+ \["),
            ("pascal", rb"^Runtime error [0-9]+ at \$"),
        )
        for key in keys.split()
    }
)
#: pattern of the message that an error ended one thread. The other threads continue, and the exit code may mean
#: acceptance.
_THREAD_CRASH = re.compile(
    rb'^Exception in thread [A-Z"]|^#<Thread:.* terminated with exception|^Thread [0-9]+ terminated abnormally',
    re.MULTILINE,
)
#: only the end of stderr, which has these messages, is searched
_LAST_BYTES = 64 * 1024

_TESTLIB = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*[<"](?:[^">\n]*/)?testlib\.h[">]', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A checker's decision about one test."""

    #: Accepted, Wrong Answer, Presentation Error, or Partial: the points decide
    verdict: Verdict
    #: points from the checker, not negative; None: it gave none. A validator may also give points to a rejected output
    points: float | None = None
    #: share of the test's maximum points, 0 to 1, instead of points; None: the checker gave none
    share: float | None = None
    #: the checker's message, for setters
    message: str = ""

    def points_of(self, worth: float) -> float | None:
        """Return the points of a test with the maximum ``worth``; None: all or nothing, by the verdict."""
        if self.verdict not in (Verdict.ACCEPTED, Verdict.PARTIAL):
            return None
        return self.share * worth if self.share is not None else self.points


# ---------------------------------------------------------------------------------------------------------------------
# Programs that bring their own build script

#: language key of programs of ICPC/Kattis packages that a script ``build`` makes or a script ``run`` starts; never of
#: contestants' programs
BUILT_KEY = "build"
_ARTIFACT = "made.tar"
#: The shell runs a script without a ``#!`` line. The node's files are executable (``brought_for``), because at `weak`
#: chmod does nothing; therefore the archive marks all files as executable. A run must not make symbolic links, so the
#: archive contains their targets instead.
_BUILD = f"""
if [ -e build ]; then ./build || exit 1; fi
chmod +x run 2>/dev/null
if ! [ -f run ]; then echo "the script 'build' has made no file 'run'" >&2; exit 1; fi
tar -chf {_ARTIFACT} --mode=a+x --exclude=./{_ARTIFACT} .
"""
#: The program is unpacked to a folder of its own, so that its files cannot be confused with the test's. Arguments that
#: are files become absolute paths, because the program may change its directory. `languages.row.steps` says why the
#: archive is an argument.
_RUN = """
mkdir -p .program && tar -xmf "$0" -C .program </dev/null || exit 125
for word; do
    shift
    if [ -e "$word" ]; then word="$PWD/$word"; fi
    set -- "$@" "$word"
done
exec ./.program/run "$@"
"""
BUILT = Language(
    key=BUILT_KEY,
    name="a build script",
    package="",
    source_name="build",
    compile=("/bin/sh", "-c", _BUILD),
    artifact=_ARTIFACT,
    run=("/bin/sh", "-c", _RUN, f"{PROGRAM_DIR}/{_ARTIFACT}"),
    version=("/bin/sh", "-c", "echo sh"),
    accepts=("/bin/sh", "-c", ":"),
    compile_env=COMPILE_ENV,
    run_env=ENV,
)


def brought_for(language: Language, sources: Iterable[FileIn]) -> tuple[FileIn, ...]:
    """Return a setter's sources as files for the compilation."""
    return tuple(replace(source, executable=language.key == BUILT_KEY) for source in sources)


def language_of(program: Program) -> Language | None:
    """Return the language of a setter's program; None if it is not supported."""
    return BUILT if program.language == BUILT_KEY else resolve(program.language)


# ---------------------------------------------------------------------------------------------------------------------
# Sandbox executions


def check_limits(problem: Problem, settings: JudgeSettings, language: Language | None) -> RunLimits:
    """Return the limits of a checker.

    A checker reads as much as the program did, so its time limit grows with the problem's; it is at least
    ``settings.check_cpu_ms``. ``language``: the checker's; None if it is unknown.
    """
    cpu_ms = max(settings.check_cpu_ms, 10 * problem.time_limit_ms)
    limits = RunLimits(
        cpu_ms=cpu_ms,
        wall_ms=exec_rules.wall_limit_ms(cpu_ms),
        memory_bytes=settings.check_memory_bytes,
        output_bytes=settings.check_output_bytes,
        scratch_bytes=settings.check_scratch_bytes,
        processes=settings.check_processes,
    )
    return with_runtime(limits, language)


def with_runtime(limits: RunLimits, language: Language | None) -> RunLimits:
    """Add what the language's runtime itself needs to the limits of a setter's program."""
    if language is None:
        return limits
    return replace(
        limits,
        memory_bytes=limits.memory_bytes + language.memory_added_mb * MIB,
        processes=limits.processes + language.processes_added,
    )


def heap_mb(settings: JudgeSettings) -> int:
    """Return the maximum heap size for the runtime of a setter's program."""
    return settings.check_memory_bytes // MIB


def compile_limits(settings: JudgeSettings, language: Language) -> RunLimits:
    """Return the limits for compiling a checker: testlib alone takes a compiler several seconds."""
    cpu_ms = max(settings.check_compile_cpu_ms, settings.compile_cpu_ms)
    wall_ms = max(3 * settings.check_compile_cpu_ms, settings.compile_wall_ms)
    return RunLimits(
        cpu_ms=round(cpu_ms * language.compile_factor),
        wall_ms=round(wall_ms * language.compile_factor),
        memory_bytes=settings.compile_memory_bytes,
        output_bytes=settings.compile_output_bytes,
        processes=settings.compile_processes,
        scratch_bytes=settings.compile_scratch_bytes,
        open_files=exec_rules.COMPILE_OPEN_FILES,
    )


def check_spec(
    checker: Checker,
    *,
    argv: tuple[str, ...],
    files_in: tuple[FileIn, ...],
    env: tuple[tuple[str, str], ...],
    files: Mapping[str, Path],
    args: tuple[str, ...],
    feedback: Path,
    limits: RunLimits,
) -> RunSpec:
    """Return the execution of a checker with ``argv``, ``files_in`` and ``env``.

    ``files``: host paths by ``INPUT``, ``OUTPUT`` and ``ANSWER``. ``args``: the test's arguments, after the checker's.
    Files left in the feedback directory are copied to ``feedback``.
    """
    by_name = checker.protocol is not Protocol.VALIDATOR
    brought = (INPUT, OUTPUT, ANSWER) if by_name else (INPUT, ANSWER)
    words = (*brought, FEEDBACK_DIR) if not by_name else checker.order or _ORDERS.get(checker.protocol, brought)
    return RunSpec(
        argv=(*argv, *words, *checker.args, *args),
        limits=limits,
        stdin=None if by_name else files[OUTPUT],
        files_in=(*files_in, *(FileIn(name, files[name]) for name in brought)),
        files_out=()
        if by_name
        else tuple(FileOut(name, feedback / name, FEEDBACK_MAX_BYTES) for name in FEEDBACK_FILES),
        env=env,
        # the only evidence of a checker that failed
        keep_stdout_bytes=limits.output_bytes,
        keep_stderr_bytes=limits.output_bytes,
    )


def source_names(program: Program) -> Mapping[str, str] | None:
    """Return the names of a program's files in the scratch by their names in the archive.

    None: some files are in folders, which the scratch cannot have.
    """
    names = {name: name.removeprefix(program.root) for name in program.files}
    return None if any("/" in name for name in names.values()) else names


def with_flags(language: Language, program: Program) -> Language:
    """Return the language with the program's own options added to its compiler command."""
    if language.compile is None or not program.flags:
        return language
    return replace(language, compile=(*language.compile, *program.flags))


def takes_headers(language: Language) -> bool:
    """Return whether the language is C++."""
    return language.source_name.endswith(".cpp")


def with_headers_beside(language: Language) -> Language:
    """Return the language with a compiler that also searches ``<header>`` beside the sources, as setters' systems
    do."""
    if not takes_headers(language):
        return language
    return replace(language, compile_env=(*language.compile_env, BESIDE))


def wants_testlib(source: bytes) -> bool:
    """Return whether a C++ source includes testlib.h."""
    return _TESTLIB.search(source) is not None


# ---------------------------------------------------------------------------------------------------------------------
# Rulings


def ruling_of(
    checker: Checker, outcome: RunOutcome, feedback: Mapping[str, bytes], *, test: str, limits: RunLimits, scored: bool
) -> Ruling | Infra:
    """Return the ruling about ``test`` from the execution of its checker, or an Infra if the checker failed.

    ``feedback``: contents of the feedback files by name. ``scored``: whether the problem gives points.
    """
    where = f"test {test}"
    if outcome.sandbox_error is not None:
        return exec_rules.sandbox_trouble(f"checking {where}", outcome.sandbox_error)
    if outcome.verdict is RunVerdict.SE:
        return Infra("sandbox", f"checking {where}: rule '{outcome.rule}'")
    message = _message(checker.protocol, outcome, feedback)
    verdict = verdicts.of_check(
        checker.protocol,
        outcome.verdict,
        outcome.rule,
        exit_code=outcome.exit_code,
        exit_signal=outcome.exit_signal,
    )
    failure = ""
    if checker_points.is_partly(checker.protocol, outcome, scored=scored):
        verdict = Verdict.PARTIAL
    if verdict is Verdict.SYSTEM_ERROR:
        failure = _failure(checker.protocol, outcome, limits)
    elif verdict is not Verdict.ACCEPTED and _has_crashed(checker, outcome):
        failure = f"its runtime ended it with exit code {outcome.exit_code}"
    elif verdict is Verdict.ACCEPTED and _has_lost_a_thread(checker, outcome):
        failure = f"an error ended one of its threads, and it exited with {outcome.exit_code}"
    scores = failure or checker_points.given(
        checker, outcome, verdict, feedback if scored or verdict is Verdict.ACCEPTED else {}
    )
    if isinstance(scores, str):
        return broken(where, scores, message)
    points, share = scores
    if checker.protocol is not Protocol.VALIDATOR:
        verdict, points, share = _of_points(verdict, points, share, scored=scored)
    elif not scored and (points is not None or share is not None):
        return broken(where, "it gave points, and this problem is not scored", message)
    # points given with an acceptance decide, too
    elif verdict is Verdict.ACCEPTED and (points is not None or share is not None):
        verdict = Verdict.PARTIAL
    return Ruling(verdict=verdict, points=points, share=share, message=message)


def _of_points(
    verdict: Verdict, points: float | None, share: float | None, *, scored: bool
) -> tuple[Verdict, float | None, float | None]:
    """Return the verdict, points and share of a checker that may give points with it.

    Points of a problem that has no scores accept the output unless they are 0: testlib counts ``_points`` and ``_pc``
    among its results that accept (``TestlibFinalizeGuard``, ``quit``), and so do Polygon and DMOJ.
    """
    given = points if share is None else share
    if given is None:
        return verdict, None, None
    if scored and (share is None or 0 < share < 1):
        return Verdict.PARTIAL, points, share
    return Verdict.ACCEPTED if given > 0 else Verdict.WRONG_ANSWER, None, None


def broken(where: str, sentence: str, message: str) -> Infra:
    """Return the failure of a checker: the sentence, and the checker's own message as evidence."""
    evidence = f"\nIt said:\n{message}" if message else ""
    return Infra(BROKEN, f"the checker failed on {where}: {sentence}{evidence}")


def _has_crashed(checker: Checker, outcome: RunOutcome) -> bool:
    crash = CRASHES.get(checker.program.language)
    return crash is not None and crash.search(outcome.stderr[-_LAST_BYTES:]) is not None


def _has_lost_a_thread(checker: Checker, outcome: RunOutcome) -> bool:
    return checker.program.language in CRASHES and _THREAD_CRASH.search(outcome.stderr[-_LAST_BYTES:]) is not None


def _message(protocol: Protocol, outcome: RunOutcome, feedback: Mapping[str, bytes]) -> str:
    """Return the checker's message to the setter, followed by the one to the contestant, marked as such."""
    stream = outcome.stderr if outcome.stderr.strip() else outcome.stdout
    if protocol is not Protocol.VALIDATOR:
        return _text(stream)
    to_judge = next(
        (feedback[name] for name in (JUDGE_MESSAGE, JUDGE_ERROR) if feedback.get(name, b"").strip()), stream
    )
    parts = [_text(to_judge)]
    if feedback.get(TEAM_MESSAGE, b"").strip():
        parts.append(f"To the contestant: {_text(feedback[TEAM_MESSAGE])}")
    return "\n".join(part for part in parts if part)


def _text(raw: bytes) -> str:
    kept = raw[: 4 * MESSAGE_CHARS]
    return cut(visible(kept).strip(), MESSAGE_CHARS, len(raw) - len(kept))


def _failure(protocol: Protocol, outcome: RunOutcome, limits: RunLimits) -> str:
    """Return how a checker failed, as the end of a sentence."""
    if (outcome.verdict, outcome.rule) in verdicts.CHECKER_SPEAKS and outcome.exit_signal == 0:
        if protocol in verdicts.TESTLIBS and outcome.exit_code == 3:
            return "it reported a failure of its own (exit code 3)"
        if protocol is Protocol.TESTLIB and outcome.exit_code >= verdicts.PARTIALLY:
            share = outcome.exit_code - verdicts.PARTIALLY
            return f"it reported 'partially correct' by _pc({share}), which gives no points: let it call quitp"
        known = ", ".join(str(code) for each, code in verdicts.CHECK_TABLE if each is protocol)
        return f"it exited with {outcome.exit_code}, which is none of {known}"
    sentences = {
        "cpu": f"it ran longer than {limits.cpu_ms / 1000:g} s",
        "wall": f"it was still running after {limits.wall_ms / 1000:g} s of wall time",
        "memory": f"it took more than {limits.memory_bytes // MIB} MiB of memory",
        "output": f"it printed more than {limits.output_bytes // MIB} MiB",
        "processes": f"it started more than {limits.processes} processes",
        "exec": "it is not an executable program",
    }
    if outcome.exit_signal and outcome.rule not in sentences:
        return f"signal {outcome.exit_signal} ended it"
    return sentences.get(outcome.rule, f"{outcome.verdict} by rule '{outcome.rule}'")
