"""Canary: one round of programs whose verdicts are known (``judging.canaries``), judged as submissions are judged.

Compiled by the same policy and run by the same specification as a submission, decided by the same table, compared by
the same code: a fault of any of them shows. A canary that differs is judged again, at last with a program compiled
anew, and differs only if it does so each time: the host may have been at fault. What the box itself could not do (it is
away, the host is out of memory) says nothing about its verdicts: such a round is not judged to its end.

Compiled programs are kept under ``<shelf>/<digest of the source, the command line and the compiler>``, so that neither
the next round nor the next start compiles.

What if we die here? A program appears on the shelf by a rename, whole or not at all. Directories of a round or of a
compilation that nobody finished are removed by a later round, ``STALE_S`` after they were last written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import trio

from deepoj.judging import canaries, runs, verdicts
from deepoj.judging.canaries import Canary, Fate
from deepoj.judging.compare import compare_files
from deepoj.judging.languages import LANGUAGES, Language
from deepoj.judging.runs import JudgeSettings
from deepoj.judging.text import visible
from deepoj.ports import Box
from deepoj.words import BoxBroken, RunLimits, RunOutcome, RunVerdict, Verdict

#: how often a canary is judged before it counts as differing; the last time with a program compiled anew
TRIES = 3
#: in a re-run, of the CPU limit: a slow host is no wrong judge
PATIENCE = 10
#: a node that gets so many wrong is known well enough; a round must end
ENOUGH = 5
#: compiling on a host under load; what a submission may take says nothing about ours
COMPILE_CPU_MS = 60_000
COMPILE_WALL_MS = 180_000
#: no round takes so long
STALE_S = 3600.0
#: programs of compilers that are gone
FORGOTTEN_S = 7 * 86_400.0
KEEP_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Differs:
    """A canary that did not come to what it must."""

    name: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"canary {self.name}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round came to. It is clean if nothing differs and nothing was left unjudged."""

    as_expected: int
    #: canaries there are for this host's languages
    of: int
    differing: tuple[Differs, ...] = ()
    #: what differed at a try and was as expected at a later one
    wavering: tuple[Differs, ...] = ()
    #: why the round was not judged to its end; empty if it was
    unjudged: str = ""
    #: languages that this host lacks, whose canaries were left out
    without: tuple[str, ...] = ()
    duration_ms: int = 0

    @property
    def clean(self) -> bool:
        return not self.differing and not self.unjudged


async def judge_canaries(
    box: Box, *, shelf: Path, settings: JudgeSettings, flock: Sequence[Canary] = canaries.CANARIES
) -> Round:
    """One round, one canary at a time: it never takes more than one slot of the box from the jobs."""
    started = time.monotonic()
    here, without = _of_this_host(flock, settings)
    unjudged, good = "", 0
    differing: list[Differs] = []
    wavering: list[Differs] = []
    try:
        directory = await trio.to_thread.run_sync(_make_round, shelf, here)
        keeper = _Keeper(box, shelf, directory, settings)
        try:
            for canary in here:
                found = await keeper.judge(canary)
                if len(found) < TRIES:
                    good += 1
                    wavering += found
                    continue
                differing.append(found[-1])
                if len(differing) == ENOUGH:
                    unjudged = f"{ENOUGH} canaries differ, that is enough"
                    break
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(partial(shutil.rmtree, directory, ignore_errors=True))
    except _Unjudged as reason:
        unjudged = str(reason)
    except BoxBroken as broken:
        unjudged = str(broken)
    except OSError as error:
        unjudged = f"{error.strerror or error}: {error.filename or shelf}"
    return Round(
        as_expected=good,
        of=len(here),
        differing=tuple(differing),
        wavering=tuple(wavering),
        unjudged=unjudged,
        without=without,
        duration_ms=round((time.monotonic() - started) * 1000),
    )


class _Unjudged(Exception):
    """The host or the box could not do it: nothing is known about the verdicts."""


def _of_this_host(flock: Sequence[Canary], settings: JudgeSettings) -> tuple[list[Canary], tuple[str, ...]]:
    """Without the languages whose tool is missing: a node may lack those, and judges the others all the same."""
    without = {key for key in {canary.language for canary in flock} if not _tool_is_there(LANGUAGES[key], settings)}
    return [canary for canary in flock if canary.language not in without], tuple(sorted(without))


def _tool_is_there(language: Language, settings: JudgeSettings) -> bool:
    return os.access(language.tool(settings.toolchain), os.X_OK)


# ---------------------------------------------------------------------------------------------------------------------
# One canary


class _Keeper:
    """Judges the canaries of one round. ``directory`` is the round's, with what they read and must print."""

    def __init__(self, box: Box, shelf: Path, directory: Path, settings: JudgeSettings) -> None:
        self._box, self._shelf, self._dir, self._settings = box, shelf, directory, settings
        #: program → where it stands ready
        self._ready: dict[str, Path] = {}

    async def judge(self, canary: Canary) -> list[Differs]:
        """How it differed, try by try, until it came to what it must; ``TRIES`` of them: it never did."""
        expected = " or ".join(str(fate) for fate in canary.fates_at(self._box.isolation))
        differing: list[Differs] = []
        for number in range(1, TRIES + 1):
            found = await self._try(canary, again=number > 1, anew=number == TRIES)
            if found is None:
                break
            differing.append(Differs(canary.name, expected, found))
        return differing

    async def _try(self, canary: Canary, *, again: bool, anew: bool) -> str | None:
        """What it came to, in words, if that is not what it must come to."""
        program = None if anew else self._ready.get(canary.program)
        if program is None:
            found = await self._program(canary, anew=anew)
            if isinstance(found, RunOutcome):
                return _wrong(canary, _fate_of(Verdict.COMPILE_ERROR, found.rule, found), found)
            program = self._ready[canary.program] = found
        stdin, stdout, answer = (self._dir / f"{canary.name}.{kind}" for kind in ("in", "out", "ans"))
        spec = runs.run_spec(
            LANGUAGES[canary.language],
            program,
            stdin=stdin,
            stdout=stdout,
            limits=_limits(canary, again=again),
            toolchain=self._settings.toolchain,
        )
        outcome = await self._box.run(replace(spec, keep_stderr_bytes=KEEP_BYTES))
        _raise_if_ours(f"canary {canary.name}", outcome)
        status = verdicts.of_run(
            outcome.verdict, outcome.rule, exit_code=outcome.exit_code, exit_signal=outcome.exit_signal
        )
        rule = outcome.rule
        if status is verdicts.COMPARE:
            mismatch = await trio.to_thread.run_sync(compare_files, canary.compare, answer, stdout)
            status = Verdict.ACCEPTED if mismatch is None else Verdict.WRONG_ANSWER
            rule = rule if mismatch is None else "compare"
        return _wrong(canary, _fate_of(status, rule, outcome), outcome)

    async def _program(self, canary: Canary, *, anew: bool) -> Path | RunOutcome:
        """Where it stands, from the shelf or compiled and put there; or what the compiler came to, if it left none.
        That is never kept: a canary that must not compile is there for the compiler's sake."""
        language = LANGUAGES[canary.language]
        text = canaries.source(canary.program)
        place = await trio.to_thread.run_sync(_place, self._shelf, text, language, self._settings)
        if not anew and await trio.to_thread.run_sync(_is_ready, place, language):
            return place
        work = await trio.to_thread.run_sync(_make_compilation, self._dir, language, text)
        spec = runs.compile_spec(language, work, self._settings)
        if spec is not None:
            limits = replace(spec.limits, cpu_ms=COMPILE_CPU_MS, wall_ms=COMPILE_WALL_MS)
            outcome = await self._box.run(replace(spec, limits=limits))
            what = f"compiling canary {canary.name}"
            # the source is ours, so whatever ends the compiler from outside is the host's doing
            trouble = runs.compile_trouble(outcome, language, host_killed=True)
            if trouble is not None:
                raise _Unjudged(f"{what}: {trouble.message}")
            if outcome.verdict not in (RunVerdict.OK, RunVerdict.RE):
                raise _Unjudged(f"{what}: {outcome.verdict} by rule {outcome.rule}")
            if outcome.verdict is RunVerdict.RE or runs.compile_sentence(outcome, language, limits):
                return outcome
        await trio.to_thread.run_sync(_put, work, place)
        return place


def _limits(canary: Canary, *, again: bool) -> RunLimits:
    if not again or canary.is_about_cpu:
        return canary.limits
    return replace(canary.limits, cpu_ms=canary.limits.cpu_ms * PATIENCE)


def _raise_if_ours(what: str, outcome: RunOutcome) -> None:
    """A host that is out of something says nothing about verdicts. Any other failure of the sandbox is a finding: a
    System Error where there should be none."""
    if outcome.sandbox_error is not None and runs.sandbox_trouble(what, outcome.sandbox_error).outage:
        raise _Unjudged(f"{what}: {outcome.sandbox_error}")


def _fate_of(status: Verdict, rule: str, outcome: RunOutcome) -> Fate:
    """What ended it, as far as the program's own doing: how we end a program is our business."""
    own = rule in ("exit", "signal")
    return Fate(status, rule, outcome.exit_code if own else 0, outcome.exit_signal if own else 0)


def _wrong(canary: Canary, fate: Fate, outcome: RunOutcome) -> str | None:
    if not any(replace(expected, level=None) == fate for expected in canary.fates_at(outcome.isolation)):
        said = f": {outcome.sandbox_error}" if outcome.sandbox_error else ""
        return f"{fate}{said}"
    if canary.says not in outcome.stderr:
        return f"{fate} without '{visible(canary.says)}' on stderr"
    if canary.weighs_kb is not None and outcome.memory_kb > canary.weighs_kb:
        return f"{fate} weighing {outcome.memory_kb} KB, where {canary.weighs_kb} are allowed"
    return None


# ---------------------------------------------------------------------------------------------------------------------
# The shelf: blocking, called in threads


def _place(shelf: Path, text: str, language: Language, settings: JudgeSettings) -> Path:
    """Where a program stands: named by all that it comes from. A compiler is its file: path, size, time of change."""
    tool = Path(language.tool(settings.toolchain)).resolve()
    seen = tool.stat()
    command = [language.compile_argv(settings.toolchain), language.compile_env, language.artifact]
    parts = [text, language.key, command, str(tool), seen.st_size, seen.st_mtime_ns]
    return shelf / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _is_ready(place: Path, language: Language) -> bool:
    """Also notes that it is still wanted."""
    if not (place / (language.artifact or language.source_name)).is_file():
        return False
    os.utime(place)
    return True


def _make_round(shelf: Path, flock: Sequence[Canary]) -> Path:
    """A directory for one round, with each canary's input and answer; removes what nobody will come back for."""
    shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = time.time()
    for path in shelf.iterdir():
        limit = STALE_S if path.name.startswith("round-") else FORGOTTEN_S
        try:
            old = now - path.stat().st_mtime > limit
        except FileNotFoundError:  # another node of this workspace was quicker
            continue
        if old:
            shutil.rmtree(path, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix="round-", dir=shelf))
    try:
        for canary in flock:
            canary.stdin.write_to(directory / f"{canary.name}.in")
            canary.answer.write_to(directory / f"{canary.name}.ans")
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return directory


def _make_compilation(directory: Path, language: Language, text: str) -> Path:
    work = Path(tempfile.mkdtemp(prefix="compile-", dir=directory))
    (work / language.source_name).write_text(text, encoding="utf-8")
    return work


def _put(work: Path, place: Path) -> None:
    """In place of what may stand there. Another node of this workspace may come with the same program at the same
    time: the first one stays."""
    shutil.rmtree(place, ignore_errors=True)
    try:
        work.rename(place)
    except OSError:
        if not place.is_dir():
            raise
