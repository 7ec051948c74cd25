"""The runbook, for operators, also while the database is away: nothing of it is secret, so everybody may read it."""

from __future__ import annotations

from collections.abc import Collection

import trio
from markupsafe import Markup
from quart import Response

from deepoj.api.errors import ApiError, Refused
from deepoj.web.page import ANYONE_WITHOUT_DATABASE, page
from deepoj.web.render import Pages
from deepoj.web.runbook import Runbook, RunbookChapter, runbook
from deepoj.web.visitor import Visitor


class RunbookPages:
    """``/runbook`` and its chapters."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    @page("GET", "/runbook", access=ANYONE_WITHOUT_DATABASE)
    async def contents(self, visitor: Visitor) -> Response:
        """List the chapters and their sections."""
        found = await _read(visitor)
        return self._page(visitor, found.preface, chapters=found.chapters.values())

    @page("GET", "/runbook/<number>", access=ANYONE_WITHOUT_DATABASE)
    async def chapter(self, visitor: Visitor, number: str) -> Response:
        """Show a chapter."""
        chapter = (await _read(visitor)).chapters.get(number)
        if chapter is None:
            raise Refused(ApiError.NOT_FOUND)
        return self._page(visitor, chapter.html, chapter=chapter)

    def _page(
        self,
        visitor: Visitor,
        html: str,
        *,
        chapters: Collection[RunbookChapter] = (),
        chapter: RunbookChapter | None = None,
    ) -> Response:
        text = Markup(html)  # noqa: S704 - made of a file of ours, with HTML in it escaped
        return self._pages.html("runbook.html", visitor, chapters=chapters, chapter=chapter, text=text)


async def _read(visitor: Visitor) -> Runbook:
    return await trio.to_thread.run_sync(runbook, visitor.language)
