"""Run a setter's checker, compiled once per attempt, on each output.

Whose fault is a failure? Never the contestant's, unless the checker says so in its protocol (``judging.checkers``). A
checker that does not compile is the setter's fault, too: ``Infra`` with the compiler's messages.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from deepoj.execution.compiling import Compiled, Compiler, Executable
from deepoj.execution.context import AttemptContext
from deepoj.judging import checkers, testlib
from deepoj.judging.checkers import Ruling
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.languages import Language
from deepoj.judging.problem import Checker, Program
from deepoj.judging.sources import scratch_names
from deepoj.words.problems import Problem
from deepoj.words.results import Infra
from deepoj.words.sandbox import FileIn, Isolation
from deepoj.words.sources import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The output of one test to check, and the test's files."""

    test: str
    output: Path
    #: None: the test has none, and the checker gets an empty file
    input: Path | None
    answer: Path | None
    #: the test's own arguments for the checker
    args: tuple[str, ...] = ()


class Checking:
    """A checker during one attempt. ``directory`` is its own, below the attempt's, and does not exist yet; ``path``
    returns the path of a file of the package."""

    def __init__(
        self,
        context: AttemptContext,
        checker: Checker,
        path: Callable[[str], Path],
        directory: Path,
        *,
        problem: Problem,
        scored: bool,
    ) -> None:
        self._context, self._checker, self._path, self._dir = context, checker, path, directory
        self._scored = scored
        self._limits = checkers.check_limits(problem, context.settings, checkers.language_of(checker.program))
        self._program: Executable | Infra | None = None
        self._compiling = trio.Lock()
        #: empty directories for feedback: outputs are checked beside each other
        self._feedbacks = [directory / "feedback"]
        self._places = itertools.count(2)
        #: the weakest isolation of any of its runs
        self.isolation: Isolation = context.box.isolation

    async def check(self, what: Output) -> Ruling | Infra:
        """Return the checker's ruling on one output. The checker is compiled for the first output, because most
        programs that fail by themselves never need it.

        Raises:
          BoxBroken: as ``ports.Box`` does.
          OSError: a file cannot be read, or the directory cannot be written to.
        """
        program = await self.executable()
        if isinstance(program, Infra):
            return program
        empty = self._dir / "empty"
        feedback_dir = await self._empty_feedback()
        spec = checkers.check_spec(
            self._checker,
            argv=program.argv,
            files_in=program.files_in,
            env=program.env,
            files={
                checkers.INPUT: what.input or empty,
                checkers.OUTPUT: what.output,
                checkers.ANSWER: what.answer or empty,
            },
            args=what.args,
            feedback=feedback_dir,
            limits=self._limits,
        )
        outcome = await self._context.run(spec, "check")
        self.isolation = min(self.isolation, outcome.isolation)
        feedback = await trio.to_thread.run_sync(_take, feedback_dir, outcome.files_out)
        self._feedbacks.append(feedback_dir)
        return checkers.ruling_of(
            self._checker, outcome, feedback, test=what.test, limits=self._limits, scored=self._scored
        )

    async def executable(self) -> Executable | Infra:
        """Return the checker as a program, compiled at the first call. For programs that are not run here, as an
        interactor. Raises as :meth:`check` does."""
        if self._program is None:
            async with self._compiling:
                if self._program is None:
                    self._program = await self._compile()
        return self._program

    async def _empty_feedback(self) -> Path:
        if self._feedbacks:
            return self._feedbacks.pop()
        directory = self._dir / f"feedback{next(self._places)}"
        await trio.to_thread.run_sync(directory.mkdir)
        return directory

    async def _compile(self) -> Executable | Infra:
        await trio.to_thread.run_sync(_make, self._dir)
        compiled = await compiled_program(
            self._context.compiler,
            self._checker.program,
            self._path,
            self._dir / "program",
            settings=self._context.settings,
            about=self._context.about,
        )
        if isinstance(compiled, Infra):
            return compiled
        if compiled.isolation is not None:
            self.isolation = min(self.isolation, compiled.isolation)
        if compiled.executable is None:
            message = compiled.result.output if compiled.result is not None else ""
            return checkers.broken("being compiled", "the compiler refused it", message[: checkers.MESSAGE_CHARS])
        return compiled.executable


async def compiled_program(
    compiler: Compiler,
    program: Program,
    path: Callable[[str], Path],
    directory: Path,
    *,
    settings: JudgeSettings,
    about: Mapping[str, Any] | None = None,
) -> Compiled | Infra:
    """Compile a setter's program. ``directory`` is its own and does not exist yet; ``path`` returns the path of a file
    of the package.

    Raises:
      BoxBroken: as ``ports.Box`` does.
      OSError: a file cannot be read, or the directory cannot be written to.
    """
    language = checkers.language_of(program)
    if language is None:
        return Infra(checkers.BROKEN, f"this node has no language '{program.language}' of the checker")
    names = checkers.source_names(program)
    if names is None:
        return Infra(checkers.BROKEN, "the checker has sources in subdirectories, which are not supported here")
    sources = await trio.to_thread.run_sync(_lay_out, language, names, path, directory)
    if sources is None:
        return Infra(checkers.NO_TESTLIB, f"{program.entry}: {testlib.MISSING}")
    return await compiler.compile(
        checkers.with_flags(checkers.with_headers_beside(language), program),
        sources,
        sources[0].name if len(sources) == 1 else names[program.entry],
        into=directory,
        limits=checkers.compile_limits(settings, language),
        memory_mb=checkers.heap_mb(settings),
        about=about,
    )


def _make(directory: Path) -> None:
    """Make the files that runs of a checker need. Blocking."""
    (directory / "feedback").mkdir(parents=True)
    (directory / "empty").touch()


def _lay_out(
    language: Language, names: Mapping[str, str], path: Callable[[str], Path], directory: Path
) -> tuple[FileIn, ...] | None:
    """Make the directory. Return the sources with their names in the sandbox, or None if they need ``testlib.h`` and it
    is missing. Blocking."""
    directory.mkdir()
    sources = [FileIn(inside, path(name)) for name, inside in names.items()]
    includes = checkers.takes_headers(language) and any(
        checkers.wants_testlib(source.path.read_bytes()) for source in sources
    )
    if includes and testlib.NAME not in names.values():
        text = testlib.header()
        if text is None:
            return None
        header = directory / testlib.NAME
        header.write_bytes(text)
        sources.append(FileIn(testlib.NAME, header))
    if len(sources) == 1:
        (only,) = sources
        code = only.path.read_bytes().decode("utf-8", "replace")
        (name,) = scratch_names(language, (SourceFile(only.name, code),))
        sources = [FileIn(name, only.path)]
    return checkers.brought_for(language, sources)


def _take(feedback: Path, names: tuple[str, ...]) -> Mapping[str, bytes]:
    """Read the feedback files of a run and remove them: the next run starts with an empty directory."""
    texts = {name: (feedback / name).read_bytes() for name in names}
    for name in names:
        (feedback / name).unlink()
    return texts
