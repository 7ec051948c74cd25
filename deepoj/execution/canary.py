"""Judge one round of canaries: programs with known verdicts (``judging.canaries``), judged as submissions are.

They are compiled by the same policy, run by the same specification, decided by the same table and compared by the same
code as submissions, so a fault in any of them shows. A canary with an unexpected verdict is judged again, the last time
with a newly compiled program, and differs only if every try does: the host may have been at fault. A failure of the
sandbox itself (it is away, the host is out of memory) says nothing about its verdicts: the round ends unjudged.

Compiled programs are kept in ``<cache_dir>/<digest of the source, the command line and the compiler>``, so that
neither the next round nor the next start compiles.

If the process dies here: a program appears in ``cache_dir`` by a rename, completely or not at all. Directories of a
round or a compilation that did not end are removed by a later round, ``STALE_S`` after they were last written.
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

from deepoj.judging import canaries, exec_rules, verdicts
from deepoj.judging.canaries import Canary, ExpectedResult
from deepoj.judging.compare import compare_files
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.languages import LANGUAGES, Language
from deepoj.judging.text import visible
from deepoj.ports.sandbox import Box
from deepoj.words.errors import BoxBroken
from deepoj.words.results import Verdict
from deepoj.words.sandbox import RunLimits, RunOutcome, RunVerdict

#: how often a canary is judged before it counts as differing; the last time with a newly compiled program
TRIES = 3
#: factor of the CPU limit in a re-run: a slow host is not a wrong judge
PATIENCE = 10
#: a round ends after this many differing canaries: that is enough to shut the gate
ENOUGH = 5
#: for compiling on a host under load; the limits of submissions do not fit our own programs
COMPILE_CPU_MS = 60_000
COMPILE_WALL_MS = 180_000
#: longer than any round takes
STALE_S = 3600.0
#: age at which unused programs are removed: their compilers are gone
FORGOTTEN_S = 7 * 86_400.0
KEEP_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Differs:
    """A canary with an unexpected verdict."""

    name: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"canary {self.name}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRound:
    """The result of one round. It is clean if no canary differs and none was left unjudged."""

    as_expected: int
    #: number of canaries for this host's languages
    of: int
    differing: tuple[Differs, ...] = ()
    #: canaries that differed at one try and were as expected at a later one
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
    box: Box, *, cache_dir: Path, settings: JudgeSettings, suite: Sequence[Canary] = canaries.CANARIES
) -> CanaryRound:
    """Judge one round, one canary at a time, so that it never takes more than one slot of the sandbox from the jobs."""
    started = time.monotonic()
    here, without = _of_this_host(suite, settings)
    unjudged, good = "", 0
    differing: list[Differs] = []
    wavering: list[Differs] = []
    try:
        directory = await trio.to_thread.run_sync(_make_round, cache_dir, here)
        judge = _CanaryJudge(box, cache_dir, directory, settings)
        try:
            for canary in here:
                fails = await judge.judge(canary)
                if len(fails) < TRIES:
                    good += 1
                    wavering += fails
                    continue
                differing.append(fails[-1])
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
        unjudged = f"{error.strerror or error}: {error.filename or cache_dir}"
    return CanaryRound(
        as_expected=good,
        of=len(here),
        differing=tuple(differing),
        wavering=tuple(wavering),
        unjudged=unjudged,
        without=without,
        duration_ms=round((time.monotonic() - started) * 1000),
    )


class _Unjudged(Exception):
    """The host or the sandbox failed: the verdicts remain unknown."""


def _of_this_host(suite: Sequence[Canary], settings: JudgeSettings) -> tuple[list[Canary], tuple[str, ...]]:
    """Leave out languages whose tool is missing: a node may lack those, and judges the others all the same."""
    without = {key for key in {canary.language for canary in suite} if not _tool_is_there(LANGUAGES[key], settings)}
    return [canary for canary in suite if canary.language not in without], tuple(sorted(without))


def _tool_is_there(language: Language, settings: JudgeSettings) -> bool:
    return os.access(language.tool(settings.toolchain), os.X_OK)


# ---------------------------------------------------------------------------------------------------------------------
# One canary


class _CanaryJudge:
    """Judges the canaries of one round. ``directory`` is the round's, with their inputs and answers."""

    def __init__(self, box: Box, cache_dir: Path, directory: Path, settings: JudgeSettings) -> None:
        self._box, self._cache_dir, self._dir, self._settings = box, cache_dir, directory, settings
        #: program → its directory, once it is ready
        self._ready: dict[str, Path] = {}

    async def judge(self, canary: Canary) -> list[Differs]:
        """Return the differences of the tries until one is as expected; ``TRIES`` of them: none was."""
        expected = " or ".join(str(fate) for fate in canary.fates_at(self._box.isolation))
        differing: list[Differs] = []
        for number in range(1, TRIES + 1):
            fate = await self._try(canary, again=number > 1, recompile=number == TRIES)
            if fate is None:
                break
            differing.append(Differs(canary.name, expected, fate))
        return differing

    async def _try(self, canary: Canary, *, again: bool, recompile: bool) -> str | None:
        """Return the outcome in words if it is not an expected one, else None."""
        program = None if recompile else self._ready.get(canary.program)
        if program is None:
            compiled = await self._program(canary, recompile=recompile)
            if isinstance(compiled, RunOutcome):
                return _wrong(canary, _fate_of(Verdict.COMPILE_ERROR, compiled.rule, compiled), compiled)
            program = self._ready[canary.program] = compiled
        stdin, stdout, answer = (self._dir / f"{canary.name}.{kind}" for kind in ("in", "out", "ans"))
        spec = exec_rules.run_spec(
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

    async def _program(self, canary: Canary, *, recompile: bool) -> Path | RunOutcome:
        """Return the program's directory, kept or newly compiled; or the compiler's outcome, if it left no program.
        That outcome is never kept: a canary that must not compile tests the compiler."""
        language = LANGUAGES[canary.language]
        text = canaries.source(canary.program)
        place = await trio.to_thread.run_sync(_place, self._cache_dir, text, language, self._settings)
        if not recompile and await trio.to_thread.run_sync(_is_ready, place, language):
            return place
        work = await trio.to_thread.run_sync(_make_compilation, self._dir, language, text)
        spec = exec_rules.compile_spec(language, work, self._settings)
        if spec is not None:
            limits = replace(spec.limits, cpu_ms=COMPILE_CPU_MS, wall_ms=COMPILE_WALL_MS)
            outcome = await self._box.run(replace(spec, limits=limits))
            what = f"compiling canary {canary.name}"
            # the source is ours, so anything that ends the compiler from outside is the host's fault
            trouble = exec_rules.compile_trouble(outcome, language, host_killed=True)
            if trouble is not None:
                raise _Unjudged(f"{what}: {trouble.message}")
            if outcome.verdict not in (RunVerdict.OK, RunVerdict.RE):
                raise _Unjudged(f"{what}: {outcome.verdict} by rule {outcome.rule}")
            if outcome.verdict is RunVerdict.RE or exec_rules.compile_sentence(outcome, language, limits):
                return outcome
        await trio.to_thread.run_sync(_put, work, place)
        return place


def _limits(canary: Canary, *, again: bool) -> RunLimits:
    if not again or canary.is_about_cpu:
        return canary.limits
    return replace(canary.limits, cpu_ms=canary.limits.cpu_ms * PATIENCE)


def _raise_if_ours(what: str, outcome: RunOutcome) -> None:
    """Raise if the host lacks a resource, which says nothing about verdicts. Any other failure of the sandbox is a
    finding: a System Error where there should be none."""
    if outcome.sandbox_error is not None and exec_rules.sandbox_trouble(what, outcome.sandbox_error).outage:
        raise _Unjudged(f"{what}: {outcome.sandbox_error}")


def _fate_of(status: Verdict, rule: str, outcome: RunOutcome) -> ExpectedResult:
    """Return the verdict and the rule, with exit code and signal only where the program itself ended."""
    own = rule in ("exit", "signal")
    return ExpectedResult(status, rule, outcome.exit_code if own else 0, outcome.exit_signal if own else 0)


def _wrong(canary: Canary, fate: ExpectedResult, outcome: RunOutcome) -> str | None:
    if not any(replace(expected, level=None) == fate for expected in canary.fates_at(outcome.isolation)):
        message = f": {outcome.sandbox_error}" if outcome.sandbox_error else ""
        return f"{fate}{message}"
    if canary.says not in outcome.stderr:
        return f"{fate} without '{visible(canary.says)}' on stderr"
    if canary.weighs_kb is not None and outcome.memory_kb > canary.weighs_kb:
        return f"{fate} using {outcome.memory_kb} KB, where {canary.weighs_kb} are allowed"
    return None


# ---------------------------------------------------------------------------------------------------------------------
# The directory of programs: blocking, called in threads


def _place(cache_dir: Path, text: str, language: Language, settings: JudgeSettings) -> Path:
    """Return a program's directory, named by everything that decides it. A compiler is known by path, size and time of
    change."""
    tool = Path(language.tool(settings.toolchain)).resolve()
    stat = tool.stat()
    command = [language.compile_argv(settings.toolchain), language.compile_env, language.artifact]
    parts = [text, language.key, command, str(tool), stat.st_size, stat.st_mtime_ns]
    return cache_dir / hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _is_ready(place: Path, language: Language) -> bool:
    """Whether the program is there. Also marks it as still used."""
    if not (place / (language.artifact or language.source_name)).is_file():
        return False
    os.utime(place)
    return True


def _make_round(cache_dir: Path, suite: Sequence[Canary]) -> Path:
    """Make a directory for one round, with each canary's input and answer. Remove what is stale."""
    cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = time.time()
    for path in cache_dir.iterdir():
        limit = STALE_S if path.name.startswith("round-") else FORGOTTEN_S
        try:
            old = now - path.stat().st_mtime > limit
        except FileNotFoundError:  # another node of this workspace removed it first
            continue
        if old:
            shutil.rmtree(path, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix="round-", dir=cache_dir))
    try:
        for canary in suite:
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
    """Put the program there, in place of an old one. Another node of this workspace may put the same program there at
    the same time: the first one stays."""
    shutil.rmtree(place, ignore_errors=True)
    try:
        work.rename(place)
    except OSError:
        if not place.is_dir():
            raise
