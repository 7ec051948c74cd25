"""Vetting: the programs of a package that judging needs (checker, interactor) are compiled before anybody relies on
them. They are compiled, in the sandbox, within a checker's limits, and never run.

Three things can come of it. A program that a compiler refuses, or that no node could ever judge with, is a
``PackageFault``: the package is not taken. All compile: there is nothing to say. Or it cannot be said here and now (no
sandbox, no such toolchain on this host, a sandbox that fails, too many at once): ``Vetted.unchecked`` says why, the
package is taken, and a node that can will look (``revet``).

Few at a time: whoever brings packages waits, not those who are being judged.

What if we die here? A directory in the workspace, locked as an attempt's is: the next start sweeps it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj import observe
from deepoj.judging import checkers, testlib
from deepoj.judging.languages import Language
from deepoj.judging.packages import PackageFault, UnzipLimits, lay_out, open_package
from deepoj.judging.packages.faults import show
from deepoj.judging.packages.names import base
from deepoj.judging.problem import Plan, Program
from deepoj.judging.runs import JudgeSettings
from deepoj.pipeline.checking import compiled_program
from deepoj.pipeline.compiling import Compiled, Compiler
from deepoj.pipeline.workdir import AttemptDir
from deepoj.words import BoxBroken, Infra

#: how long a package waits for those before it
PATIENCE_S = 60.0
#: of a compiler's words: the first lines, which tell most
_LINES, _LINES_CHARS = 4, 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetted:
    """No program was found that cannot be used."""

    #: why not all of them were compiled, a sentence for everybody; None: all were, or there are none
    unchecked: str | None = None


@dataclass(frozen=True, slots=True)
class ProgramFault(PackageFault):
    """A program that cannot be used."""

    #: without the compiler's words, in which the source may stand: for everybody
    in_short: str


#: looks at the programs of a package; raises nothing but bugs
Vet = Callable[[Path, Plan], Awaitable[PackageFault | Vetted]]
#: a compiler for as long as it is needed, or why there is none (for the log)
Bench = Callable[[], AbstractAsyncContextManager[Compiler | str]]

NO_SANDBOX = Vetted(unchecked="The node that took the package has no sandbox to compile its programs in.")
NO_TIME = Vetted(unchecked="The node that took the package had no time to compile its programs.")
_BUSY = Vetted(unchecked="The node that took the package had too many others to compile.")
_FAILED = Vetted(unchecked="The node that took the package could not compile its programs.")


def programs_of(plan: Plan) -> tuple[tuple[str, Program], ...]:
    """What judging compiles, and what it is to people."""
    found: list[tuple[str, Program]] = []
    if plan.checker is not None:
        found.append(("interactor" if plan.checker.interactive else "checker", plan.checker.program))
    if plan.output_checker is not None:
        found.append(("checker", plan.output_checker.program))
    return tuple(found)


async def vetted(
    compiler: Compiler,
    plan: Plan,
    path: Callable[[str], Path],
    directory: Path,
    *,
    versions: Mapping[str, str],
    settings: JudgeSettings,
) -> PackageFault | Vetted:
    """Compiles each of ``programs_of``. ``path`` says where a file of the package stands, ``versions`` (by language
    key) what this host has; ``directory`` exists, and is filled.

    Raises:
      BoxBroken: as ``ports.Box`` does.
      OSError: a file cannot be read, or nothing can be written in the directory.
    """
    unchecked: str | None = None
    for number, (what, program) in enumerate(programs_of(plan)):
        language = checkers.language_of(program)
        fault = _hopeless(what, program, language)
        if fault is not None:
            return fault
        if language is None or (language.package and language.key not in versions):
            name = program.language if language is None else language.name
            unchecked = f"The node that took the package has no {name}, in which its {what} is written."
            continue
        found = await compiled_program(compiler, program, path, directory / str(number), settings=settings)
        if isinstance(found, Infra) and found.code == checkers.NO_TESTLIB:
            sentence = f"{_shown(what, program)} includes testlib.h, and the package has none. {testlib.MISSING}"
            return ProgramFault(program.entry, sentence, sentence)
        if isinstance(found, Infra):
            observe.log("package_unchecked", level="warning", reason=found.code, error=found.message)
            unchecked = _FAILED.unchecked
        elif found.executable is None:
            if found.reason.get("why") == "wall":  # the clock runs for a busy host, too
                unchecked = _FAILED.unchecked
            else:
                return _refused(what, program, language, found)
    return Vetted(unchecked=unchecked)


@dataclass(slots=True, kw_only=True)
class Vetting:
    """``Vet`` of one node. ``workdir`` is a directory for rooms like attempts' (``workdir.sweep`` sweeps it)."""

    bench: Bench
    workdir: Path
    unzip: UnzipLimits
    settings: JudgeSettings
    #: language key → version, of this host; filled while the node prepares
    versions: Mapping[str, str]
    at_once: int = 1
    patience_s: float = PATIENCE_S
    _turns: trio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._turns = trio.Semaphore(self.at_once)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return self._turns.statistics().tasks_waiting

    async def __call__(self, package: Path, plan: Plan) -> PackageFault | Vetted:
        if not programs_of(plan):
            return Vetted()
        with trio.move_on_after(self.patience_s) as waiting:
            await self._turns.acquire()
        if waiting.cancelled_caught:
            return _BUSY
        try:
            return await self._in_room(package, plan)
        finally:
            self._turns.release()

    async def _in_room(self, package: Path, plan: Plan) -> PackageFault | Vetted:
        try:
            room = await trio.to_thread.run_sync(AttemptDir.unnamed, self.workdir)
            try:
                return await self._vet(package, plan, room.path)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(room.close, False)
        except (BoxBroken, OSError) as error:
            observe.log("package_unchecked", level="warning", reason="broken", error=str(error))
            return _FAILED

    async def _vet(self, package: Path, plan: Plan, room: Path) -> PackageFault | Vetted:
        paths = await trio.to_thread.run_sync(_laid_out, package, plan, room, self.unzip)
        if isinstance(paths, PackageFault):
            return paths
        async with self.bench() as compiler:
            if isinstance(compiler, str):
                observe.log("package_unchecked", level="warning", reason="no_sandbox", error=compiler)
                return NO_SANDBOX
            return await vetted(compiler, plan, paths.__getitem__, room, versions=self.versions, settings=self.settings)


def _laid_out(package: Path, plan: Plan, room: Path, limits: UnzipLimits) -> Mapping[str, Path] | PackageFault:
    """The sources of the programs, in the room. Blocking."""
    names = tuple(dict.fromkeys(name for _, program in programs_of(plan) for name in program.files))
    into = room / "package"
    into.mkdir()
    with package.open("rb") as file:
        opened = open_package(file, limits)
        if isinstance(opened, PackageFault):
            return opened
        with opened:
            return lay_out(opened, names, into)


# ---------------------------------------------------------------------------------------------------------------------
# What is wrong with a program


def _hopeless(what: str, program: Program, language: Language | None) -> ProgramFault | None:
    """What no node could ever compile."""
    shown = _shown(what, program)
    if language is None:
        sentence = f"{shown} is in {program.language}, in which nothing is judged here."
        return ProgramFault(program.entry, sentence, sentence)
    if checkers.source_names(program) is None:
        sentence = f"{shown} has sources in folders of its own: put them all into one."
        return ProgramFault(program.entry, sentence, sentence)
    return None


def _refused(what: str, program: Program, language: Language, found: Compiled) -> ProgramFault:
    said = found.result.output if found.result is not None else ""
    if len(program.files) == 1:  # it was compiled under the language's own name for it
        said = said.replace(language.source_name, base(program.entry))
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    words = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " / ".join(lines[:_LINES]))
    if len(words) > _LINES_CHARS:
        words = words[:_LINES_CHARS] + "…"
    shown = f"{_shown(what, program)} does not compile"
    return ProgramFault(program.entry, f"{shown} ({language.name}): {words}.", f"{shown}.")


def _shown(what: str, program: Program) -> str:
    return f"The {what} {show(base(program.entry))}"
