"""A preview of a rejudge: old and new verdicts, live, and then Apply or Cancel."""

from __future__ import annotations

from functools import partial
from typing import Any

from quart import Response

from deepoj.api.context import ApiContext
from deepoj.api.errors import Refused
from deepoj.api.previewing import MAX_CHANGES, Previewing, PreviewResult, topic_of_preview
from deepoj.api.publishing import Publishing
from deepoj.api.rights import Right
from deepoj.web import forms
from deepoj.web.matrix import matrix_of
from deepoj.web.page import member_with, page
from deepoj.web.progress import ProgressFeed, ProgressStreams
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.problems import Problem
from deepoj.words.rejudges import EVERYTHING

#: changes that are shown while more are judged: each step sends them again
_WHILE_RUNNING = 50


class PreviewPages:
    """``/manage/problems/{id}/previews/{preview}`` and its ``/events``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._settings, self._problems = context.settings, context.problems
        self._visitors, self._pages, self._streams = visitors, pages, ProgressStreams(context.live, visitors)
        self._publishing, self._previewing = Publishing(context), Previewing(context)

    @page("GET", "/manage/problems/<problem_id>/previews/<preview_id>", access=member_with(Right.REJUDGE))
    async def preview(self, visitor: Visitor, problem_id: str, preview_id: str) -> Response:
        """Show a preview with its matrix and the submissions that it changes."""
        return await self._shown(visitor, await self._allowed(visitor, problem_id), preview_id)

    @page("POST", "/manage/problems/<problem_id>/previews/<preview_id>", access=member_with(Right.REJUDGE))
    async def act(self, visitor: Visitor, problem_id: str, preview_id: str) -> Response:
        """Apply a preview, or cancel it."""
        problem = await self._allowed(visitor, problem_id)
        form = await forms.read(self._visitors, visitor, timeout_s=self._settings.read_timeout_s)
        try:
            await form.act(
                apply=partial(self._previewing.apply, problem, preview_id, visitor.member),
                cancel=partial(self._previewing.cancel, problem, preview_id, visitor.member),
            )
        except Refused as refused:
            return await self._shown(visitor, problem, preview_id, refused)
        return redirect(f"/manage/problems/{problem.id}/previews/{preview_id}")

    @page("GET", "/manage/problems/<problem_id>/previews/<preview_id>/events", access=member_with(Right.REJUDGE))
    async def events(self, visitor: Visitor, problem_id: str, preview_id: str) -> Response:
        """Stream the progress as pieces of the page."""
        problem = await self._allowed(visitor, problem_id)
        number = (await self._previewing.result(problem, preview_id)).preview.id

        async def result() -> PreviewResult | None:
            current = await self._problems.problem(problem.id)
            try:
                return None if current is None else await self._previewing.result(current, preview_id)
            except Refused:  # deleted by age
                return None

        def pieces(found: PreviewResult | None) -> tuple[str, str]:
            if found is None:
                return "", ""
            values = _values(problem, found)
            summary = self._pages.piece("_preview_summary.html", visitor, **values)
            return summary, self._pages.piece("_preview.html", visitor, **values)

        feed = ProgressFeed(
            result=result,
            pieces=pieces,
            is_running=lambda found: found.preview.is_running,
            progress=lambda found: (found.preview, found.is_current),
        )
        return self._streams.answer(visitor, problem, topic_of_preview(number), feed)

    async def _allowed(self, visitor: Visitor, problem_id: str) -> Problem:
        return await self._publishing.allowed(visitor.member, Right.REJUDGE, problem_id)

    async def _shown(
        self, visitor: Visitor, problem: Problem, preview_id: str, refused: Refused | None = None
    ) -> Response:
        values = _values(problem, await self._previewing.result(problem, preview_id))
        return self._pages.html_with_refusal("manage_preview.html", visitor, refused, **values)


def _values(problem: Problem, result: PreviewResult) -> dict[str, Any]:
    """Return what the templates need."""
    preview = result.preview
    most = _WHILE_RUNNING if preview.is_running else MAX_CHANGES
    return {
        "problem": problem,
        "here": f"/manage/problems/{problem.id}/previews/{preview.id}",
        "preview": preview,
        "is_current": result.is_current,
        "matrix": matrix_of(result.verdicts),
        "failures": result.failures,
        "changes": result.changes[:most],
        "everything": EVERYTHING,
    }
