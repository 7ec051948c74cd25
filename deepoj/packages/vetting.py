"""Vetting: compile the programs of a package that judging needs (checker, interactor) before the package is used. They
are compiled in the sandbox, within a checker's limits, and never run.

There are three results. If a compiler refuses a program, or no node could ever use it, the package is refused with a
``PackageFault``. If all compile, there is nothing to report. If this host cannot tell now (no sandbox, no such
toolchain, a failing sandbox, too many packages at once), ``Vetted.unchecked`` says why. Then the package is accepted,
and a node that can compile checks it later (``revet``).

Few packages are compiled at a time: uploaders wait, and not the submissions that are being judged.

What if we die here? What remains is a directory in the workspace, locked as an attempt's is: the next start sweeps it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj import observe
from deepoj.execution.checking import compiled_program
from deepoj.execution.compiling import Compiled, Compiler
from deepoj.execution.workdir import AttemptDir
from deepoj.judging import checkers, testlib
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.languages import Language
from deepoj.judging.paths import base
from deepoj.judging.problem import Plan, Program
from deepoj.packages.formats import PackageFault, UnzipLimits, lay_out, open_package
from deepoj.packages.formats.faults import show
from deepoj.words.errors import BoxBroken
from deepoj.words.results import Infra

#: how long a package waits for those before it
PATIENCE_S = 60.0
#: how much of the compiler's messages is shown: the first lines say most
_LINES, _LINES_CHARS = 4, 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetted:
    """No unusable program was found."""

    #: why not all of them were compiled, in a sentence for all users; None: all were, or there are none
    unchecked: str | None = None


@dataclass(frozen=True, slots=True)
class ProgramFault(PackageFault):
    """A program that cannot be used."""

    #: the sentence without the compiler's messages, which may quote the source: for all users
    in_short: str


#: checks the programs of a package; raises only bugs
Vet = Callable[[Path, Plan], Awaitable[PackageFault | Vetted]]
#: provides a compiler while it is needed, or says why there is none (for the log)
Bench = Callable[[], AbstractAsyncContextManager[Compiler | str]]

NO_SANDBOX = Vetted(unchecked="The node that took the package has no sandbox to compile its programs in.")
NO_TIME = Vetted(unchecked="The node that took the package had no time to compile its programs.")
_BUSY = Vetted(unchecked="The node that took the package had too many others to compile.")
_FAILED = Vetted(unchecked="The node that took the package could not compile its programs.")


def programs_of(plan: Plan) -> tuple[tuple[str, Program], ...]:
    """Return the programs that judging compiles, each with its name for users."""
    programs: list[tuple[str, Program]] = []
    if plan.checker is not None:
        programs.append(("interactor" if plan.checker.interactive else "checker", plan.checker.program))
    if plan.output_checker is not None:
        programs.append(("checker", plan.output_checker.program))
    if plan.grader is not None:
        programs.append(("grader", plan.grader))
    return tuple(programs)


async def vetted(
    compiler: Compiler,
    plan: Plan,
    path: Callable[[str], Path],
    directory: Path,
    *,
    versions: Mapping[str, str],
    settings: JudgeSettings,
) -> PackageFault | Vetted:
    """Compile each of ``programs_of``. ``path`` returns the path of a file of the package; ``versions`` holds this
    host's tool versions by language key; ``directory`` exists, and is filled.

    Raises:
      BoxBroken: as ``ports.Box`` does.
      OSError: a file cannot be read, or the directory cannot be written to.
    """
    unchecked: str | None = None
    for number, (what, program) in enumerate(programs_of(plan)):
        language = checkers.language_of(program)
        fault = _unusable(what, program, language)
        if fault is not None:
            return fault
        if language is None or (language.package and language.key not in versions):
            name = program.language if language is None else language.name
            unchecked = f"The node that took the package has no {name}, in which its {what} is written."
            continue
        compiled = await compiled_program(compiler, program, path, directory / str(number), settings=settings)
        if isinstance(compiled, Infra) and compiled.code == checkers.NO_TESTLIB:
            sentence = f"{_shown(what, program)} includes testlib.h, and the package has none. {testlib.MISSING}"
            return ProgramFault(program.entry, sentence, sentence)
        if isinstance(compiled, Infra):
            observe.log("package_unchecked", level="warning", reason=compiled.code, error=compiled.message)
            unchecked = _FAILED.unchecked
        elif compiled.executable is None:
            if compiled.reason.get("why") == "wall":  # the wall clock also counts while the host is busy
                unchecked = _FAILED.unchecked
            else:
                return _refused(what, program, language, compiled)
    return Vetted(unchecked=unchecked)


@dataclass(slots=True, kw_only=True)
class Vetting:
    """``Vet`` of one node. ``workdir`` holds directories as attempts have them (``workdir.sweep`` removes them)."""

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
    """Put the programs' sources into ``room`` and return their paths. Blocking."""
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


def _unusable(what: str, program: Program, language: Language | None) -> ProgramFault | None:
    """Return the fault of a program that no node could ever compile."""
    shown = _shown(what, program)
    if language is None:
        sentence = f"{shown} is in {program.language}, which this server does not support."
        return ProgramFault(program.entry, sentence, sentence)
    if checkers.source_names(program) is None:
        sentence = f"{shown} has sources in subdirectories: put them all into one directory."
        return ProgramFault(program.entry, sentence, sentence)
    return None


def _refused(what: str, program: Program, language: Language, compiled: Compiled) -> ProgramFault:
    output = compiled.result.output if compiled.result is not None else ""
    if len(program.files) == 1:  # it was compiled under the language's own name for it
        output = output.replace(language.source_name, base(program.entry))
    lines = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    words = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " / ".join(lines[:_LINES]))
    if len(words) > _LINES_CHARS:
        words = words[:_LINES_CHARS] + "…"
    shown = f"{_shown(what, program)} does not compile"
    return ProgramFault(program.entry, f"{shown} ({language.name}): {words}.", f"{shown}.")


def _shown(what: str, program: Program) -> str:
    return f"The {what} {show(base(program.entry))}"
