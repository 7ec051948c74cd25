"""Renders the statements of a package that a problem got, and stores them; later, if this node cannot render.

A node without a sandbox or the converter stores the source as text, so that readers see something, and leaves the
problem marked: a judge node renders it (``RenderLater``). Few packages are rendered at a time.

What if we die here? The problem stays marked, and is rendered again when our claim has ended. Two nodes may render the
same package: the later result replaces the earlier one by an equal one. With another package or edit by then, nothing
is stored.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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
from deepoj.ports.statements import StatementMark, Statements, StatementStore
from deepoj.words.errors import BlobMissing, BlobsUnavailable, BoxBroken, StoreUnavailable
from deepoj.words.problems import Problem
from deepoj.words.statements import RENDERER_VERSION, StatementEdit

#: how long the statements of one package may take
RENDER_WITHIN_S = 30.0
#: how long a node may take for one problem, with fetching its package, before another one tries
CLAIM_S = 120.0
#: pauses before a problem is tried again that this node could not render: after a failure of its own, the first and the
#: longest, and how many tries there are; while the object store is away
FIRST_PAUSE_S, LONGEST_PAUSE_S, MAX_TRIES, AWAY_PAUSE_S = 30.0, 3600.0, 12, 10.0

#: stores the statements of a package that a problem got; raises only bugs
PublishStatements = Callable[[Path, Plan, Problem], Awaitable[None]]
#: renders the statements of a package with edits, or of one language alone; None: this node could not
RenderEdits = Callable[[Path, Problem, Sequence[StatementEdit], str | None], Awaitable[Rendered | PackageFault | None]]


@dataclass(slots=True, kw_only=True)
class StatementPublisher:
    """``PublishStatements`` of one node. ``workdir`` holds directories as attempts have them. ``bench`` is that of
    ``Vetting``; None: this node has no sandbox."""

    statements: StatementStore
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

    async def publish(self, package: Path, plan: Plan, problem: Problem, statements: Statements | None = None) -> bool:
        """Store the statements; return whether they are final. ``statements``: of a contest; None: the problem's own.

        Raises:
          StoreUnavailable: they may or may not be stored.
          OSError: the package cannot be read, or the workspace cannot be written to.
        """
        kept = statements or self.statements
        held = await kept.statement_edits(problem.id)
        rendered = await self._render_in_time(package, plan, problem, held.edits)
        if rendered is None:
            rendered = await self._render(package, plan, problem, held.edits, box=None)
        if isinstance(rendered, PackageFault):
            _log(problem, "package", rendered.sentence)
            return False
        renderer = RENDERER_VERSION if rendered.is_final else 0
        await kept.keep_statements(
            problem.id, problem.data_hash, rendered.found, renderer=renderer, edition=held.edition
        )
        return rendered.is_final

    async def render_edits(
        self, package: Path, problem: Problem, edits: Sequence[StatementEdit], only: str | None = None
    ) -> Rendered | PackageFault | None:
        """Return the statements with ``edits``; with ``only`` those of this language. Nothing is stored.

        None: this node cannot render, or could not in time. Raises OSError.
        """
        plan = await trio.to_thread.run_sync(check_upload, package, self.unzip)
        if isinstance(plan, PackageFault):
            return plan
        rendered = await self._render_in_time(package, plan, problem, edits, only)
        return None if isinstance(rendered, Rendered) and not rendered.is_final else rendered

    async def _render_in_time(
        self,
        package: Path,
        plan: Plan,
        problem: Problem,
        edits: Sequence[StatementEdit],
        only: str | None = None,
    ) -> Rendered | PackageFault | None:
        """Return the statements; None: they take too long, or the sandbox failed."""
        async with self._turn:  # the time of others is not this package's
            with trio.move_on_after(self.within_s):
                try:
                    async with self._box(needs_converter(plan, edits)) as box:
                        return await self._render(package, plan, problem, edits, box=box, only=only)
                except BoxBroken as broken:
                    _log(problem, "broken", str(broken))
        return None

    async def _render(
        self,
        package: Path,
        plan: Plan,
        problem: Problem,
        edits: Sequence[StatementEdit],
        *,
        box: Box | None,
        only: str | None = None,
    ) -> Rendered | PackageFault:
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
                edits=edits,
                only=only,
            ).render()
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(room.close, False)

    @asynccontextmanager
    async def _box(self, is_needed: bool) -> AsyncIterator[Box | None]:
        """Provide the sandbox, if the statements need it and there is one."""
        if self.bench is None or not is_needed or not is_installed():
            yield None
            return
        async with self.bench() as compiler:
            yield None if isinstance(compiler, str) else compiler.box


@dataclass(frozen=True, slots=True)
class _Failure:
    """What this node could not render: how often it tried, and when it tries again."""

    tries: int
    due_at: float
    had_converter: bool


@dataclass(slots=True, kw_only=True)
class RenderLater:
    """Renders the statements of one marked problem per round, on a node that judges. A node claims a problem, so that
    several share the work. Without the converter it stores their sources as text, until another node, or this one when
    it has the converter, renders them. After a failure it tries again, later and later, within a budget."""

    statements: StatementStore
    blobs: Blobs
    publisher: StatementPublisher
    #: by contest (None: the problem itself) and mark
    _failures: dict[tuple[int | None, StatementMark], _Failure] = field(default_factory=dict)

    async def once(self) -> Problem | None:
        """Render the statements of one problem, or of a problem in a contest, and return it; None: there was none.

        Raises StoreUnavailable.
        """
        skipped = self._not_due()
        claimed = await self.statements.claim_unrendered(CLAIM_S, [mark for of, mark in skipped if of is None])
        if claimed is not None:
            return await self._render(None, *claimed)
        in_contests = [(of, mark) for of, mark in skipped if of is not None]
        of_contest = await self.statements.claim_of_contest(CLAIM_S, in_contests)
        return None if of_contest is None else await self._render(*of_contest)

    async def _render(self, contest_id: int | None, problem: Problem, edition: int) -> Problem:
        statements = self.statements if contest_id is None else self.statements.of_contest(contest_id)
        mark = contest_id, (problem.id, problem.data_hash, edition)
        pause_s: float | None = None
        is_final = False
        room = await trio.to_thread.run_sync(AttemptDir.unnamed, self.publisher.workdir)
        try:
            is_final = await self._publish(problem, room.path / "package.zip", statements)
        except StoreUnavailable:
            raise
        except BlobsUnavailable as away:
            _log(problem, "objects", str(away))
            pause_s = AWAY_PAUSE_S
        except (BlobMissing, OSError) as error:
            _log(problem, "broken", str(error))
        except Exception:  # noqa: BLE001 - a hostile statement must not end each node that tries it, one after another
            observe.log("statements_unrendered", level="error", problem_id=problem.id, reason="bug", exc_info=True)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(room.close, False)
        if is_final:
            self._failures.pop(mark, None)
        else:
            self._failures[mark] = self._failed(mark, pause_s)
        await statements.release_unrendered(problem.id)
        return problem

    async def _publish(self, problem: Problem, package: Path, statements: Statements) -> bool:
        await self.blobs.fetch(problem.data_path, package)
        plan = await trio.to_thread.run_sync(check_upload, package, self.publisher.unzip)
        if isinstance(plan, PackageFault):
            _log(problem, "package", plan.sentence)
            return False
        return await self.publisher.publish(package, plan, problem, statements)

    def _not_due(self) -> list[tuple[int | None, StatementMark]]:
        """Return what this node does not try now. Without the converter nothing is tried twice."""
        now, has_converter = trio.current_time(), is_installed()
        return [
            mark
            for mark, failure in self._failures.items()
            if failure.had_converter == has_converter and (not has_converter or now < failure.due_at)
        ]

    def _failed(self, mark: tuple[int | None, StatementMark], pause_s: float | None) -> _Failure:
        """``pause_s``: of a failure that is not the package's; None: it counts as a try."""
        has_converter = is_installed()
        before = self._failures.get(mark)
        tries = 0 if before is None or before.had_converter != has_converter else before.tries
        if pause_s is None:
            tries += 1
            pause_s = min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S) if tries < MAX_TRIES else math.inf
        return _Failure(tries, trio.current_time() + pause_s, has_converter)


def _log(problem: Problem, reason: str, error: str) -> None:
    observe.log("statements_unrendered", level="warning", problem_id=problem.id, reason=reason, error=error)
