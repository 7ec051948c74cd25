"""Check problems that were published unchecked: a node that judges compiles their programs and records the result.

What if we die here? The problem stays unchecked, and is checked again. Two nodes may check the same problem: their
results are the same, and the later one changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj import observe
from deepoj.execution.workdir import AttemptDir
from deepoj.packages.formats import PackageFault, check_upload
from deepoj.packages.vetting import ProgramFault, Vetted, Vetting
from deepoj.ports.blobs import Blobs
from deepoj.ports.problems import Problems
from deepoj.words.errors import BlobMissing, BlobsUnavailable
from deepoj.words.problems import Problem

#: problems per page
PAGE = 50


@dataclass(slots=True, kw_only=True)
class Revet:
    """Checks one problem per round."""

    problems: Problems
    blobs: Blobs
    vetting: Vetting
    #: (id, package) of problems that this node could not check; a restart, with other tools, tries them again
    _unable: set[tuple[int, str]] = field(default_factory=set)
    #: the id of the problem whose object could not be fetched: the next round begins after it
    _passed: int = 0

    async def once(self) -> Problem | None:
        """Check one problem and return it; None: there was none.

        Raises StoreUnavailable.
        """
        problem = await self._next()
        if problem is None:
            return None
        try:
            outcome = await self._check(problem)
        except BlobsUnavailable as away:
            observe.log("package_unchecked", level="warning", problem_id=problem.id, reason="objects", error=str(away))
            self._passed = problem.id
            return problem
        except (BlobMissing, OSError) as error:
            observe.log("package_unchecked", level="warning", problem_id=problem.id, reason="broken", error=str(error))
            outcome = None
        match outcome:
            case ProgramFault():
                observe.log("package_broken", level="warning", problem_id=problem.id, error=outcome.sentence)
                await self.problems.tell_programs(problem.id, problem.data_hash, outcome.in_short)
            case Vetted(unchecked=None):
                await self.problems.tell_programs(problem.id, problem.data_hash, None)
            case _:
                self._unable.add((problem.id, problem.data_hash))
        return problem

    async def _next(self) -> Problem | None:
        """Return the first problem after the one that was passed over, or else the first of all: a problem that cannot
        be fetched now must not delay the others."""
        problem = await self._first(self._passed)
        return problem or (await self._first(0) if self._passed else None)

    async def _first(self, after: int) -> Problem | None:
        while page := await self.problems.unchecked_problems(after, PAGE):
            for one in page:
                if (one.id, one.data_hash) not in self._unable:
                    return one
            after = page[-1].id
        return None

    async def _check(self, problem: Problem) -> PackageFault | Vetted:
        room = await trio.to_thread.run_sync(AttemptDir.unnamed, self.vetting.workdir)
        try:
            package: Path = room.path / "package.zip"
            await self.blobs.fetch(problem.data_path, package)
            plan = await trio.to_thread.run_sync(check_upload, package, self.vetting.unzip)
            return plan if isinstance(plan, PackageFault) else await self.vetting(package, plan)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(room.close, False)
