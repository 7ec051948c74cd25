"""Run a package's grader, compiled once per attempt, on the test groups that have one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import trio

from deepoj.execution.checking import compiled_program
from deepoj.execution.compiling import Executable
from deepoj.execution.context import AttemptContext
from deepoj.judging import checkers, graders
from deepoj.judging.problem import Group, Plan
from deepoj.judging.scoring.outcome import Graded
from deepoj.judging.scoring.submission import Scoring
from deepoj.words.problems import Problem
from deepoj.words.results import Infra
from deepoj.words.sandbox import Isolation


class Grading:
    """The grader of one attempt. ``directory`` is its own and does not exist yet; ``path`` returns the path of a file
    of the package."""

    def __init__(
        self, context: AttemptContext, plan: Plan, path: Callable[[str], Path], directory: Path, *, problem: Problem
    ) -> None:
        self._context, self._plan, self._path, self._dir, self._problem = context, plan, path, directory, problem
        self._program: Executable | Infra | None = None
        #: the weakest isolation of any run
        self.isolation: Isolation = context.box.isolation

    async def next_test(self, scoring: Scoring, *, hurry: bool) -> int | Infra | None:
        """Return the next test, once the groups before it have their grader's result; None: there is no more.

        Raises:
          BoxBroken: as ``ports.Box`` does.
          OSError: a file cannot be read, or the directory cannot be written to.
        """
        while True:
            number = scoring.next(hurry=hurry)
            ended = scoring.ungraded()
            if ended is None:
                return number
            group, members = ended
            graded = await self._grade(group, members)
            if isinstance(graded, Infra):
                return graded
            scoring.grade(group.name, graded)

    async def _grade(self, group: Group, members: tuple[Graded, ...]) -> Graded | Infra:
        if self._program is None:
            self._program = await self._compile()
        program = self._program
        if isinstance(program, Infra):
            return program
        results = self._dir / "results"
        await trio.to_thread.run_sync(results.write_text, graders.lines_of(members))
        language = None if self._plan.grader is None else checkers.language_of(self._plan.grader)
        spec = graders.grader_spec(
            (*program.argv, *(group.grader_args or ())),
            program.files_in,
            program.env,
            results=results,
            # its input is a few lines, however long programs may run
            limits=checkers.check_limits(replace(self._problem, time_limit_ms=0), self._context.settings, language),
        )
        outcome = await self._context.run(spec, "grade")
        self.isolation = min(self.isolation, outcome.isolation)
        return graders.grade_of(outcome, group.name)

    async def _compile(self) -> Executable | Infra:
        if self._plan.grader is None:
            return Infra(checkers.BROKEN, "the package has no grader")
        await trio.to_thread.run_sync(self._dir.mkdir)
        compiled = await compiled_program(
            self._context.compiler,
            self._plan.grader,
            self._path,
            self._dir / "program",
            settings=self._context.settings,
            about=self._context.about,
        )
        if isinstance(compiled, Infra):
            return compiled
        self.isolation = min(self.isolation, compiled.isolation or self.isolation)
        if compiled.executable is None:
            output = "" if compiled.result is None else compiled.result.output
            return graders.broken("being compiled", "the compiler refused it", output.encode())
        return compiled.executable
