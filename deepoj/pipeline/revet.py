"""Problems that were taken unchecked: a node that judges compiles their programs, and says what came of it.

What if we die here? The problem stays unchecked, and is looked at again. Two nodes may look at the same one: they come
to the same, and what the later one says changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj import observe
from deepoj.judging.packages import PackageFault, check_upload
from deepoj.pipeline.vetting import ProgramFault, Vetted, Vetting
from deepoj.pipeline.workdir import AttemptDir
from deepoj.ports import Blobs, Problems
from deepoj.words import BlobMissing, BlobsUnavailable, Problem

#: problems of a page
PAGE = 50


@dataclass(slots=True, kw_only=True)
class Revet:
    """Looks at one problem a round."""

    problems: Problems
    blobs: Blobs
    vetting: Vetting
    #: by id and package: what this node has looked at in vain, until it starts again with other tools
    _vain: set[tuple[int, str]] = field(default_factory=set)
    #: the id of the problem whose object could not be had: the next round begins behind it
    _passed: int = 0

    async def once(self) -> Problem | None:
        """The problem that was looked at; None: there was none.

        Raises StoreUnavailable.
        """
        problem = await self._next()
        if problem is None:
            return None
        try:
            found = await self._look(problem)
        except BlobsUnavailable as away:
            observe.log("package_unchecked", level="warning", problem_id=problem.id, reason="objects", error=str(away))
            self._passed = problem.id
            return problem
        except (BlobMissing, OSError) as error:
            observe.log("package_unchecked", level="warning", problem_id=problem.id, reason="broken", error=str(error))
            found = None
        match found:
            case ProgramFault():
                observe.log("package_broken", level="warning", problem_id=problem.id, error=found.sentence)
                await self.problems.tell_programs(problem.id, problem.data_hash, found.in_short)
            case Vetted(unchecked=None):
                await self.problems.tell_programs(problem.id, problem.data_hash, None)
            case _:
                self._vain.add((problem.id, problem.data_hash))
        return problem

    async def _next(self) -> Problem | None:
        """The first behind the one that was passed over, else the first of all: one that is not to be had at the time
        keeps nobody waiting."""
        found = await self._first(self._passed)
        return found or (await self._first(0) if self._passed else None)

    async def _first(self, after: int) -> Problem | None:
        while page := await self.problems.unchecked_problems(after, PAGE):
            for one in page:
                if (one.id, one.data_hash) not in self._vain:
                    return one
            after = page[-1].id
        return None

    async def _look(self, problem: Problem) -> PackageFault | Vetted:
        room = await trio.to_thread.run_sync(AttemptDir.unnamed, self.vetting.workdir)
        try:
            package: Path = room.path / "package.zip"
            await self.blobs.fetch(problem.data_path, package)
            plan = await trio.to_thread.run_sync(check_upload, package, self.vetting.unzip)
            return plan if isinstance(plan, PackageFault) else await self.vetting(package, plan)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(room.close, False)
