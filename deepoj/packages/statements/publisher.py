"""Renders the statements of a package that a problem got, and stores them; later, if this node cannot render.

A node without a sandbox or the converter stores the source as text, so that readers see something, and leaves the
problem marked: a judge node renders it (``RenderLater``). Few packages are rendered at a time.

What if we die here? The problem stays marked, and is rendered again. Two nodes may render the same package: the later
result replaces the earlier one by an equal one. With another package by then, nothing is stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj import observe
from deepoj.execution.workdir import AttemptDir
from deepoj.judging.problem import Plan
from deepoj.packages.formats import PackageFault, UnzipLimits, check_upload
from deepoj.packages.statements.pandoc import is_installed
from deepoj.packages.statements.rendering import Rendered, StatementRenderer, needs_converter
from deepoj.packages.vetting import Bench
from deepoj.ports.blobs import Blobs
from deepoj.ports.sandbox import Box
from deepoj.ports.statements import Statements
from deepoj.words.errors import BlobMissing, BlobsUnavailable, BoxBroken, StoreUnavailable
from deepoj.words.problems import Problem
from deepoj.words.statements import RENDERER_VERSION

#: problems per page
PAGE = 50
#: how long the statements of one package may take
RENDER_WITHIN_S = 30.0

#: stores the statements of a package that a problem got; raises only bugs
PublishStatements = Callable[[Path, Plan, Problem], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class StatementPublisher:
    """``PublishStatements`` of one node. ``workdir`` holds directories as attempts have them. ``bench`` is that of
    ``Vetting``; None: this node has no sandbox."""

    statements: Statements
    bench: Bench | None
    workdir: Path
    unzip: UnzipLimits
    metrics: observe.Metrics
    within_s: float = RENDER_WITHIN_S
    _turn: trio.Semaphore = field(default_factory=lambda: trio.Semaphore(1))

    async def __call__(self, package: Path, plan: Plan, problem: Problem) -> None:
        try:
            await self.publish(package, plan, problem)
        except (StoreUnavailable, OSError) as error:
            _log(problem, "broken", str(error))

    async def publish(self, package: Path, plan: Plan, problem: Problem) -> bool:
        """Store the statements; return whether they are final.

        Raises:
          StoreUnavailable: they may or may not be stored.
          OSError: the package cannot be read, or the workspace cannot be written to.
        """
        rendered: Rendered | PackageFault | None = None
        async with self._turn:  # the time of others is not this package's
            with trio.move_on_after(self.within_s):
                try:
                    async with self._box(plan) as box:
                        rendered = await self._render(package, plan, problem, box)
                except BoxBroken as broken:
                    _log(problem, "broken", str(broken))
        if rendered is None:
            rendered = await self._render(package, plan, problem, None)
        if isinstance(rendered, PackageFault):
            _log(problem, "package", rendered.sentence)
            return False
        renderer = RENDERER_VERSION if rendered.is_final else 0
        await self.statements.keep_statements(problem.id, problem.data_hash, rendered.found, renderer=renderer)
        return rendered.is_final

    async def _render(self, package: Path, plan: Plan, problem: Problem, box: Box | None) -> Rendered | PackageFault:
        room = await trio.to_thread.run_sync(AttemptDir.unnamed, self.workdir)
        try:
            return await StatementRenderer(
                package=package,
                plan=plan,
                problem_id=problem.id,
                unzip=self.unzip,
                box=box,
                room=room.path,
                metrics=self.metrics,
            ).render()
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(room.close, False)

    @asynccontextmanager
    async def _box(self, plan: Plan) -> AsyncIterator[Box | None]:
        """Provide the sandbox, if the package needs it and there is one."""
        if self.bench is None or not needs_converter(plan) or not is_installed():
            yield None
            return
        async with self.bench() as compiler:
            yield None if isinstance(compiler, str) else compiler.box


@dataclass(slots=True, kw_only=True)
class RenderLater:
    """Renders the statements of one marked problem per round, on a node that judges. Without the converter it stores
    their sources as text, until another node, or this one when it has the converter, renders them."""

    statements: Statements
    blobs: Blobs
    publisher: StatementPublisher
    #: (id, package, with the converter?) of problems that this node could not render; a restart tries them again
    _unable: set[tuple[int, str, bool]] = field(default_factory=set)
    #: the id of the problem whose object could not be fetched: the next round begins after it
    _passed: int = 0

    async def once(self) -> Problem | None:
        """Render the statements of one problem and return it; None: there was none.

        Raises StoreUnavailable.
        """
        problem = await self._next()
        if problem is None:
            return None
        is_final = False
        room = await trio.to_thread.run_sync(AttemptDir.unnamed, self.publisher.workdir)
        try:
            is_final = await self._publish(problem, room.path / "package.zip")
        except StoreUnavailable:
            raise
        except BlobsUnavailable as away:
            _log(problem, "objects", str(away))
            self._passed = problem.id
            return problem
        except (BlobMissing, OSError) as error:
            _log(problem, "broken", str(error))
        except Exception:  # noqa: BLE001 - a hostile statement must not end each node that tries it, one after another
            observe.logger().error("statements_unrendered", problem_id=problem.id, reason="bug", exc_info=True)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(room.close, False)
        if not is_final:
            self._unable.add((problem.id, problem.data_hash, is_installed()))
        return problem

    async def _publish(self, problem: Problem, package: Path) -> bool:
        await self.blobs.fetch(problem.data_path, package)
        plan = await trio.to_thread.run_sync(check_upload, package, self.publisher.unzip)
        if isinstance(plan, PackageFault):
            _log(problem, "package", plan.sentence)
            return False
        return await self.publisher.publish(package, plan, problem)

    async def _next(self) -> Problem | None:
        """Return the first problem after the one that was passed over, or else the first of all."""
        problem = await self._first(self._passed)
        return problem or (await self._first(0) if self._passed else None)

    async def _first(self, after: int) -> Problem | None:
        has_converter = is_installed()
        while page := await self.statements.unrendered_problems(after, PAGE):
            for one in page:
                if (one.id, one.data_hash, has_converter) not in self._unable:
                    return one
            after = page[-1].id
        return None


def _log(problem: Problem, reason: str, error: str) -> None:
    observe.log("statements_unrendered", level="warning", problem_id=problem.id, reason=reason, error=error)
