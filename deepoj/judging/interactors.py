"""Interactors and validators of several passes: what is asked of the box to run one, and whether a next pass is due.

How an interactor is called, with ``input`` and ``answer`` in its scratch, the program's stdout as its stdin, and its
stdout as the program's:

=========  =====================================================================================
TESTLIB    ``interactor input output answer [args…]``; what it writes to ``output`` is for a checker
VALIDATOR  ``validator input answer ./ [args…]``
PLAIN      ``interactor input answer [args…]``
=========  =====================================================================================

Several passes (Kattis 2023-07): a validator that accepts and leaves ``nextpass.in`` has the program run once more, with
that as the input. All else that it has left is there again in the next pass; a scratch is fresh for each run, so it is
packed after a pass and unpacked before the next, in the box, by ``tar``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deepoj.judging import interactive
from deepoj.judging.checkers import (
    ANSWER,
    FEEDBACK_DIR,
    FEEDBACK_FILES,
    FEEDBACK_MAX_BYTES,
    INPUT,
    OUTPUT,
    with_runtime,
)
from deepoj.judging.languages import Language
from deepoj.judging.problem import Checker, Protocol
from deepoj.judging.runs import JudgeSettings
from deepoj.words import PROGRAM_DIR, FileIn, FileOut, RunLimits, RunSpec, Verdict

NEXT_PASS = "nextpass.in"  # noqa: S105  # no password
#: what a validator has left for its next pass, packed
STATE = ".state"

_WORDS: Mapping[Protocol, tuple[str, ...]] = {
    Protocol.TESTLIB: (INPUT, OUTPUT, ANSWER),
    Protocol.VALIDATOR: (INPUT, ANSWER, FEEDBACK_DIR),
    Protocol.PLAIN: (INPUT, ANSWER),
    Protocol.COCI: (INPUT, OUTPUT, ANSWER),
}

#: A signal that ended the validator ends the shell too. tar must not read or write what leads to the program. ``$0`` is
#: what was left before: nothing has to be removed for what is left now, which at `weak` would be refused.
_WITH_STATE = f"""
if [ -e "$0" ]; then
    tar -xmf "$0" </dev/null >/dev/null || exit 125
fi
"$@"
code=$?
tar -cf {STATE} --exclude=./{STATE} --exclude=./{INPUT} --exclude=./{ANSWER} --exclude=./{NEXT_PASS} . \
</dev/null >/dev/null || exit 125
if [ "$code" -gt 128 ]; then kill -$((code - 128)) $$; fi
exit "$code"
"""


# ---------------------------------------------------------------------------------------------------------------------
# What is asked of the box


def interactor_limits(program: RunLimits, settings: JudgeSettings, language: Language | None) -> RunLimits:
    """Of an interactor in ``language``. ``program``: those of the run that it speaks with, from ``program_limits``."""
    limits = RunLimits(
        cpu_ms=_cpu_ms(program, settings),
        wall_ms=interactive.interactor_wall_ms(program.wall_ms, settings.interactor_finish_ms),
        memory_bytes=settings.check_memory_bytes,
        output_bytes=settings.interactor_output_bytes,
        scratch_bytes=settings.check_scratch_bytes,
        processes=settings.check_processes,
    )
    return with_runtime(limits, language)


def program_limits(limits: RunLimits, settings: JudgeSettings) -> RunLimits:
    """The limits of a program that speaks with an interactor."""
    return replace(limits, wall_ms=interactive.program_wall_ms(limits.wall_ms, _cpu_ms(limits, settings)))


def _cpu_ms(program: RunLimits, settings: JudgeSettings) -> int:
    return max(settings.check_cpu_ms, program.cpu_ms)


def interactor_spec(
    interactor: Checker,
    *,
    argv: tuple[str, ...],
    files_in: tuple[FileIn, ...],
    env: tuple[tuple[str, str], ...],
    files: Mapping[str, Path],
    args: tuple[str, ...],
    feedback: Path,
    limits: RunLimits,
) -> RunSpec:
    """One run of an interactor that ``argv``, ``files_in`` and ``env`` start. ``files``: the host's by ``INPUT`` and
    ``ANSWER``. What it leaves comes to stand in ``feedback``."""
    left = {
        Protocol.TESTLIB: (FileOut(OUTPUT, feedback / OUTPUT, limits.scratch_bytes),),
        Protocol.VALIDATOR: tuple(FileOut(name, feedback / name, FEEDBACK_MAX_BYTES) for name in FEEDBACK_FILES),
    }
    return RunSpec(
        argv=(*argv, *_WORDS[interactor.protocol], *interactor.args, *args),
        limits=limits,
        files_in=(*files_in, *(FileIn(name, files[name]) for name in (INPUT, ANSWER))),
        files_out=left.get(interactor.protocol, ()),
        env=env,
        keep_stdout_bytes=0,
        keep_stderr_bytes=_kept(limits),
    )


def _kept(limits: RunLimits) -> int:
    """Of stderr: what is left of an interactor that failed."""
    return min(limits.output_bytes, FEEDBACK_MAX_BYTES)


def with_passes(spec: RunSpec, feedback: Path, state: Path, *, first: bool) -> RunSpec:
    """The run of a validator that may ask for a next pass, and finds what it has left before: that is kept in ``state``
    between passes, and ``state.new`` is what it has left now."""
    most = 2 * spec.limits.scratch_bytes  # never too much: what was not copied would look as if it were not there
    brought = () if first else (FileIn(STATE, state, program=True),)
    return replace(
        spec,
        argv=("/bin/sh", "-c", _WITH_STATE, f"{PROGRAM_DIR}/{STATE}", *spec.argv),
        files_in=(*spec.files_in, *brought),
        files_out=(
            *spec.files_out,
            FileOut(NEXT_PASS, feedback / NEXT_PASS, most),
            FileOut(STATE, state.with_name(f"{state.name}.new"), most),
        ),
    )


# ---------------------------------------------------------------------------------------------------------------------
# What came of it


def next_pass(validator: Checker, word: Verdict, *, asked: bool, number: int) -> bool | str:
    """Whether pass ``number`` (from 1) is followed by another; a sentence where the validator breaks the rules.
    ``word``: what it said, ``asked``: whether it left ``nextpass.in``."""
    if not asked:
        return False
    if word not in (Verdict.ACCEPTED, Verdict.PARTIAL):
        return f"it did not accept, and left {NEXT_PASS}"
    if number >= validator.max_passes:
        return f"it asked for more than {validator.max_passes} passes"
    return True
