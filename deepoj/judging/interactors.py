"""Interactors and validators with several passes: the request to run one, and whether another pass follows.

An interactor is called with ``input`` and ``answer`` in its scratch, the program's stdout as its stdin, and its stdout
as the program's stdin:

=========  =====================================================================================
TESTLIB    ``interactor input output answer [args…]``; a checker reads what it writes to ``output``
VALIDATOR  ``validator input answer ./ [args…]``
PLAIN      ``interactor input answer [args…]``; so does COCI
=========  =====================================================================================

Several passes (Kattis 2023-07): if a validator accepts and leaves ``nextpass.in``, the program is run once more with
that file as its input. The validator's other files are there again in the next pass. A scratch is new for each run, so
``tar`` packs them after a pass and unpacks them before the next, in the box.
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
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.languages import Language
from deepoj.judging.problem import Checker, Protocol
from deepoj.words.results import Verdict
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, FileOut, RunLimits, RunSpec

NEXT_PASS = "nextpass.in"  # noqa: S105  # no password
#: the files that a validator has left for its next pass, packed
STATE = ".state"

_WORDS: Mapping[Protocol, tuple[str, ...]] = {
    Protocol.TESTLIB: (INPUT, OUTPUT, ANSWER),
    Protocol.VALIDATOR: (INPUT, ANSWER, FEEDBACK_DIR),
    Protocol.PLAIN: (INPUT, ANSWER),
    Protocol.COCI: (INPUT, ANSWER),
    Protocol.HYDRO: (INPUT, OUTPUT, ANSWER),
}

#: A signal that ended the validator ends the shell, too. tar must not read or write the streams to the program. ``$0``
#: is the state of the pass before. The new state needs no removal of it, which at `weak` would be refused.
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
# Requests to the sandbox


def holds_output(interactor: Checker) -> bool:
    """Return whether the interactor's input ends only with the program, also if the program closes its output before.

    Kattis' specification does not say. problemtools (``interactive.cc``) and BAPCtools (``interactive.py``) keep the
    writing end open until the program has ended. So the program's own end comes first there, and decides.
    """
    return interactor.protocol is Protocol.VALIDATOR


def interactor_limits(program: RunLimits, settings: JudgeSettings, language: Language | None) -> RunLimits:
    """Return the limits of an interactor in ``language``. ``program``: those of the joined run, from
    ``program_limits``."""
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
    """Return the limits of a program that talks to an interactor."""
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
    """Return one run of an interactor that ``argv``, ``files_in`` and ``env`` start. ``files``: the host's paths for
    ``INPUT`` and ``ANSWER``. Its output files are copied to ``feedback``."""
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
    """Return how much of stderr is kept: it explains the failure of an interactor."""
    return min(limits.output_bytes, FEEDBACK_MAX_BYTES)


def with_passes(spec: RunSpec, feedback: Path, state: Path, *, first: bool) -> RunSpec:
    """Return the run of a validator that may ask for a next pass and needs its earlier files. ``state`` has these files
    between passes, ``state.new`` those of this pass."""
    most = 2 * spec.limits.scratch_bytes  # large enough for all: an omitted file would look like a missing one
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
# The next pass


def next_pass(validator: Checker, word: Verdict, *, asked: bool, number: int) -> bool | str:
    """Return whether another pass follows pass ``number`` (from 1); a sentence if the validator breaks the rules.
    ``word``: its verdict. ``asked``: whether it left ``nextpass.in``."""
    if not asked:
        return False
    if word not in (Verdict.ACCEPTED, Verdict.PARTIAL):
        return f"it did not accept, and left {NEXT_PASS}"
    if number >= validator.max_passes:
        return f"it asked for more than {validator.max_passes} passes"
    return True
