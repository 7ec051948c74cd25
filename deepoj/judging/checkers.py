"""Custom checkers: builds the sandbox execution of a checker, and derives the verdict of a test from its outcome.

A checker reports by its exit code (``verdicts.CHECK_TABLE``) and by points. It fails if it crashes (some runtimes
report this only in their message: ``CRASHES``), hangs, floods, exits with an unknown code or leaves no points where
they are required. A failure is never the contestant's fault, even if the contestant's output caused it: a checker must
not trust that output. The result is an ``Infra`` with the checker's last message, for the setter. This module executes
nothing.

Command lines of checkers, with ``input``, ``output`` and ``answer`` in the scratch:

=========  ===========================================================================================
TESTLIB    ``checker input output answer [args…]``; its message is on stderr
PLAIN      the same, with fewer exit codes
VALIDATOR  ``validator input answer ./ [args…] < output``; its message is in files of the feedback directory
=========  ===========================================================================================

The feedback directory is the scratch itself, because the sandbox only returns files. The format requires a directory
name that ends with a slash. The scratch is as empty as a separate directory, and has as much space.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from deepoj.judging import exec_rules, verdicts
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
SCORE, SHARE = "score.txt", "score_multiplier.txt"
#: of the environment in which setters' C++ is compiled, and no contestant's
BESIDE = ("CPATH", ".")
#: of protocols whose programs are not called with input, output and answer in this order
_ORDERS = {Protocol.PEG: (OUTPUT, ANSWER, INPUT)}
#: what is read of a feedback directory
FEEDBACK_FILES = (JUDGE_MESSAGE, TEAM_MESSAGE, JUDGE_ERROR, SCORE, SHARE)
#: the largest feedback file that is taken out of the box
FEEDBACK_MAX_BYTES = 1 * MIB
#: what is kept of a checker's words, in a result or in an error's message
MESSAGE_CHARS = 4096
BROKEN = "checker_broken"
NO_TESTLIB = "testlib_missing"

#: How runtimes say on stderr that they end a program because of an error that it did not catch. They do so with an exit
#: code by which a checker would reject (1 of most, 2 of Go and OCaml), so that the words are what tells a crash. A
#: contestant who gets a checker to repeat such words gains a System Error, nothing better.
CRASHES: Mapping[str, re.Pattern[bytes]] = MappingProxyType(
    {
        key: re.compile(words, re.MULTILINE)
        for keys, words in (
            ("python3 pypy3", rb"^Traceback \(most recent call last\):"),
            ("java kotlin scala", rb'^Exception in thread "'),
            ("javascript", rb"^Node\.js v[0-9]|^    at .+:[0-9]+:[0-9]+\)?$"),
            ("csharp", rb"^Unhandled [Ee]xception"),
            ("ruby", rb"\.rb:[0-9]+:in .*\([A-Z][\w:]*\)$"),
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
#: of what a checker said, the end, where such words stand
#: How runtimes say that an error ended one thread. The others go on, and the exit code may be an acceptance.
_THREAD_CRASH = re.compile(
    rb'^Exception in thread [A-Z"]|^#<Thread:.* terminated with exception|^Thread [0-9]+ terminated abnormally',
    re.MULTILINE,
)
_LAST_BYTES = 64 * 1024

#: `points 12.5 why`, as testlib says it; the rest of the line is for people
_POINTS = re.compile(rb"^points[ \t]+(\S+)", re.MULTILINE)
_COCI_SHARE = re.compile(rb"^partial ([0-9]{1,18})/([0-9]{1,18})$", re.MULTILINE)
_PEG_SHARE = re.compile(rb"^([0-9]{1,18})\n([0-9]{1,18})$", re.MULTILINE)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_TESTLIB = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*[<"](?:[^">\n]*/)?testlib\.h[">]', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a checker found of one test."""

    #: Accepted, Wrong Answer, Presentation Error, or Partial: the points decide
    verdict: Verdict
    #: as the checker gives them, not negative; None: it gave none. A validator may give some to what it rejects
    points: float | None = None
    #: of what the test is worth, 0 to 1, in place of points; None: it gave none
    share: float | None = None
    #: its words, for setters
    message: str = ""

    def points_of(self, worth: float) -> float | None:
        """The points of a test that is worth so much; None: all or nothing, by the verdict."""
        if self.verdict not in (Verdict.ACCEPTED, Verdict.PARTIAL):
            return None
        return self.share * worth if self.share is not None else self.points


# ---------------------------------------------------------------------------------------------------------------------
# Programs that bring their own build script

#: of programs that a script ``build`` makes, or that a script ``run`` starts, as ICPC/Kattis packages bring them. No
#: contestant's.
BUILT_KEY = "build"
_MADE = "made.tar"
#: A script without a first line that names its interpreter is the shell's. What the node brings can be executed
#: (``brought_for``), for at `weak` chmod does nothing; so the archive says of all files that they can be. A run
#: may make no symbolic links: the archive has the files that they lead to.
_BUILD = f"""
if [ -e build ]; then ./build || exit 1; fi
chmod +x run 2>/dev/null
if ! [ -f run ]; then echo "the script 'build' has made no file 'run'" >&2; exit 1; fi
tar -chf {_MADE} --mode=a+x --exclude=./{_MADE} .
"""
#: The program stands in a folder of its own, so that none of its files is taken for the test's; the arguments that are
#: files lead there from wherever it changes to. The archive is a word of the argv: `languages.row.steps` says why.
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
    artifact=_MADE,
    run=("/bin/sh", "-c", _RUN, f"{PROGRAM_DIR}/{_MADE}"),
    version=("/bin/sh", "-c", "echo sh"),
    accepts=("/bin/sh", "-c", ":"),
    compile_env=COMPILE_ENV,
    run_env=ENV,
)


def brought_for(language: Language, sources: Iterable[FileIn]) -> tuple[FileIn, ...]:
    """A setter's sources as they are brought to be compiled."""
    return tuple(replace(source, executable=language.key == BUILT_KEY) for source in sources)


def language_of(program: Program) -> Language | None:
    """The language of a setter's program; None: it is none of ours."""
    return BUILT if program.language == BUILT_KEY else resolve(program.language)


# ---------------------------------------------------------------------------------------------------------------------
# What is asked of the box


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
    """The limits of a setter's program, and beside them what its language's runtime needs by itself."""
    if language is None:
        return limits
    return replace(
        limits,
        memory_bytes=limits.memory_bytes + language.memory_added_mb * MIB,
        processes=limits.processes + language.processes_added,
    )


def heap_mb(settings: JudgeSettings) -> int:
    """What the runtime of a setter's program may use of memory for its heap."""
    return settings.check_memory_bytes // MIB


def compile_limits(settings: JudgeSettings, language: Language) -> RunLimits:
    """Of compiling a checker: testlib alone takes a compiler seconds."""
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
        # what it says is what is left of one that failed
        keep_stdout_bytes=limits.output_bytes,
        keep_stderr_bytes=limits.output_bytes,
    )


def source_names(program: Program) -> Mapping[str, str] | None:
    """What its files are called in the scratch, by archive name; None: some stand in folders, where none can be
    made."""
    names = {name: name.removeprefix(program.root) for name in program.files}
    return None if any("/" in name for name in names.values()) else names


def with_flags(language: Language, program: Program) -> Language:
    """The language, whose compiler is called with the program's own options too."""
    if language.compile is None or not program.flags:
        return language
    return replace(language, compile=(*language.compile, *program.flags))


def takes_headers(language: Language) -> bool:
    """Whether it is C++."""
    return language.source_name.endswith(".cpp")


def with_headers_beside(language: Language) -> Language:
    """The language, whose compiler looks for ``<header>`` beside the sources too, as setters' systems do."""
    if not takes_headers(language):
        return language
    return replace(language, compile_env=(*language.compile_env, BESIDE))


def wants_testlib(source: bytes) -> bool:
    """Whether a C++ source includes testlib.h."""
    return _TESTLIB.search(source) is not None


# ---------------------------------------------------------------------------------------------------------------------
# What came of it


def ruling_of(
    checker: Checker, outcome: RunOutcome, feedback: Mapping[str, bytes], *, test: str, limits: RunLimits, scored: bool
) -> Ruling | Infra:
    """What the run of a checker says about ``test``. ``feedback``: the files that it left, by name. ``scored``: whether
    the problem gives points."""
    where = f"test {test}"
    if outcome.sandbox_error is not None:
        return exec_rules.sandbox_trouble(f"checking {where}", outcome.sandbox_error)
    if outcome.verdict is RunVerdict.SE:
        return Infra("sandbox", f"checking {where}: rule '{outcome.rule}'")
    words = _words(checker.protocol, outcome, feedback)
    verdict = verdicts.of_check(
        checker.protocol,
        outcome.verdict,
        outcome.rule,
        exit_code=outcome.exit_code,
        exit_signal=outcome.exit_signal,
    )
    failure = ""
    if verdict is Verdict.SYSTEM_ERROR:
        failure = _how_it_ended(checker.protocol, outcome, limits)
    elif verdict is not Verdict.ACCEPTED and _has_crashed(checker, outcome):
        failure = f"its runtime ended it with exit code {outcome.exit_code}"
    elif verdict is Verdict.ACCEPTED and _has_lost_a_thread(checker, outcome):
        failure = f"an error ended one of its threads, and it exited with {outcome.exit_code}"
    found = failure or _scores(checker, outcome, verdict, feedback if scored or verdict is Verdict.ACCEPTED else {})
    if isinstance(found, str):
        return broken(where, found, words)
    points, share = found
    if not scored and (points is not None or share is not None):
        return broken(where, "it gave points, and this problem is not scored", words)
    # points that came with an acceptance (of PEG, a share with a rejection) decide as any others
    decides = verdict is Verdict.ACCEPTED or checker.protocol is Protocol.PEG
    if decides and (points is not None or share is not None):
        verdict = Verdict.PARTIAL
    return Ruling(verdict=verdict, points=points, share=share, message=words)


def broken(where: str, sentence: str, words: str) -> Infra:
    """A checker that failed: the sentence, and the checker's own words as evidence."""
    said = f"\nIt said:\n{words}" if words else ""
    return Infra(BROKEN, f"the checker failed on {where}: {sentence}{said}")


def _has_crashed(checker: Checker, outcome: RunOutcome) -> bool:
    crash = CRASHES.get(checker.program.language)
    return crash is not None and crash.search(outcome.stderr[-_LAST_BYTES:]) is not None


def _has_lost_a_thread(checker: Checker, outcome: RunOutcome) -> bool:
    return checker.program.language in CRASHES and _THREAD_CRASH.search(outcome.stderr[-_LAST_BYTES:]) is not None


def _scores(
    checker: Checker, outcome: RunOutcome, verdict: Verdict, feedback: Mapping[str, bytes]
) -> tuple[float | None, float | None] | str:
    """Points and share, or a sentence why there is none where one is due."""
    if checker.protocol is Protocol.PEG:
        share = _said_share(_PEG_SHARE.search(outcome.stdout)) if verdict is Verdict.WRONG_ANSWER else None
        return None, share or None
    if checker.protocol is Protocol.COCI and verdict is Verdict.PARTIAL:
        share = _said_share(_COCI_SHARE.search(outcome.stderr))
        return (None, share) if share is not None else "it exited with 7 and said no share such as 'partial 3/5'"
    if checker.protocol is not Protocol.VALIDATOR:
        return _said_points(outcome) if verdict is Verdict.PARTIAL else (None, None)
    if verdict is Verdict.ACCEPTED:
        return _left_points(feedback, is_due=checker.scores)
    # whether points of a rejected output are a fault is up to the format (Scoring.points_fault)
    return _left_number(feedback, SCORE), _left_number(feedback, SHARE)


def _said_share(said: re.Match[bytes] | None) -> float | None:
    """Two integers as a share; None: it is none, or more than all."""
    part, whole = (int(said[1]), int(said[2])) if said else (0, 0)
    return part / whole if 0 <= part <= whole != 0 else None


def _said_points(outcome: RunOutcome) -> tuple[float | None, float | None] | str:
    said = _POINTS.search(outcome.stderr) or _POINTS.search(outcome.stdout)
    if said is None:
        return f"it exited with {outcome.exit_code} (points) and said no points"
    points = _number(said[1])
    return "the points that it said are no number, or negative" if points is None else (points, None)


def _left_points(feedback: Mapping[str, bytes], *, is_due: bool) -> tuple[float | None, float | None] | str:
    points = _number(feedback[SCORE]) if SCORE in feedback else None
    share = _number(feedback[SHARE]) if SHARE in feedback else None
    sentence = ""
    if SCORE in feedback and SHARE in feedback:
        sentence = f"it left both {SCORE} and {SHARE}"
    elif SCORE in feedback and points is None:
        sentence = f"{SCORE} holds no number, or a negative one"
    elif SHARE in feedback and (share is None or share > 1):
        sentence = f"{SHARE} holds no number from 0 to 1"
    elif is_due and points is None and share is None:
        sentence = f"it accepted, and left no {SCORE}"
    return sentence or (points, share)


def _left_number(feedback: Mapping[str, bytes], name: str) -> float | None:
    """NaN: it is no number."""
    if name not in feedback:
        return None
    value = _number(feedback[name])
    return math.nan if value is None else value


def _number(raw: bytes) -> float | None:
    text = raw[:1024].decode("ascii", "replace").strip()
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) and value >= 0 else None


def _words(protocol: Protocol, outcome: RunOutcome, feedback: Mapping[str, bytes]) -> str:
    """What it said to the setter, and, named as such, to the contestant."""
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


def _how_it_ended(protocol: Protocol, outcome: RunOutcome, limits: RunLimits) -> str:
    if (outcome.verdict, outcome.rule) in verdicts.CHECKER_SPEAKS and outcome.exit_signal == 0:
        if protocol is Protocol.TESTLIB and outcome.exit_code == 3:
            return "it says so itself (exit code 3)"
        if protocol is Protocol.TESTLIB and outcome.exit_code >= verdicts.PARTIALLY:
            share = outcome.exit_code - verdicts.PARTIALLY
            return f"it said 'partially correct' by _pc({share}), which says no points: let it call quitp"
        known = ", ".join(str(code) for each, code in verdicts.CHECK_TABLE if each is protocol)
        return f"it exited with {outcome.exit_code}, which is none of {known}"
    sentences = {
        "cpu": f"it ran longer than {limits.cpu_ms / 1000:g} s",
        "wall": f"it had not ended after {limits.wall_ms / 1000:g} s by the clock",
        "memory": f"it took more than {limits.memory_bytes // MIB} MiB of memory",
        "output": f"it said more than {limits.output_bytes // MIB} MiB",
        "processes": f"it started more than {limits.processes} processes",
        "exec": "it is no program that can be executed",
    }
    if outcome.exit_signal and outcome.rule not in sentences:
        return f"signal {outcome.exit_signal} ended it"
    return sentences.get(outcome.rule, f"{outcome.verdict} by rule '{outcome.rule}'")
