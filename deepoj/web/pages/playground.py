"""The playground: a program run on an input of its author's, without a problem."""

from __future__ import annotations

from collections.abc import Mapping

from quart import Response

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.web.page import MEMBER, page
from deepoj.web.pages.problems import USUAL_LANGUAGE, judged_languages
from deepoj.web.render import Pages
from deepoj.web.runs import PageRuns
from deepoj.web.visitor import Visitor
from deepoj.words.playground import CustomRun


class PlaygroundPages:
    """``/playground``, ``/playground/{run_id}`` and its ``/events``."""

    def __init__(self, context: ApiContext, runs: PageRuns, pages: Pages) -> None:
        self._context, self._runs, self._pages = context, runs, pages

    @page("GET", "/playground", access=MEMBER)
    async def playground(self, visitor: Visitor) -> Response:
        """Show the empty form."""
        if not self._context.settings.runs.is_enabled:
            raise Refused(ApiError.RUNS_OFF)
        return self._page(visitor, {"language": visitor.programmed or USUAL_LANGUAGE})

    @page("POST", "/playground", access=MEMBER)
    async def run(self, visitor: Visitor) -> Response:
        """Run the program. What was written is kept if it is refused."""
        sent: Mapping[str, str] = {}
        try:
            form = await self._runs.read(visitor)
            sent = form.fields
            run_id = await self._runs.take(visitor, form)
        except Refused as refused:
            return self._page(visitor, sent, refused=refused)
        return self._runs.ordered(f"/playground/{run_id}#run", form)

    @page("GET", "/playground/<run_id>", access=MEMBER)
    async def shown(self, visitor: Visitor, run_id: str) -> Response:
        """Show the form as it was sent, with the result beside it."""
        shown = await self._runs.shown(visitor, run_id)
        return self._page(visitor, shown.sent, shown.run)

    @page("GET", "/playground/<run_id>/events", access=MEMBER)
    async def events(self, visitor: Visitor, run_id: str) -> Response:
        """Stream the progress of a run as pieces of its page."""
        return await self._runs.events(visitor, run_id)

    def _page(
        self, visitor: Visitor, sent: Mapping[str, str], run: CustomRun | None = None, refused: Refused | None = None
    ) -> Response:
        return self._pages.html_with_refusal(
            "playground.html",
            visitor,
            refused,
            has_editor=True,
            languages=judged_languages(self._context),
            language=sent.get("language", ""),
            code=sent.get("code", ""),
            max_bytes=self._context.settings.submit_code_max_bytes,
            stdin=sent.get("stdin", ""),
            **self._runs.values(visitor, run),
        )
